//! What a node keeps, as its engine sees it. How a store lays it out is the store's affair.

mod account;
mod encryption;
mod forwards;
mod groups;
mod inbox;
mod log;
mod outbox;
mod people;
mod receipts;

pub use account::{Account, Fault, HomeRelay, Received, Retired, SupersededKey};
pub use encryption::{OlmSession, ReceiverKey, SenderKey};
pub use forwards::{SentItem, StoredForward};
pub use groups::{Group, Member, Standing};
pub use inbox::Quarantined;
pub use log::{Cut, CutReason, Gap, StoredEntry};
pub(super) use log::{expiry, said};
pub use outbox::{
    OutboxCounts, OutboxHead, OutboxItem, OutboxRecipient, OutboxState, PendingItem, PendingRecipient,
    Purpose,
};
pub use people::{Block, Contact, ContactState, PeerDevice, Revocation, StoredInvitation};
pub use receipts::{Acknowledged, AcknowledgedBy, Delivery, Failure, OwnReceipts};
