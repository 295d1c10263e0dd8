//! One stage of a run, as a process of clients takes part in it: it says that it is ready, begins when it is told,
//! and says when it is done, and what it measured. A line each.

use std::io::Write;
use std::time::Duration;

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

/// Said when a process is ready for its next stage, and when it is done with one; a [`Measured`] follows that.
pub(super) const READY: &str = "ready";
pub(super) const DONE: &str = "done";
/// Told to begin.
pub(super) const BEGIN: &str = "begin";

/// What the clients of one process measured in a stage.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) messages: u64,
    /// Bytes of the frames that carried them, where that was counted.
    pub(super) sent_bytes: u64,
    /// In microseconds: of each message that they measured.
    pub(super) latencies_us: Vec<u64>,
}

impl Measured {
    /// Takes in some messages.
    pub(super) fn add(&mut self, messages: u64, latencies: Vec<Duration>) {
        self.messages += messages;
        let micros = latencies.iter().map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.latencies_us.extend(micros);
    }

    /// Takes in what other clients measured.
    pub(super) fn merge(&mut self, other: Self) {
        self.messages += other.messages;
        self.sent_bytes += other.sent_bytes;
        self.latencies_us.extend(other.latencies_us);
    }
}

/// The process that began this one and tells it when to begin.
pub(super) struct Cue;

impl Cue {
    /// Says that the next stage may begin, and waits for it.
    pub(super) async fn ready(&self) -> anyhow::Result<()> {
        say(READY)?;
        let told = spawn_blocking(|| std::io::stdin().lines().next()).await?.transpose()?;
        ensure!(told.as_deref() == Some(BEGIN), "told {told:?} in the place of {BEGIN}");
        Ok(())
    }

    /// Says that the stage is over.
    pub(super) fn done(&self, measured: &Measured) -> anyhow::Result<()> {
        say(DONE)?;
        say(&serde_json::to_string(measured)?)
    }
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
