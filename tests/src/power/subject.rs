use std::path::Path;

use anyhow::bail;

use super::{new_relay, node, relay};

/// Which store is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The relay's store: group commits of what several producers hand in.
    Relay,
    /// What `undertone-relay init` makes.
    NewRelay,
    /// A node's account: its creation, and one transaction after the other.
    Node,
}

impl Subject {
    /// Its name on a command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::NewRelay => "new-relay",
            Self::Node => "node",
        }
    }

    /// Whether records are written to it once it is there.
    pub(super) fn keeps_records(self) -> bool {
        self != Self::NewRelay
    }

    /// The subject of that name.
    pub(super) fn parse(name: &str) -> anyhow::Result<Self> {
        match name {
            "relay" => Ok(Self::Relay),
            "new-relay" => Ok(Self::NewRelay),
            "node" => Ok(Self::Node),
            _ => bail!("`{name}` is not relay, new-relay or node"),
        }
    }

    /// Writes without end, and prints what is acknowledged.
    pub(super) fn write(self, dir: &Path) -> anyhow::Result<()> {
        match self {
            Self::Relay => relay::write(dir),
            Self::NewRelay => new_relay::write(dir),
            Self::Node => node::write(dir),
        }
    }

    /// Opens the store, compares every record with what the last numbers make necessary, and gives them: one
    /// for each producer. `opened` says that the store was acknowledged to be there.
    pub(super) fn check(self, dir: &Path, opened: bool) -> anyhow::Result<Vec<u64>> {
        match self {
            Self::Relay => relay::check(dir),
            Self::NewRelay => new_relay::check(dir, opened),
            Self::Node => node::check(dir, opened),
        }
    }
}
