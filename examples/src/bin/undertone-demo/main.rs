//! Two people, then a group of five, one relay each time; then two people at different relays, of which one dies for good. And
//! what goes wrong in between: real processes, in a temporary directory.
//!
//! `undertone-demo` plays the story (`--json`: one object a line). It starts itself anew as
//! `undertone-demo relay ..` and `undertone-demo node ..`, which are the command lines of the relay and of
//! the node, so nothing else has to be built.

mod apart;
mod checks;
mod circle;
mod club;
mod person;
mod process;
mod relay;
mod stage;
mod story;
mod tell;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::tell::Teller;

/// All acts together take about a minute and a half; this long only if something hangs.
const STORY_MAX: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    match args.peek().and_then(|first| first.to_str()) {
        Some("relay") => undertone_relay::cli::run_from(args),
        Some("node") => undertone::cli::run_from(args),
        None => report(play(false)),
        Some("--json") => report(play(true)),
        Some(other) => {
            eprintln!("usage: undertone-demo [--json], not `{other}`");
            ExitCode::from(2)
        }
    }
}

fn report(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn play(json: bool) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Dropping the story, however it ends, ends its processes and removes its directory.
        tokio::select! {
            played = all(Teller::new(json)) => played,
            elapsed = tokio::time::sleep(STORY_MAX) => {
                let () = elapsed;
                bail!("the story is not over after {} s: something hangs", STORY_MAX.as_secs())
            }
            signal = told_to_stop() => {
                signal.context("signals can't be received")?;
                bail!("interrupted")
            }
        }
    })
}

async fn all(teller: Teller) -> anyhow::Result<()> {
    story::play(teller).await?;
    club::play(teller).await?;
    apart::play(teller).await
}

/// Waits for Ctrl-C or a request to end.
async fn told_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
