use std::collections::BTreeMap;

use bytes::Bytes;

/// Writes that are applied together, in the order of their keys; the last write of a key counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    writes: BTreeMap<Bytes, Option<Bytes>>,
}

impl Batch {
    /// Sets `key`.
    pub fn put(&mut self, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.writes.insert(key.into(), Some(value.into()));
    }

    /// Removes `key`, if it is there.
    pub fn delete(&mut self, key: impl Into<Bytes>) {
        self.writes.insert(key.into(), None);
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// How many keys are written.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// What was written to `key`: `None` nothing, `Some(None)` a removal.
    pub(super) fn pending(&self, key: &[u8]) -> Option<&Option<Bytes>> {
        self.writes.get(key)
    }

    /// The writes with `from <= key < to`; the caller has checked `from < to`.
    pub(super) fn pending_range(
        &self,
        from: &[u8],
        to: &[u8],
    ) -> impl Iterator<Item = (&Bytes, &Option<Bytes>)> {
        use std::ops::Bound::{Excluded, Included};
        self.writes.range::<[u8], _>((Included(from), Excluded(to)))
    }
}

impl IntoIterator for Batch {
    type Item = (Bytes, Option<Bytes>);
    type IntoIter = std::collections::btree_map::IntoIter<Bytes, Option<Bytes>>;

    /// Keys in ascending order; `None` is a removal.
    fn into_iter(self) -> Self::IntoIter {
        self.writes.into_iter()
    }
}
