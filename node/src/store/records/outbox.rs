use bytes::Bytes;
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId, RelayId, UserId};
use undertone_protocol::time::Timestamp;

/// Something sealed that must reach devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxItem {
    /// Ascending: lower goes out first. 0 when it is to be put; the store numbers it.
    pub id: u64,
    /// Items of one group go out in one publish.
    pub group: u64,
    /// What it is.
    pub purpose: Purpose,
    /// 0 or 1.
    pub class: u8,
    /// The sealed bytes; publishing again repeats them.
    pub payload: Bytes,
    /// Whom it is for.
    pub recipients: Vec<OutboxRecipient>,
    /// When it was sealed.
    pub created: Timestamp,
}

/// What an outbox item is, which decides how long it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An entry: until each device acknowledged it.
    Entry(EntryId),
    /// A key package that was made for this entry, and that later entries need too: until custody, and
    /// until each device acknowledged the entry.
    Key(EntryId),
    /// An acknowledgement entry of this conversation: until custody.
    Acknowledgement(ConversationId),
    /// A request or an accept to this user, with the entry inside, if one is: until custody.
    Introduction(UserId),
    /// A retry receipt to this user: until custody.
    Retry(UserId),
    /// A copy of an entry for the user's own other devices: until custody. One that is lost after that goes as history.
    OwnEntry(EntryId),
    /// A key package that goes with such copies: until custody.
    OwnKey(EntryId),
    /// An acknowledgement entry of this conversation for the user's own other devices: until custody.
    OwnAcknowledgement(ConversationId),
    /// Entries of this conversation that another device of the user lacks: until custody.
    History(ConversationId),
    /// What makes this new device one of the user's: until custody.
    Link(DeviceId),
    /// A device list, back to its user who started anew: until custody.
    DeviceList(UserId),
    /// What another device is told of this group, or who this one is in it: until custody.
    Group(ConversationId),
}

/// One recipient of an outbox item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRecipient {
    /// The device.
    pub device: DeviceId,
    /// Its user.
    pub user: UserId,
    /// How far the item has come on its way there.
    pub state: OutboxState,
}

/// How far an outbox item has come on its way to one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutboxState {
    /// It must be published.
    Pending {
        /// How often it was tried.
        attempts: u32,
        /// Not before this.
        not_before: Timestamp,
    },
    /// A relay signed for it.
    Custody {
        /// Which relay.
        relay: RelayId,
        /// It holds the item until then.
        held_until: Timestamp,
    },
    /// The device acknowledged it.
    Acknowledged,
    /// It can't be delivered to this device.
    Failed,
    /// It is not sealed for this device, which could not be reached: the device gets it when it can be, and lacks it.
    LeftOut,
}

impl OutboxItem {
    /// Whether it must be published to some recipient.
    pub fn is_pending(&self) -> bool {
        self.recipients.iter().any(|recipient| matches!(recipient.state, OutboxState::Pending { .. }))
    }

    /// When the latest custody ends for a user of whom no device acknowledged; `None` when there is none.
    pub fn custody_ends(&self) -> Option<Timestamp> {
        let has_acknowledged = |user: &UserId| {
            self.recipients
                .iter()
                .any(|other| other.user == *user && other.state == OutboxState::Acknowledged)
        };
        let waiting = self.recipients.iter().filter(|recipient| !has_acknowledged(&recipient.user));
        waiting
            .filter_map(|recipient| match recipient.state {
                OutboxState::Custody { held_until, .. } => Some(held_until),
                _ => None,
            })
            .max()
    }
}
