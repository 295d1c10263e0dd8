//! The store: an ordered map of bytes with atomic, durable batches (`spec/relay.md`, "What the relay stores").
//!
//! The seam is synchronous and small so that a backend can be written in an afternoon; every backend
//! passes the one suite in `conformance.rs`. Machines never see a backend: they read and write an
//! [`Overlay`], and the shell commits its [`Batch`] before anything that follows from it leaves.

mod batch;
mod error;
mod fjall;
mod memory;
mod overlay;

pub(crate) mod format;
pub(crate) mod owner;
pub(crate) mod table;
pub(crate) mod usage;
mod walk;

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use batch::Batch;
pub use error::StoreError;
pub use fjall::{FjallOptions, FjallStore};
pub use format::FORMAT;
pub use memory::MemoryStore;
pub use overlay::Overlay;
pub(crate) use walk::walk;

/// An ordered map from bytes to bytes.
pub trait Store: Send {
    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// At most `limit` pairs with `from <= key < to`, in ascending order of keys. Empty when `from >= to`.
    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError>;

    /// Applies all of `batch` or nothing; durable when it returns. After an error the store may refuse
    /// everything ([`StoreError::Poisoned`]): drop it, and open it anew.
    fn commit(&mut self, batch: Batch) -> Result<(), StoreError>;
}

impl<S: Store + ?Sized> Store for Box<S> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        (**self).get(key)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        (**self).range(from, to, limit)
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        (**self).commit(batch)
    }
}
