use std::collections::BTreeMap;

use undertone_protocol::crypto::{AccountState, InboundChannel, OutboundChannel};
use undertone_protocol::entry::ActKind;
use undertone_protocol::ids::{
    ChannelHash, ConversationId, DeviceId, EntryId, Handle, PayloadHash, PublishId, RelayId, SessionId, Tag,
    UserId,
};
use undertone_protocol::log::{FrontierItem, OrderKey};
use undertone_protocol::receipts::Acknowledgement;
use undertone_protocol::time::Timestamp;

use super::table::Table;
use crate::store::{
    Account, Acknowledged, AcknowledgedBy, Contact, Cut, Delivery, Gap, Group, HomeRelay, Member, OlmSession,
    OutboxItem, OwnReceipts, PeerDevice, Quarantined, ReceiverKey, Revocation, SenderKey, StoredEntry,
    StoredForward, StoredInvitation,
};

/// A channel from a device.
#[derive(Debug, Clone)]
pub(super) struct Inbound {
    /// By when it was first put.
    pub(super) number: u64,
    pub(super) channel: InboundChannel,
    pub(super) device: Option<DeviceId>,
}

/// What is known of an entry that set the account's record of a user.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Change {
    pub(super) is_put: bool,
    pub(super) is_replaced: bool,
}

/// The last number given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Counter {
    Outbox,
    InboundChannels,
}

macro_rules! tables {
    ($($name:ident: $key:ty => $value:ty,)*) => {
        /// Everything that a store keeps.
        #[derive(Debug, Clone, Default)]
        pub(super) struct Tables {
            $(pub(super) $name: Table<$key, $value>,)*
        }

        impl Tables {
            /// Whether anything was changed since the last commit.
            pub(super) fn is_changed(&self) -> bool {
                false $(|| self.$name.is_changed())*
            }

            /// Keeps what was changed.
            pub(super) fn commit(&mut self) {
                $(self.$name.commit();)*
            }

            /// Takes back what was changed since the last commit.
            pub(super) fn rollback(&mut self) {
                $(self.$name.rollback();)*
            }

            /// All rows of each table, in words.
            pub(super) fn contents(&self) -> BTreeMap<&'static str, String> {
                BTreeMap::from([$((stringify!($name), format!("{:?}", self.$name)),)*])
            }
        }
    };
}

tables! {
    account: () => Account,
    olm_account: () => AccountState,
    introduced: () => Timestamp,
    home_relays: RelayId => HomeRelay,
    contacts: UserId => Contact,
    peer_devices: DeviceId => PeerDevice,
    invitations: Handle => StoredInvitation,
    groups: ConversationId => Group,
    group_documents: (ConversationId, usize) => Vec<u8>,
    members: (ConversationId, UserId) => Member,
    voids: EntryId => (),
    revocations: (RelayId, Vec<Handle>) => Revocation,
    account_changes: (UserId, EntryId) => Change,
    olm_sessions: (DeviceId, [u8; 32]) => OlmSession,
    prekey_bases: [u8; 32] => Timestamp,
    outbound_channels: DeviceId => OutboundChannel,
    inbound_channels: ChannelHash => Inbound,
    channel_tags: (Tag, ChannelHash) => (),
    sender_keys: ConversationId => SenderKey,
    receiver_keys: SessionId => ReceiverKey,
    message_tags: (Tag, SessionId) => u32,
    entries: EntryId => StoredEntry,
    entries_in_order: (ConversationId, OrderKey) => (),
    entries_by_seq: (ConversationId, DeviceId, u64, EntryId) => (),
    expiring: (Timestamp, EntryId) => (),
    expiries: EntryId => Timestamp,
    heads: (ConversationId, OrderKey) => (),
    parents: (EntryId, EntryId) => (),
    annotations: (ConversationId, EntryId, Option<ActKind>, DeviceId, u64, EntryId) => (),
    acknowledged_at: (AcknowledgedBy, u64) => Timestamp,
    cuts: (ConversationId, DeviceId) => Cut,
    gaps: (ConversationId, DeviceId, u64) => Gap,
    frontiers: (ConversationId, DeviceId) => FrontierItem,
    acknowledgements: (ConversationId, DeviceId) => Acknowledgement,
    acknowledged: (ConversationId, DeviceId) => Acknowledged,
    own_receipts: ConversationId => OwnReceipts,
    deliveries: EntryId => Delivery,
    outbox: u64 => OutboxItem,
    forwards: PublishId => StoredForward,
    seen: PayloadHash => Timestamp,
    quarantine: PayloadHash => Quarantined,
    counters: Counter => u64,
}

impl Tables {
    /// The next number.
    pub(super) fn count(&mut self, counter: Counter) -> u64 {
        let number = self.counters.get(&counter).map_or(1, |last| last + 1);
        self.counters.put(counter, number);
        number
    }
}
