//! The format record: which layout of keys and values a store has.

use bytes::Bytes;

use super::table::Table;
use super::{Store, StoreError};

/// The layout that this build reads and writes. It grows with every change that old builds can't read.
pub const FORMAT: u32 = 6;
/// The oldest layout that `migration` brings up to this one.
pub(super) const FORMAT_OLDEST: u32 = 3;

/// Where the record is.
pub(crate) fn key() -> Bytes {
    Table::Format.key().into()
}

/// Where a backend that counts its commits keeps their number.
pub(super) fn commits_key() -> Bytes {
    Table::Commits.key().into()
}

/// The format of a store; `None` when it was never marked.
pub(crate) fn found<S: Store + ?Sized>(store: &S) -> Result<Option<u32>, StoreError> {
    let Some(bytes) = store.get(&key())? else { return Ok(None) };
    let bytes = bytes.as_ref().try_into().map_err(|_| StoreError::Corrupt { what: "format record" })?;
    Ok(Some(u32::from_be_bytes(bytes)))
}
