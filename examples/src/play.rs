//! A program that plays a story. It starts itself anew as `relay ..` and `node ..`, which are the command lines of the relay
//! and of the node, so nothing else has to be built.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::process::end_with_story;
use crate::tell::Teller;

/// Runs the program: plays the story (`--json`: one object a line), or is one of its processes. A story that takes longer than
/// `longest` hangs.
pub fn run<F: Future<Output = anyhow::Result<()>>>(
    program: &str,
    longest: Duration,
    story: impl FnOnce(Teller) -> F,
) -> ExitCode {
    end_with_story();
    let mut args = std::env::args_os().skip(1).peekable();
    match args.peek().and_then(|first| first.to_str()) {
        Some("relay") => undertone_relay::cli::run_from(args),
        Some("node") => undertone::cli::run_from(args),
        None => report(play(story(Teller::new(false)), longest)),
        Some("--json") => report(play(story(Teller::new(true)), longest)),
        Some(other) => {
            eprintln!("usage: {program} [--json], not `{other}`");
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

fn play(story: impl Future<Output = anyhow::Result<()>>, longest: Duration) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Dropping the story, however it ends, ends its processes and removes its directory.
        tokio::select! {
            played = story => played,
            elapsed = tokio::time::sleep(longest) => {
                let () = elapsed;
                bail!("the story is not over after {} s: something hangs", longest.as_secs())
            }
            signal = told_to_stop() => {
                signal.context("signals can't be received")?;
                bail!("interrupted")
            }
        }
    })
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
