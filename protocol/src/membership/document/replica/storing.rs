//! How a document is kept, and read back.

use std::collections::BTreeMap;

use super::super::carrier::{ExportError, export};
use super::super::held::{Owner, Row};
use super::super::proof::{Proof, is_of_group};
use super::super::saved::{LoadError, damaged, decode, encode, encode_since};
use super::Document;
use crate::codec::Label;
use crate::ids::{CertificateHash, OperationHash};
use crate::membership::operation::SignedOperation;

impl Document {
    /// For a device's own store. What waits, or holds by nothing, is left out: it comes again.
    pub fn save(&self) -> Vec<u8> {
        encode(&self.group, &self.held, &self.aside, self.proofs.values())
    }

    /// What came since [`Self::len`] was `from` and [`Self::aside`] was 0: to be stored behind what was saved then, for
    /// [`Self::load_parts`]. `None` while something is held aside: then all is saved anew.
    pub fn save_since(&self, from: usize) -> Option<Vec<u8>> {
        let is_plain = self.aside.len() == 0 && from <= self.held.len();
        is_plain.then(|| encode_since(&self.group, &self.held, from, self.proofs.values()))
    }

    /// From a device's own store. Checks that the bytes are those that were saved, that each change is the one that
    /// carries its operation, and that each operation stands where it may. The devices' signatures were checked when
    /// the operations were taken, and are not again: 0.05 ms each. So this is not for bytes from outside, for which
    /// [`Self::check_signatures`] must be called too.
    pub fn load(bytes: &[u8]) -> Result<Self, LoadError> {
        Self::load_parts(&[bytes])
    }

    /// The same, of what was saved and what [`Self::save_since`] gave then, in order.
    pub fn load_parts(parts: &[impl AsRef<[u8]>]) -> Result<Self, LoadError> {
        let saved = parts.iter().map(|part| decode(part.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let group = saved.first().ok_or_else(|| damaged("nothing of it is there"))?.group;
        if saved.iter().any(|part| part.group != group) {
            return Err(damaged("a part is of another group"));
        }
        let mut document = Self::new(group);
        let mut owners: BTreeMap<CertificateHash, Owner> = BTreeMap::new();
        let mut operations = Vec::new();
        for part in saved {
            owners.extend(part.owners);
            operations.extend(part.operations);
            for [one, other] in part.proofs {
                let read =
                    |signed| SignedOperation::from_stored(signed).map_err(|error| damaged(error.to_string()));
                let proof = Proof::of(&read(one)?, &read(other)?);
                document.prove(proof.ok_or_else(|| damaged("two operations prove nothing"))?);
            }
        }
        for (signed, chunk) in operations {
            let signed = SignedOperation::from_stored(signed).map_err(|error| damaged(error.to_string()))?;
            let operation = &signed.operation;
            if !is_of_group(document.group, operation, &signed.bytes) {
                return Err(damaged("an operation is of another group"));
            }
            let carried = document.held.carry(&signed.bytes, &operation.parents);
            let carried = carried.map_err(|_| damaged("a parent is missing"))?;
            let owner = owners.get(&operation.certificate);
            let owner = *owner.ok_or_else(|| damaged("a certificate is missing"))?;
            if carried.chunk() != chunk {
                return Err(damaged("a change is not the one that carries its operation"));
            }
            document.note(&signed);
            let placed = document.place(carried.hash, carried.number.get(), signed, owner, None);
            placed.map_err(|error| damaged(error.to_string()))?;
        }
        Ok(document)
    }

    /// Checks all signatures once more; the first operation whose signature is bad is the error.
    pub fn check_signatures(&self) -> Result<(), OperationHash> {
        let is_bad = |signed: &SignedOperation| {
            signed.signed().verify(Label::Operation, signed.operation.device.as_bytes()).is_err()
        };
        let bad = self.held.rows().iter().find(|row| is_bad(&row.signed));
        bad.map_or(Ok(()), |row| Err(row.hash))
    }

    /// The document as any Automerge library loads it, without the signatures. Never taken from others in this form.
    pub fn automerge(&self) -> Result<Vec<u8>, ExportError> {
        let rows = self.held.rows().iter().filter(|row| self.resolver.is_anchored(&row.hash));
        export(rows.map(Row::carried))
    }
}
