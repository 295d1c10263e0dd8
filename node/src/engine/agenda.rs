use std::collections::{BTreeMap, BTreeSet};

use undertone_protocol::ids::{ConversationId, DeviceId, RelayId, Tag, UserId};
use undertone_protocol::time::Timestamp;

/// What the engine remembers so that it need not search: what [`super::Engine::settle`] has to look at, and
/// small indexes. Volatile; at a start everything is on it.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    /// Direct conversations with messages that may be sealed now, with their contacts.
    pub(super) seal: BTreeMap<ConversationId, UserId>,
    /// Contacts with an introduction to send.
    pub(super) introduce: BTreeSet<UserId>,
    /// Contacts of whose devices a bundle is missing or old.
    pub(super) fetch: BTreeSet<UserId>,
    /// Whether something may be in the outbox that could go out.
    pub(super) publish: bool,
    /// Whether an acknowledgement may be due.
    pub(super) receipts: bool,
    /// Home relays that should be asked how many one-time prekeys are left.
    pub(super) prekeys: BTreeSet<RelayId>,
    /// The contacts of the direct conversations: finding one must not cost a look at all.
    pub(super) directory: BTreeMap<ConversationId, UserId>,
    /// Whether payloads in quarantine may open now.
    pub(super) quarantine: bool,
    /// The tags of what is in quarantine, so that a key that opens none of it costs nothing.
    pub(super) quarantined: BTreeSet<Tag>,
    /// When devices of contacts were, or will be, last asked to send again what could not be read.
    pub(super) asked_to_retry: BTreeMap<DeviceId, Timestamp>,
    /// When devices of contacts were last sent again what they could not read.
    pub(super) retried: BTreeMap<DeviceId, Timestamp>,
    /// Devices of contacts that must be sent again what they could not read, and when.
    pub(super) retry_again: BTreeMap<DeviceId, (UserId, Timestamp)>,
}

impl Agenda {
    /// These tags are expected from now on.
    pub(super) fn expected<'a>(&mut self, mut tags: impl Iterator<Item = &'a Tag>) {
        self.quarantine |= tags.any(|tag| self.quarantined.contains(tag));
    }
}
