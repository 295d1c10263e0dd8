use std::collections::{BTreeMap, BTreeSet};

use undertone_protocol::crypto::HeaderKey;
use undertone_protocol::ids::{ConversationId, EntryId};
use undertone_protocol::receipts::Tick;

/// What was seen of a node while it ran.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// How far each message has come.
    pub(super) ticks: BTreeMap<EntryId, Tick>,
    /// The messages that its user was told of.
    pub(super) told: BTreeSet<String>,
    /// How far its user was told that each message has come.
    pub(super) told_ticks: BTreeMap<String, Tick>,
    /// The sender key of each conversation.
    pub(super) keys: BTreeMap<ConversationId, SealedUnder>,
    /// The conversations whose sender key a device holds that is known to be revoked.
    pub(super) held_by_revoked: BTreeSet<ConversationId>,
    /// Who was blocked after the last step.
    pub(super) blocked: BTreeSet<String>,
    pub(super) steps: u64,
    /// The changes of its disk after the last step.
    pub(super) changes: u64,
    /// Whether it ever asked somebody to send again what it could not read.
    pub(super) asked_again: bool,
}

/// The sender key of a conversation when something was last sealed under it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SealedUnder {
    pub(super) key: HeaderKey,
    pub(super) messages: u64,
    /// Entries of others that were held then.
    pub(super) received: u64,
}
