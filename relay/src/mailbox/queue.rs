use prost::Message;
use undertone_protocol::ids::MailboxId;

use crate::limits::Limits;
use crate::store::table::{Key, Table};
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

    /// (messages, bytes) that one mailbox may hold.
    pub(super) const fn quota(self, limits: &Limits) -> (u64, u64) {
        match self {
            Self::Zero => (limits.mailbox_class_0_messages_max, limits.mailbox_class_0_bytes_max),
            Self::One => (limits.mailbox_class_1_messages_max, limits.mailbox_class_1_bytes_max),
        }
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
