//! What a node keeps: the seam, and the two stores behind it.
//!
//! Everything that one input changes (entries, ratchets, outbox, dedup) is written in one transaction.
//! When [`NodeStore::transaction`] returns `Ok`, all of it survives a kill -9 and a power cut; when it
//! returns `Err`, none of it is there.

mod memory;
mod records;
mod sqlite;
mod transaction;

#[cfg(test)]
mod conformance;

pub use memory::MemoryStore;
pub use records::{
    Account, Acknowledged, AcknowledgedBy, Block, Contact, ContactState, Cut, CutReason, Delivery, Failure,
    Fault, Gap, Group, HomeRelay, Member, OlmSession, OutboxCounts, OutboxHead, OutboxItem, OutboxRecipient,
    OutboxState, OwnReceipts, PeerDevice, PendingItem, PendingRecipient, Purpose, Quarantined, Received,
    ReceiverKey, Retired, Revocation, SenderKey, SentItem, Standing, StoredEntry, StoredForward,
    StoredInvitation, SupersededKey,
};
pub use sqlite::{OpenError, SqliteStore};
pub use transaction::{
    AccountTx, ForwardsTx, GroupsTx, InboxTx, LogTx, NodeTx, OutboxTx, PairwiseTx, PeopleTx, ReceiptsTx,
    SenderKeysTx,
};

/// What to do when the database is damaged. A backup is an older store: nothing may go out of it.
const REMEDY: &str = "check the disk, then make a new device: `undertone init --recover` with your recovery phrase, or \
     `undertone device link`. A backup only shows what it holds";

/// What keeps a store from reading or writing. The disk, or whoever altered the file, is at fault.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database failed.
    #[error("the database failed ({0}): check that the disk is there and has room")]
    Database(String),
    /// A record does not make sense.
    #[error("the database holds a damaged {what} ({why}): {REMEDY}")]
    Damaged {
        /// Which record.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

/// A store of one account.
pub trait NodeStore {
    /// Runs `work` in one transaction: durable when this returns `Ok`, undone when `work` or the commit fails.
    fn transaction<R>(
        &mut self,
        work: impl FnOnce(&mut dyn NodeTx) -> Result<R, StoreError>,
    ) -> Result<R, StoreError>;
}
