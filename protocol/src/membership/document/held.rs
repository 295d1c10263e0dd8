//! The operations that are held, parents first.

use std::collections::BTreeMap;

use super::carrier::{Carried, carry};
use crate::ids::{CertificateHash, DeviceId, OperationHash, UserId};
use crate::limits::OPERATIONS_PER_DEVICE_MAX;
use crate::membership::operation::SignedOperation;

/// Held operations, in an order in which parents come first.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    rows: Vec<Row>,
    by_hash: BTreeMap<OperationHash, usize>,
    devices: BTreeMap<DeviceId, Written>,
    owners: BTreeMap<CertificateHash, Owner>,
}

/// One held operation.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) hash: OperationHash,
    pub(super) signed: SignedOperation,
    /// Its Automerge op.
    number: u64,
    parents: Vec<usize>,
}

/// Whose device a certificate certifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) user: UserId,
    pub(super) device: DeviceId,
}

/// What a device wrote.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    operations: usize,
    next_number: u32,
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(super) fn find(&self, hash: &OperationHash) -> Option<&Row> {
        self.rows.get(*self.by_hash.get(hash)?)
    }

    pub(super) fn contains(&self, hash: &OperationHash) -> bool {
        self.by_hash.contains_key(hash)
    }

    pub(super) fn owners(&self) -> &BTreeMap<CertificateHash, Owner> {
        &self.owners
    }

    /// The number that the device's next operation has; `None`: it may not write any more.
    pub(super) fn next_number(&self, device: &DeviceId) -> Option<u32> {
        let number = self.devices.get(device).map_or(0, |written| written.next_number);
        usize::try_from(number).is_ok_and(|number| number < OPERATIONS_PER_DEVICE_MAX).then_some(number)
    }

    /// Whether the device wrote as much as it may.
    pub(super) fn is_full(&self, device: &DeviceId) -> bool {
        self.devices.get(device).is_some_and(|written| written.operations >= OPERATIONS_PER_DEVICE_MAX)
    }

    /// The change that carries these bytes, or the first parent that is not held.
    pub(super) fn carry(&self, bytes: &[u8], parents: &[OperationHash]) -> Result<Carried, OperationHash> {
        let number = |parent: &OperationHash| self.find(parent).map(|row| row.number).ok_or(*parent);
        let numbers: Vec<u64> = parents.iter().map(number).collect::<Result<_, _>>()?;
        Ok(carry(bytes, parents, numbers.into_iter().max().unwrap_or_default()))
    }

    /// The changes of all operations, in order.
    pub(super) fn carried(&self) -> impl Iterator<Item = Carried> {
        let below = |row: &Row| row.number.saturating_sub(1);
        self.rows.iter().map(move |row| carry(&row.signed.bytes, &row.signed.operation.parents, below(row)))
    }

    /// Keeps an operation whose parents are held, and which is not.
    pub(super) fn push(&mut self, carried: &Carried, signed: SignedOperation, owner: Owner) {
        let operation = &signed.operation;
        let written = self.devices.entry(operation.device).or_default();
        written.operations = written.operations.saturating_add(1);
        written.next_number = written.next_number.max(operation.number.saturating_add(1));
        self.owners.insert(operation.certificate, owner);
        self.by_hash.insert(carried.hash, self.rows.len());
        let parents =
            operation.parents.iter().filter_map(|parent| self.by_hash.get(parent).copied()).collect();
        self.rows.push(Row { hash: carried.hash, signed, number: carried.number.get(), parents });
    }

    /// What is none of these, and none of them stands on, in order.
    pub(super) fn beyond(&self, heads: &[OperationHash]) -> impl Iterator<Item = &Row> {
        let mut known = vec![false; self.rows.len()];
        for at in heads.iter().filter_map(|head| self.by_hash.get(head)) {
            if let Some(known) = known.get_mut(*at) {
                *known = true;
            }
        }
        // Parents come first: backwards, whoever stands on an operation was looked at before it.
        for (at, row) in self.rows.iter().enumerate().rev() {
            if known.get(at) == Some(&true) {
                for parent in &row.parents {
                    if let Some(known) = known.get_mut(*parent) {
                        *known = true;
                    }
                }
            }
        }
        self.rows.iter().zip(known).filter(|(_, known)| !known).map(|(row, _)| row)
    }
}
