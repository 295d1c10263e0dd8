use std::collections::BTreeMap;

use bytes::Bytes;

use super::{Batch, Store, StoreError};

/// A store together with writes that are not committed yet. Reads see the writes.
///
/// One overlay may carry many inputs through the machines, so that one fsync serves them all. Dropping
/// it is what a crash before the commit would do.
pub struct Overlay<'a, S: ?Sized> {
    base: &'a S,
    batch: Batch,
}

impl<'a, S: Store + ?Sized> Overlay<'a, S> {
    /// Nothing written yet.
    pub fn new(base: &'a S) -> Self {
        Self { base, batch: Batch::default() }
    }

    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.batch.pending(key) {
            Some(value) => Ok(value.clone()),
            None => self.base.get(key),
        }
    }

    /// Like [`Store::range`].
    pub fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        // Each pending removal hides at most one pair of the base, so this many are enough.
        let removed = self.batch.pending_range(from, to).filter(|(_, value)| value.is_none()).count();
        let found = self.base.range(from, to, limit.saturating_add(removed))?;
        let mut merged: BTreeMap<Bytes, Bytes> = found.into_iter().collect();
        for (key, value) in self.batch.pending_range(from, to) {
            match value {
                Some(value) => merged.insert(key.clone(), value.clone()),
                None => merged.remove(key),
            };
        }
        Ok(merged.into_iter().take(limit).collect())
    }

    /// Sets `key` in the overlay.
    pub fn put(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.batch.put(key, value);
    }

    /// Removes `key` in the overlay.
    pub fn delete(&mut self, key: impl Into<Bytes>) {
        self.batch.delete(key);
    }

    /// How many keys are written; the shell commits early when an overlay has grown.
    pub fn pending(&self) -> usize {
        self.batch.len()
    }

    /// The writes, to be committed.
    pub fn into_batch(self) -> Batch {
        self.batch
    }
}
