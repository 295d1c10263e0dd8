use std::ffi::OsString;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use super::clients::Clients;
use super::options::{Mode, Options};
use super::process::RelayProcess;
use super::report::Report;
use super::{fan_out, forward, group, idle, offline, pairs};

/// A run may take this long beyond the seconds that it was asked to send for.
const RUN_MAX: Duration = Duration::from_secs(900);

/// Runs the given command line, the program's name first. An error if a message was lost, came twice or
/// changed, if the relay failed, or if the run takes too long.
pub fn run_from(args: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> anyhow::Result<()> {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let options = match Options::try_parse_from(&args) {
        Ok(options) => options,
        Err(error) => error.exit(),
    };
    let report = match &options.mode {
        Mode::Group(asked) => group::run(asked)?,
        _ => with_relay(&options, args.get(1..).unwrap_or_default())?,
    };
    let mut out = std::io::stdout().lock();
    if options.json {
        writeln!(out, "{}", report.json())?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(())
}

fn with_relay(options: &Options, args: &[OsString]) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(bounded(options, args))
}

async fn bounded(options: &Options, args: &[OsString]) -> anyhow::Result<Report> {
    let sending = match &options.mode {
        Mode::Pairs(pairs) => pairs.seconds,
        Mode::Forward(pairs) => 2 * pairs.seconds,
        Mode::Idle(_) | Mode::Offline(_) | Mode::FanOut(_) | Mode::Group(_) => 0,
    };
    let whole = RUN_MAX + Duration::from_secs(sending.into());
    // Dropping the run, however it ends, ends the relay and removes its directory.
    tokio::select! {
        report = measured(options, args) => report,
        () = tokio::time::sleep(whole) => bail!("not over after {} s", whole.as_secs()),
        told = told_to_stop() => {
            told.context("signals can't be received")?;
            bail!("interrupted")
        }
    }
}

/// Waits for Ctrl-C or SIGTERM.
async fn told_to_stop() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

async fn measured(options: &Options, args: &[OsString]) -> anyhow::Result<Report> {
    let relay = RelayProcess::start(options.dir.as_deref()).await?;
    let destination = match &options.mode {
        Mode::Forward(_) => Some(RelayProcess::start(options.dir.as_deref()).await?),
        _ => None,
    };
    let processes = options.processes.min(options.mode.clients());
    let mut clients = Clients::start(&relay, destination.as_ref(), processes, args)?;
    let mut report = match &options.mode {
        Mode::Idle(asked) => idle::run(&relay, &mut clients, asked).await?,
        Mode::Pairs(_) => pairs::run(&relay, &mut clients).await?,
        Mode::Forward(_) => {
            let destination = destination.as_ref().context("no other relay")?;
            forward::run([&relay, destination], &mut clients).await?
        }
        Mode::Offline(_) => offline::run(&relay, &mut clients).await?,
        Mode::FanOut(_) => fan_out::run(&relay, &mut clients).await?,
        Mode::Group(_) => bail!("a group needs no relay's process"),
    };
    report.count("processes", processes.into());
    clients.end().await?;
    relay.stop().await?;
    if let Some(destination) = destination {
        destination.stop().await?;
    }
    Ok(report)
}
