//! A federation: three relays of different operators, and six people who live at one or two of them each and are in one group.
//! One relay dies for good, with its disk, while they talk. Real processes, in a temporary directory.
//!
//! `undertone-federation` plays the story (`--json`: one object a line).

mod story;

use std::process::ExitCode;
use std::time::Duration;

use undertone_examples::play;

/// It takes about a minute; this long only if something hangs.
const LONGEST: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    play::run("undertone-federation", LONGEST, story::play)
}
