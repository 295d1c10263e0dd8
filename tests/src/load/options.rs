use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Puts load on a relay that it starts on the loopback interface, and says what that costs the relay.
#[derive(Debug, Parser)]
#[command(name = "undertone-load")]
pub(super) struct Options {
    #[command(subcommand)]
    pub(super) mode: Mode,
    /// Print one JSON object.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Bytes of one payload.
    #[arg(long, global = true, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(64..=65_536))]
    pub(super) payload_bytes: u32,
    /// Processes that share the clients; more, where one is busy all the time.
    #[arg(long, global = true, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) processes: u32,
    /// Where the relay's temporary directory is made.
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Subcommand)]
pub(super) enum Mode {
    /// Devices that are attached and silent.
    Idle(Idle),
    /// Senders, each with a receiver that is online.
    Pairs(Pairs),
    /// Pairs at one relay, then others whose receivers live at another relay, to which the senders' one forwards.
    Forward(Pairs),
    /// Mailboxes that are filled while nobody is attached, and drained afterwards.
    Offline(Offline),
    /// One sender, and a group whose members are away: each message once for all, then once for each.
    FanOut(FanOut),
    /// A large group: what its members send and compute, without a relay's process or a network.
    Group(Group),
}

impl Mode {
    /// How many clients, or pairs of them, there are to share.
    pub(super) fn clients(&self) -> u32 {
        match self {
            Self::Idle(asked) => asked.connections,
            Self::Pairs(asked) | Self::Forward(asked) => asked.pairs,
            Self::Offline(asked) => asked.mailboxes,
            Self::FanOut(_) | Self::Group(_) => 1,
        }
    }
}

#[derive(Debug, Clone, Args)]
pub(super) struct Idle {
    /// How many devices.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=15_000))]
    pub(super) connections: u32,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Pairs {
    /// How many pairs.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub(super) pairs: u32,
    /// Messages of one sender that have no receipt yet.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) window: u32,
    /// How long to send, in seconds.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(super) seconds: u32,
    /// Messages that all senders together begin in a second, at most; 0: as fast as they go.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(super) per_second: u32,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Offline {
    /// How many mailboxes, each with one sender.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub(super) mailboxes: u32,
    /// Messages for each of them.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    pub(super) messages: u32,
    /// Messages of one sender that have no receipt yet.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) window: u32,
}

#[derive(Debug, Clone, Args)]
pub(super) struct FanOut {
    /// How many mailboxes each message is for.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub(super) mailboxes: u32,
    /// Messages for all of them.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5_000))]
    pub(super) messages: u32,
    /// Publishes without a receipt, where each is for one mailbox.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(super) window: u32,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Group {
    /// How many are in it.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(4..=1_000))]
    pub(super) members: u32,
    /// Keep what devices know in databases on disk, as a node does, and not in memory.
    #[arg(long)]
    pub(super) sqlite: bool,
}
