use std::io;

use anyhow::Context;
use serde_json::json;

use super::args::Options;
use super::home::home;
use super::{session, show};
use crate::api::Server;
use crate::runtime::Node;

/// Runs the node until it is told to stop, or fails.
pub(super) async fn run(options: &Options) -> anyhow::Result<()> {
    let home = home(options)?;
    let mut node = session::open(options, &home).await?;
    // After the passphrase was asked for, where Ctrl-C has to end the process; before anybody is told that
    // it runs, since from then on it may be asked to stop.
    let mut signals = Signals::listen().context("signals can't be received")?;
    let server = Server::start(&home, node.handle()).await?;
    if let Err(error) = ready(options, &server) {
        // Whoever started it does not listen; that keeps nobody from using it.
        tracing::warn!(%error, "the ready line can't be written");
    }
    let failed = tokio::select! {
        error = node.ended() => Some(error),
        signal = signals.stop() => {
            signal.context("signals can't be received")?;
            None
        }
    };
    server.stop().await;
    match failed {
        Some(error) => Err(error.into()),
        None => stop(node).await,
    }
}

async fn stop(node: Node) -> anyhow::Result<()> {
    tracing::info!("stopping");
    Ok(node.stop().await?)
}

fn ready(options: &Options, server: &Server) -> anyhow::Result<()> {
    if options.json {
        show::json(&json!({ "event": "ready", "url": server.url(), "pid": std::process::id() }))
    } else {
        show::line(&format!("The node runs; its API is at {}. Ctrl-C stops it.", server.url()))
    }
}

/// Ctrl-C, or what service managers send.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// From here on they don't end the process.
    fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn stop(&mut self) -> io::Result<()> {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        Ok(())
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self)
    }

    async fn stop(&mut self) -> io::Result<()> {
        tokio::signal::ctrl_c().await
    }
}
