//! Two people, then a group of five, one relay each time; then two people at different relays, of which one dies for good. And
//! what goes wrong in between: real processes, in a temporary directory.
//!
//! `undertone-demo` plays the story (`--json`: one object a line).

mod apart;
mod club;
mod stage;
mod story;

use std::process::ExitCode;
use std::time::Duration;

use undertone_examples::play;
use undertone_examples::tell::Teller;

/// All acts together take about a minute and a half; this long only if something hangs.
const LONGEST: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    play::run("undertone-demo", LONGEST, all)
}

async fn all(teller: Teller) -> anyhow::Result<()> {
    story::play(teller).await?;
    club::play(teller).await?;
    apart::play(teller).await
}
