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
    let mut node = session::open(options, &home)?;
    let server = Server::start(&home, node.handle()).await?;
    if let Err(error) = ready(options, &server) {
        // Whoever started it does not listen; that keeps nobody from using it.
        tracing::warn!(%error, "the ready line can't be written");
    }
    let failed = tokio::select! {
        error = node.ended() => Some(error),
        signal = told_to_stop() => {
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

/// Waits for Ctrl-C, or for what service managers send.
#[cfg(unix)]
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

/// Waits for Ctrl-C.
#[cfg(not(unix))]
async fn told_to_stop() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
