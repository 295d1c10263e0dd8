//! Operations that wait for something, of each supplier no more than it may have here.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{CertificateHash, DeviceId, OperationHash};
use crate::limits::{WAITING_BYTES_MAX, WAITING_OPERATIONS_MAX, WAITING_SUPPLIERS_MAX};
use crate::membership::operation::SignedOperation;

/// What an operation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Missing {
    /// One that it stands on.
    Operation(OperationHash),
    /// The certificate that says whose device signed it.
    Certificate(CertificateHash),
}

/// BLAKE3 of an operation's bytes: what it is called before its parents are known.
type Digest = [u8; 32];

/// Operations with good form and signature, each under one thing that it lacks.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting {
    suppliers: BTreeMap<DeviceId, Supplied>,
    by_missing: BTreeMap<Missing, BTreeSet<(DeviceId, Digest)>>,
}

#[derive(Debug, Clone, Default)]
struct Supplied {
    operations: BTreeMap<Digest, (SignedOperation, Missing)>,
    bytes: usize,
}

impl Supplied {
    fn has_room(&self, bytes: usize) -> bool {
        self.operations.len() < WAITING_OPERATIONS_MAX
            && self.bytes.saturating_add(bytes) <= WAITING_BYTES_MAX
    }
}

fn digest(operation: &SignedOperation) -> Digest {
    *blake3::hash(&operation.bytes).as_bytes()
}

impl Waiting {
    pub(super) fn len(&self) -> usize {
        self.suppliers.values().map(|supplied| supplied.operations.len()).sum()
    }

    pub(super) fn suppliers(&self) -> impl Iterator<Item = DeviceId> {
        self.suppliers.keys().copied()
    }

    /// Lets an operation wait, if there is room for it. What is there already stays as it is.
    ///
    /// Without room the new one is dropped, never an older one of somebody else: a supplier takes nothing from
    /// others.
    pub(super) fn put(&mut self, supplier: DeviceId, operation: SignedOperation, missing: Missing) -> bool {
        let is_new = !self.suppliers.contains_key(&supplier);
        if is_new && self.suppliers.len() >= WAITING_SUPPLIERS_MAX {
            return false;
        }
        let digest = digest(&operation);
        let supplied = self.suppliers.entry(supplier).or_default();
        if supplied.operations.contains_key(&digest) {
            return true;
        }
        if !supplied.has_room(operation.bytes.len()) {
            return false;
        }
        supplied.bytes = supplied.bytes.saturating_add(operation.bytes.len());
        supplied.operations.insert(digest, (operation, missing));
        self.by_missing.entry(missing).or_default().insert((supplier, digest));
        true
    }

    /// Takes out what waits for this, with its suppliers.
    pub(super) fn take(&mut self, missing: &Missing) -> Vec<(DeviceId, SignedOperation)> {
        let slots = self.by_missing.remove(missing).unwrap_or_default();
        slots.into_iter().filter_map(|(supplier, digest)| self.remove(supplier, &digest)).collect()
    }

    fn remove(&mut self, supplier: DeviceId, digest: &Digest) -> Option<(DeviceId, SignedOperation)> {
        let supplied = self.suppliers.get_mut(&supplier)?;
        let (operation, _) = supplied.operations.remove(digest)?;
        supplied.bytes = supplied.bytes.saturating_sub(operation.bytes.len());
        if supplied.operations.is_empty() {
            self.suppliers.remove(&supplier);
        }
        Some((supplier, operation))
    }

    /// Drops what a supplier brought.
    pub(super) fn forget(&mut self, supplier: &DeviceId) {
        let supplied = self.suppliers.remove(supplier).unwrap_or_default();
        for (digest, (_, missing)) in supplied.operations {
            if let Some(slots) = self.by_missing.get_mut(&missing) {
                slots.remove(&(*supplier, digest));
                if slots.is_empty() {
                    self.by_missing.remove(&missing);
                }
            }
        }
    }

    /// What is waited for, ascending.
    pub(super) fn missing(&self) -> impl Iterator<Item = Missing> {
        self.by_missing.keys().copied()
    }
}
