use undertone_protocol::ids::{ConversationId, DeviceId, EntryId};
use undertone_protocol::log::Frontier;
use undertone_protocol::receipts::{Denial, Tick};

/// How far a message of this device has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message.
    pub entry: EntryId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// Its number in this device's chain.
    pub seq: u64,
    /// Whether it is sealed and in the outbox (or beyond); else it waits for a key or an acceptance.
    pub sealed: bool,
    /// How far it has come; never goes back.
    pub tick: Tick,
    /// Why it does not get further.
    pub failed: Option<Failure>,
}

impl Delivery {
    /// Whether the message counts nowhere, whatever becomes of it.
    pub fn is_void(&self) -> bool {
        self.failed == Some(Failure::Copied)
    }
}

/// Why a message does not get further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// No device of the recipient acknowledged it in time.
    Expired,
    /// A relay refused it.
    Denied(Denial),
    /// A relay takes nothing of this size.
    TooLarge {
        /// What it takes.
        bytes_max: u32,
    },
    /// The recipient's relay could not be reached for as long as a home relay tried.
    Unreachable,
    /// A copy of this device's store wrote an entry with its number, or a lower one: it counts nowhere.
    Copied,
}

impl Failure {
    /// Whether it is another matter when the user tries again. What is too large would only be refused again.
    pub const fn may_pass(self) -> bool {
        match self {
            Self::Expired | Self::Denied(_) | Self::Unreachable => true,
            Self::TooLarge { .. } | Self::Copied => false,
        }
    }
}

/// What this device says about a conversation in its acknowledgement entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OwnReceipts {
    /// The count of the last one made.
    pub counter: u64,
    /// What the user has read.
    pub read: Frontier,
    /// Whether something changed since the last one made.
    pub due: bool,
    /// Whether the user's own other devices have to be told.
    pub own_due: bool,
}

/// What a device ever acknowledged of a conversation. It stays acknowledged, whatever the device says later: one that
/// lost what it had is another device.
///
/// Of this device itself: how far what the user wrote on other devices was shown to have come, for it acknowledges nothing to
/// itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Acknowledged {
    /// What it has. Of this device's messages, those that were taken in.
    pub delivered: Frontier,
    /// What its user has read, likewise.
    pub read: Frontier,
    /// Of this device's messages, the first number from which on the newest acknowledgement was not taken in yet;
    /// `None`: it was.
    pub next: Option<u64>,
}

/// Whose acknowledgement of whose entries: to say when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AcknowledgedBy {
    /// The conversation.
    pub conversation: ConversationId,
    /// Who acknowledged.
    pub device: DeviceId,
    /// Who wrote the entries.
    pub author: DeviceId,
    /// As read, or as delivered.
    pub read: bool,
}
