use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::metrics::DestinationHealth;

/// What is so right now? Answered by the thread that knows.
pub(crate) type Question = oneshot::Sender<Snapshot>;

/// What the machine and its driver know at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// Live connections.
    pub(crate) connections: usize,
    /// Mailboxes with an attached connection.
    pub(crate) attached: usize,
    /// Mailboxes registered.
    pub(crate) mailboxes: u64,
    /// How many there may be.
    pub(crate) mailboxes_max: u64,
    /// Bytes that the store holds, as the disk quota counts them.
    pub(crate) stored_bytes: u64,
    /// What they may be.
    pub(crate) stored_bytes_max: u64,
    /// Bytes that wait in the sockets of all connections.
    pub(crate) backlog_bytes: u64,
    /// Rate limiters held for delivery tokens.
    pub(crate) token_rates: usize,
    /// Other relays that something waits for, that there is a connection to, or that are looked after: at most 32, the worst first.
    #[serde(default)]
    pub(crate) destinations: Vec<DestinationHealth>,
    /// Counters since the start, by name.
    pub(crate) counters: BTreeMap<String, u64>,
}

/// The answer of `undertone-relay status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Of the running process.
    pub(crate) version: String,
    /// Where it listens, with its key.
    pub(crate) addresses: Vec<String>,
    /// Seconds since it started to listen.
    pub(crate) uptime_s: u64,
    #[serde(flatten)]
    pub(crate) now: Snapshot,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "undertone-relay {}, up for {} s", self.version, self.uptime_s)?;
        for address in &self.addresses {
            writeln!(f, "listening on     {address}")?;
        }
        writeln!(f, "connections      {}", self.now.connections)?;
        let Snapshot { mailboxes, mailboxes_max, attached, .. } = &self.now;
        writeln!(f, "mailboxes        {mailboxes} of {mailboxes_max} ({attached} attached)")?;
        writeln!(f, "stored           {} of {} bytes", self.now.stored_bytes, self.now.stored_bytes_max)?;
        writeln!(f, "waiting to leave {} bytes", self.now.backlog_bytes)?;
        writeln!(f, "token rates      {}", self.now.token_rates)?;
        for relay in &self.now.destinations {
            let state = match relay {
                DestinationHealth { incompatible: true, .. } => "speaks another version",
                DestinationHealth { connected: true, .. } => "connected",
                DestinationHealth { reachable: Some(true), .. } => "reachable",
                DestinationHealth { reachable: Some(false), .. } => "not reachable",
                _ => "not connected",
            };
            let failures = relay.failures.max(relay.heartbeat_failures);
            let answer_ms = relay.round_trip_ms.unwrap_or(relay.answer_ms);
            let DestinationHealth { relay, waiting, waiting_bytes, .. } = relay;
            writeln!(
                f,
                "relay {relay}   {state}, {waiting} waiting ({waiting_bytes} bytes), {failures} failures, {answer_ms} ms"
            )?;
        }
        for (name, count) in &self.now.counters {
            writeln!(f, "{name:<28} {count}")?;
        }
        Ok(())
    }
}
