//! Operations that nothing holds by, as yet: of forked devices, with who brought them.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{DeviceId, OperationHash};
use crate::limits::{ASIDE_OPERATIONS_MAX, ASIDE_SUPPLIERS_MAX};

/// They stay while one of their suppliers does, or until something anchors them.
#[derive(Debug, Clone, Default)]
pub(super) struct Aside {
    suppliers: BTreeMap<DeviceId, BTreeSet<OperationHash>>,
    by_hash: BTreeMap<OperationHash, BTreeSet<DeviceId>>,
}

impl Aside {
    pub(super) fn len(&self) -> usize {
        self.by_hash.len()
    }

    pub(super) fn contains(&self, hash: &OperationHash) -> bool {
        self.by_hash.contains_key(hash)
    }

    pub(super) fn suppliers(&self) -> impl Iterator<Item = DeviceId> {
        self.suppliers.keys().copied()
    }

    pub(super) fn has_room(&self, supplier: &DeviceId) -> bool {
        match self.suppliers.get(supplier) {
            Some(brought) => brought.len() < ASIDE_OPERATIONS_MAX,
            None => self.suppliers.len() < ASIDE_SUPPLIERS_MAX,
        }
    }

    /// A supplier brings it, and has room for it or goes without.
    pub(super) fn put(&mut self, supplier: DeviceId, hash: OperationHash) {
        if self.has_room(&supplier) {
            self.suppliers.entry(supplier).or_default().insert(hash);
            self.by_hash.entry(hash).or_default().insert(supplier);
        }
    }

    /// It is anchored.
    pub(super) fn take(&mut self, hash: &OperationHash) {
        for supplier in self.by_hash.remove(hash).unwrap_or_default() {
            if let Some(brought) = self.suppliers.get_mut(&supplier) {
                brought.remove(hash);
                if brought.is_empty() {
                    self.suppliers.remove(&supplier);
                }
            }
        }
    }

    /// What is left without a supplier when this one goes.
    pub(super) fn forget(&mut self, supplier: &DeviceId) -> BTreeSet<OperationHash> {
        let brought = self.suppliers.remove(supplier).unwrap_or_default();
        let mut gone = BTreeSet::new();
        for hash in brought {
            if let Some(others) = self.by_hash.get_mut(&hash) {
                others.remove(supplier);
                if others.is_empty() {
                    self.by_hash.remove(&hash);
                    gone.insert(hash);
                }
            }
        }
        gone
    }
}
