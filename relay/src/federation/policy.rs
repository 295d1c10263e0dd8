use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use undertone_protocol::ids::RelayId;

/// With which other relays this one has to do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyKind {
    /// With all.
    #[default]
    Open,
    /// With those that are listed.
    Allow,
    /// With all but those that are listed.
    Deny,
}

/// With which other relays this one has to do, in both directions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// What the list is for.
    pub kind: PolicyKind,
    /// The list.
    pub relays: BTreeSet<RelayId>,
}

impl Policy {
    /// Whether this relay is one of them.
    pub(crate) fn allows(&self, relay: &RelayId) -> bool {
        match self.kind {
            PolicyKind::Open => true,
            PolicyKind::Allow => self.relays.contains(relay),
            PolicyKind::Deny => !self.relays.contains(relay),
        }
    }
}
