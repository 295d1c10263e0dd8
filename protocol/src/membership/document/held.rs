//! The operations that are held, parents first.

use std::collections::{BTreeMap, BTreeSet};

use super::carrier::{Carried, carry};
use crate::ids::{CertificateHash, DeviceId, OperationHash, UserId};
use crate::membership::operation::SignedOperation;

/// Held operations, in an order in which parents come first.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    rows: Vec<Row>,
    by_hash: BTreeMap<OperationHash, usize>,
    owners: BTreeMap<CertificateHash, Owner>,
}

/// One held operation.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) hash: OperationHash,
    pub(super) signed: SignedOperation,
    /// Its Automerge op.
    pub(super) number: u64,
    parents: Vec<usize>,
}

/// Whose device a certificate certifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) user: UserId,
    pub(super) device: DeviceId,
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

    pub(super) fn into_rows(self) -> Vec<Row> {
        self.rows
    }

    pub(super) fn owners(&self) -> &BTreeMap<CertificateHash, Owner> {
        &self.owners
    }

    /// The change that carries these bytes, or the first parent that is not held.
    pub(super) fn carry(&self, bytes: &[u8], parents: &[OperationHash]) -> Result<Carried, OperationHash> {
        let number = |parent: &OperationHash| self.find(parent).map(|row| row.number).ok_or(*parent);
        let numbers: Vec<u64> = parents.iter().map(number).collect::<Result<_, _>>()?;
        Ok(carry(bytes, parents, numbers.into_iter().max().unwrap_or_default()))
    }

    /// Keeps an operation whose parents are held, and which is not.
    pub(super) fn push(&mut self, hash: OperationHash, number: u64, signed: SignedOperation, owner: Owner) {
        let operation = &signed.operation;
        self.owners.insert(operation.certificate, owner);
        self.by_hash.insert(hash, self.rows.len());
        let parents =
            operation.parents.iter().filter_map(|parent| self.by_hash.get(parent).copied()).collect();
        self.rows.push(Row { hash, signed, number, parents });
    }

    /// The rows that `leads` chooses with all that they stand on, but for the heads and what those stand on. Parents
    /// come first, and what was not chosen comes right before the first that stands on it.
    pub(super) fn beyond(&self, heads: &[OperationHash], leads: impl Fn(usize) -> bool) -> Vec<&Row> {
        let mut done = self.below(heads);
        let mut found = Vec::new();
        for at in 0..self.rows.len() {
            if leads(at) {
                self.with_past(at, &mut done, &mut found);
            }
        }
        found
    }

    /// What these stand on, themselves included: by row.
    fn below(&self, heads: &[OperationHash]) -> Vec<bool> {
        let mut below = vec![false; self.rows.len()];
        for at in heads.iter().filter_map(|head| self.by_hash.get(head)) {
            if let Some(below) = below.get_mut(*at) {
                *below = true;
            }
        }
        // Parents come first: backwards, whoever stands on an operation was looked at before it.
        for (at, row) in self.rows.iter().enumerate().rev() {
            if below.get(at) == Some(&true) {
                for parent in &row.parents {
                    if let Some(below) = below.get_mut(*parent) {
                        *below = true;
                    }
                }
            }
        }
        below
    }

    /// One and what it stands on, parents first, but for what was done already.
    fn with_past<'a>(&'a self, at: usize, done: &mut [bool], found: &mut Vec<&'a Row>) {
        let mut path = BTreeSet::new();
        let mut open = vec![at];
        while let Some(at) = open.pop() {
            if let (Some(row), Some(done @ false)) = (self.rows.get(at), done.get_mut(at)) {
                *done = true;
                path.insert(at);
                open.extend(&row.parents);
            }
        }
        found.extend(path.iter().filter_map(|at| self.rows.get(*at)));
    }

    /// These and what they stand on, but for what `known` names and what that stands on; parents first.
    pub(super) fn past_of(&self, wanted: &[OperationHash], known: &[OperationHash]) -> Vec<&Row> {
        let wanted = self.below(wanted);
        self.beyond(known, |at| wanted.get(at) == Some(&true))
    }

    /// These and all that stands on them, by hash.
    pub(super) fn above(&self, gone: BTreeSet<OperationHash>) -> BTreeSet<OperationHash> {
        let mut above = gone;
        for row in &self.rows {
            if row.signed.operation.parents.iter().any(|parent| above.contains(parent)) {
                above.insert(row.hash);
            }
        }
        above
    }
}

impl Row {
    /// The change that carries the operation.
    pub(super) fn carried(&self) -> Carried {
        carry(&self.signed.bytes, &self.signed.operation.parents, self.number.saturating_sub(1))
    }
}
