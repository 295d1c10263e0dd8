use prost::Message;
use undertone_protocol::ids::MailboxId;

use crate::limits::Limits;
use crate::store::table::{Key, Table};
use crate::store::usage::{self, MARK_DISK_BYTES};
use crate::store::{Overlay, Store, StoreError};

/// A class that is kept: class 2 never reaches a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DurableClass {
    /// Messages, keys, membership.
    Zero,
    /// Acknowledgements.
    One,
}

impl DurableClass {
    /// Both, in the order of their priority.
    pub(crate) const ALL: [Self; 2] = [Self::Zero, Self::One];

    /// As the wire numbers it; `None` for a class that is not kept.
    pub(crate) const fn from_wire(class: u32) -> Option<Self> {
        match class {
            0 => Some(Self::Zero),
            1 => Some(Self::One),
            _ => None,
        }
    }

    /// As the wire numbers it.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Zero => 0,
            Self::One => 1,
        }
    }

    /// What one mailbox may hold.
    pub(super) const fn quota(self, limits: &Limits) -> Quota {
        match self {
            Self::Zero => Quota {
                messages_max: limits.mailbox_class_0_messages_max,
                bytes_max: limits.mailbox_class_0_bytes_max,
                known_messages_max: limits.mailbox_class_0_known_messages_max,
            },
            Self::One => Quota {
                messages_max: limits.mailbox_class_1_messages_max,
                bytes_max: limits.mailbox_class_1_bytes_max,
                known_messages_max: limits.mailbox_class_1_known_messages_max,
            },
        }
    }
}

/// The bounds of one sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Quota {
    messages_max: u64,
    bytes_max: u64,
    /// Entries and acknowledged marks together: an acknowledgement, which must always go through, turns one into
    /// the other.
    known_messages_max: u64,
}

impl Quota {
    /// Whether a payload of `size` bytes may join what is there.
    pub(super) fn has_room(&self, queue: &Queue, size: u32) -> bool {
        queue.messages < self.messages_max
            && queue.messages.saturating_add(queue.remembered) < self.known_messages_max
            && queue.bytes.saturating_add(u64::from(size)) <= self.bytes_max
    }
}

/// One sequence and what it holds.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Queue {
    /// The newest number that was given; 0: none yet.
    #[prost(uint64, tag = "1")]
    pub(crate) last_seq: u64,
    /// The device has acknowledged everything up to here.
    #[prost(uint64, tag = "2")]
    pub(crate) acked_through: u64,
    /// Entries held.
    #[prost(uint64, tag = "3")]
    pub(crate) messages: u64,
    /// Bytes of their payloads.
    #[prost(uint64, tag = "4")]
    pub(crate) bytes: u64,
    /// Acknowledged payloads that are remembered for deduplication.
    #[prost(uint64, tag = "5")]
    pub(crate) remembered: u64,
}

fn key(mailbox: &MailboxId, class: DurableClass) -> Key {
    Table::Queue.key().part(mailbox.as_bytes()).part(&[class.number()])
}

/// The state of one sequence.
pub(crate) fn queue<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    mailbox: &MailboxId,
    class: DurableClass,
) -> Result<Queue, StoreError> {
    Ok(tx.read("queue", &key(mailbox, class))?.unwrap_or_default())
}

pub(super) fn write_queue<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    mailbox: &MailboxId,
    class: DurableClass,
    queue: &Queue,
) {
    tx.write(key(mailbox, class), queue);
}

/// Forgets acknowledged payloads of a sequence: their marks are the caller's.
pub(super) fn forget_remembered<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    mailbox: &MailboxId,
    class: DurableClass,
    count: u64,
) -> Result<(), StoreError> {
    let mut queue = queue(tx, mailbox, class)?;
    queue.remembered = queue.remembered.saturating_sub(count);
    write_queue(tx, mailbox, class, &queue);
    usage::release(tx, count * MARK_DISK_BYTES)
}
