//! How much the store holds, for the disk quota.

use prost::Message;

use super::table::Table;
use super::{Overlay, Store, StoreError};

const WHAT: &str = "usage record";

/// Totals over the whole store.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Usage {
    /// Bytes, as the disk quota counts them.
    #[prost(uint64, tag = "1")]
    pub(crate) disk_bytes: u64,
    /// Registered mailboxes.
    #[prost(uint64, tag = "2")]
    pub(crate) mailboxes: u64,
}

/// The totals.
pub(crate) fn usage<S: Store + ?Sized>(tx: &Overlay<'_, S>) -> Result<Usage, StoreError> {
    Ok(tx.read(WHAT, &Table::Usage.key())?.unwrap_or_default())
}

/// Changes the totals.
pub(crate) fn change<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    change: impl FnOnce(&mut Usage),
) -> Result<(), StoreError> {
    let mut usage = usage(tx)?;
    change(&mut usage);
    tx.write(Table::Usage.key(), &usage);
    Ok(())
}

/// Whether `more` bytes fit below `max`.
pub(crate) fn fits<S: Store + ?Sized>(tx: &Overlay<'_, S>, more: u64, max: u64) -> Result<bool, StoreError> {
    Ok(usage(tx)?.disk_bytes.saturating_add(more) <= max)
}
