use std::collections::BTreeSet;

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
    /// Whom it is for: no device twice.
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

/// What an outbox item is, without its payload and recipients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboxHead {
    /// Its number.
    pub id: u64,
    /// What it is.
    pub purpose: Purpose,
    /// When it was sealed.
    pub created: Timestamp,
    /// [`OutboxItem::custody_ends`].
    pub custody_ends: Option<Timestamp>,
    /// How far it has come.
    pub counts: OutboxCounts,
}

/// How many recipients of an outbox item are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    /// It must be published to them.
    pub pending: usize,
    /// A relay holds it for them.
    pub custody: usize,
    /// They acknowledged it.
    pub acknowledged: usize,
    /// It can't be delivered to them.
    pub failed: usize,
    /// It is not sealed for them.
    pub left_out: usize,
}

/// An outbox item that must be published, with those of its recipients that it must be published to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingItem {
    /// Its number.
    pub id: u64,
    /// Items of one group go out in one publish.
    pub group: u64,
    /// What it is.
    pub purpose: Purpose,
    /// 0 or 1.
    pub class: u8,
    /// The sealed bytes.
    pub payload: Bytes,
    /// In the item's order.
    pub recipients: Vec<PendingRecipient>,
    /// When it was sealed.
    pub created: Timestamp,
}

/// A recipient that an outbox item must be published to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PendingRecipient {
    /// The device.
    pub device: DeviceId,
    /// Its user.
    pub user: UserId,
    /// Not before this.
    pub not_before: Timestamp,
}

/// One recipient of an outbox item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

impl OutboxCounts {
    /// Counts one more, or one less.
    pub(crate) const fn of_mut(&mut self, state: OutboxState) -> &mut usize {
        match state {
            OutboxState::Pending { .. } => &mut self.pending,
            OutboxState::Custody { .. } => &mut self.custody,
            OutboxState::Acknowledged => &mut self.acknowledged,
            OutboxState::Failed => &mut self.failed,
            OutboxState::LeftOut => &mut self.left_out,
        }
    }

    /// How many recipients there are.
    pub const fn all(&self) -> usize {
        self.pending + self.custody + self.acknowledged + self.failed + self.left_out
    }

    /// Whether it must be published to some recipient.
    pub const fn is_pending(&self) -> bool {
        self.pending > 0
    }

    /// Whether every recipient has acknowledged it.
    pub const fn is_acknowledged(&self) -> bool {
        self.acknowledged == self.all()
    }

    /// Whether no recipient gets it any more.
    pub const fn is_failed(&self) -> bool {
        self.failed + self.left_out == self.all()
    }
}

impl OutboxItem {
    /// Whether it must be published to some recipient.
    pub fn is_pending(&self) -> bool {
        self.counts().is_pending()
    }

    /// How many recipients are in each state.
    pub fn counts(&self) -> OutboxCounts {
        let mut counts = OutboxCounts::default();
        for recipient in &self.recipients {
            *counts.of_mut(recipient.state) += 1;
        }
        counts
    }

    /// What it is, without its payload and recipients.
    pub fn head(&self) -> OutboxHead {
        let Self { id, purpose, created, .. } = *self;
        OutboxHead { id, purpose, created, custody_ends: self.custody_ends(), counts: self.counts() }
    }

    /// Of each recipient, whether it is in custody and no device of its user acknowledged.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = bool> {
        let acknowledged = self.recipients.iter().filter(|to| to.state == OutboxState::Acknowledged);
        let acknowledged: BTreeSet<UserId> = acknowledged.map(|to| to.user).collect();
        self.recipients.iter().map(move |to| {
            matches!(to.state, OutboxState::Custody { .. }) && !acknowledged.contains(&to.user)
        })
    }

    /// When the latest custody ends for a user of whom no device acknowledged; `None` when there is none.
    pub fn custody_ends(&self) -> Option<Timestamp> {
        let awaited = self.recipients.iter().zip(self.awaited()).filter(|(_, is_awaited)| *is_awaited);
        let ends = awaited.filter_map(|(recipient, _)| match recipient.state {
            OutboxState::Custody { held_until, .. } => Some(held_until),
            _ => None,
        });
        ends.max()
    }
}
