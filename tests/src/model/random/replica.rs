//! What one device knows.

use std::collections::BTreeSet;

use super::super::op::{Device, EntryId, OpId, User};

/// A device, with what reached it. What it knows is closed under parents.
#[derive(Debug, Clone)]
pub(super) struct Replica {
    pub(super) user: User,
    pub(super) device: Device,
    pub(super) ops: BTreeSet<OpId>,
    pub(super) entries: BTreeSet<EntryId>,
    /// The number of its next operation.
    pub(super) number: u32,
}

impl Replica {
    pub(super) fn new(user: User, device: Device) -> Self {
        Self { user, device, ops: BTreeSet::new(), entries: BTreeSet::new(), number: 0 }
    }
}
