//! What a transaction reads and writes, by topic.

mod carried;
mod encryption;
mod log;
mod people;

pub use carried::{ForwardsTx, InboxTx, OutboxTx};
pub use encryption::{PairwiseTx, SenderKeysTx};
pub use log::{LogTx, ReceiptsTx};
pub use people::{AccountTx, GroupsTx, PeopleTx};

/// A transaction: reads see its own writes. "put" inserts or replaces.
pub trait NodeTx:
    AccountTx
    + PeopleTx
    + GroupsTx
    + PairwiseTx
    + SenderKeysTx
    + LogTx
    + ReceiptsTx
    + OutboxTx
    + ForwardsTx
    + InboxTx
{
}

impl<T> NodeTx for T where
    T: AccountTx
        + PeopleTx
        + GroupsTx
        + PairwiseTx
        + SenderKeysTx
        + LogTx
        + ReceiptsTx
        + OutboxTx
        + ForwardsTx
        + InboxTx
{
}
