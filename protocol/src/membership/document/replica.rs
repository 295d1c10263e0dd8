use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::aside::Aside;
use super::carrier::carry;
use super::held::{Held, Owner};
use super::proof::{Proof, ProofError, is_of_group};
use super::waiting::{Missing, Waiting};
use crate::codec::{BadSignature, Label, Signed};
use crate::ids::{CertificateHash, ConversationId, DeviceId, OperationHash};
use crate::keys::Certificate;
use crate::membership::operation::{Operation, OperationError, SignedOperation};
use crate::membership::resolver::{Anchored, PlaceError, Placed};

mod questions;
mod storing;

/// A group's signed operations as one replica holds them, and what follows from them.
///
/// It does nothing by itself: no clock, no randomness, no store. [`Self::take`] and [`Self::take_proof`] are the ways
/// in for what others bring. What is anchored is held for good, so documents with the same operations and the same
/// proofs of forks are the same, whatever way they came.
#[derive(Debug, Clone)]
pub struct Document {
    group: ConversationId,
    held: Held,
    waiting: Waiting,
    /// What is held as long as its supplier is there, since its device forked and nothing holds by it.
    aside: Aside,
    /// Of each device that forked the proof with the least number.
    proofs: BTreeMap<DeviceId, Proof>,
    resolver: Anchored,
}

/// What became of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is held now, and so is what had waited for it.
    Held(Released),
    /// It was held before. The signature that came with it was not looked at.
    Known,
    /// It waits for this, among others perhaps.
    Waits(Missing),
    /// It would have to wait for this, and there is no room: it has to come again.
    Dropped(Missing),
}

/// Operations that are held since something came that they had waited for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Released {
    /// What is held now, parents first.
    pub held: Vec<OperationHash>,
    /// What had waited and turned out to be none of the group's, with who had brought it.
    pub refused: Vec<(DeviceId, TakeError)>,
}

/// Why an operation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TakeError {
    /// Its form, or a signature within it, is bad. Its maker is at fault.
    #[error(transparent)]
    Form(OperationError),
    /// The device did not sign it: nothing is said of the same bytes with another signature. The supplier is at
    /// fault.
    #[error(transparent)]
    BadSignature(BadSignature),
    /// It is of another group, or the Create of one. Whoever brings it is at fault.
    #[error("the operation is of another group")]
    WrongGroup,
    /// The certificate that it names is of another device. Its maker is at fault.
    #[error("the operation names the certificate of another device")]
    WrongDevice,
    /// It can't stand where it says. Its maker is at fault.
    #[error(transparent)]
    WrongPlace(PlaceError),
    /// Its device signed two operations with one number, nothing that is held for good stands on it, and the supplier
    /// has brought as many such operations as there is room for. It may come again.
    #[error("the device has forked, and there is no room for more of it")]
    NoRoom,
}

impl TakeError {
    /// Whether the bytes are no good whoever brings them; else only this delivery is.
    pub const fn is_of_bytes(&self) -> bool {
        matches!(self, Self::Form(_) | Self::WrongGroup | Self::WrongDevice | Self::WrongPlace(_))
    }
}

impl From<OperationError> for TakeError {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::BadSignature(bad) => Self::BadSignature(bad),
            other => Self::Form(other),
        }
    }
}

/// How far an operation got.
enum Step {
    Held(OperationHash),
    Known,
    Lacks(Missing),
}

impl Document {
    /// Of a group of which nothing is held yet, not even its Create.
    pub fn new(group: ConversationId) -> Self {
        Self {
            group,
            held: Held::default(),
            waiting: Waiting::default(),
            aside: Aside::default(),
            proofs: BTreeMap::new(),
            resolver: Anchored::default(),
        }
    }

    /// What the group is called that this Create makes. Of any other operation it says nothing.
    pub fn group_of(create: &SignedOperation) -> ConversationId {
        ConversationId::new(*carry(&create.bytes, &[], 0).hash.as_bytes())
    }

    /// Which group this is.
    pub fn group(&self) -> ConversationId {
        self.group
    }

    /// Takes an operation that `supplier` brings: from others, or one's own. `known` finds certificates; it is asked
    /// for those of which no operation is held.
    ///
    /// An error leaves everything as it was. One delivery may release many: [`Released::held`] has them all.
    pub fn take(
        &mut self,
        supplier: DeviceId,
        signed: Signed,
        known: impl Fn(&CertificateHash) -> Option<Certificate>,
    ) -> Result<Taken, TakeError> {
        let operation = Operation::from_bytes(&signed.body)?;
        if operation.group.is_some_and(|group| group != self.group) {
            return Err(TakeError::WrongGroup);
        }
        let carried = self.held.carry(&signed.body, &operation.parents);
        if let Some(carried) = carried.ok().filter(|carried| self.held.contains(&carried.hash)) {
            if self.aside.contains(&carried.hash) {
                self.aside.put(supplier, carried.hash);
            }
            return Ok(Taken::Known);
        }
        signed.verify(Label::Operation, operation.device.as_bytes()).map_err(TakeError::BadSignature)?;
        let signed = SignedOperation { operation, bytes: signed.body, signature: signed.signature };
        match self.step(supplier, &signed, &known)? {
            Step::Known => Ok(Taken::Known),
            Step::Lacks(missing) => {
                let waits = self.waiting.put(supplier, signed, missing);
                Ok(if waits { Taken::Waits(missing) } else { Taken::Dropped(missing) })
            }
            Step::Held(hash) => {
                let mut released = Released { held: vec![hash], refused: Vec::new() };
                let ready = self.ready_after(hash, signed.operation.certificate);
                self.release(ready, &known, &mut released);
                Ok(Taken::Held(released))
            }
        }
    }

    /// Tries again what waits for a certificate: to be called when some came that [`Self::take`] had not found.
    pub fn retry(&mut self, known: impl Fn(&CertificateHash) -> Option<Certificate>) -> Released {
        let lacks = |missing: &Missing| match missing {
            Missing::Certificate(hash) => known(hash).is_some(),
            Missing::Operation(_) => false,
        };
        let come: Vec<Missing> = self.waiting.missing().filter(lacks).collect();
        let ready = come.iter().flat_map(|missing| self.waiting.take(missing)).collect();
        let mut released = Released::default();
        self.release(ready, &known, &mut released);
        released
    }

    /// Who brought something that waits, or holds by nothing.
    pub fn suppliers(&self) -> BTreeSet<DeviceId> {
        self.waiting.suppliers().chain(self.aside.suppliers()).collect()
    }

    /// Drops what a supplier brought and still waits, or holds by nothing, so that there is room: when an exchange with
    /// them is over.
    pub fn forget(&mut self, supplier: &DeviceId) {
        self.waiting.forget(supplier);
        let gone = self.aside.forget(supplier);
        if !gone.is_empty() {
            self.evict(gone);
        }
    }

    /// Builds everything anew without these and what stands on them. That is none that is anchored.
    fn evict(&mut self, gone: BTreeSet<OperationHash>) {
        let gone = self.held.above(gone);
        gone.iter().for_each(|hash| self.aside.take(hash));
        let held = std::mem::take(&mut self.held);
        let owners = held.owners().clone();
        self.resolver = Anchored::default();
        for proof in self.proofs.values() {
            self.resolver.fork(proof.device(), proof.number());
        }
        for row in held.into_rows() {
            let Some(owner) = owners.get(&row.signed.operation.certificate) else { continue };
            let placed = placed(row.hash, &row.signed.operation, owner);
            let is_kept = !gone.contains(&row.hash);
            if is_kept && self.resolver.place(placed, Some(row.signed.operation.number)).is_ok() {
                self.held.push(row.hash, row.number, row.signed, *owner);
            }
        }
    }

    /// Takes proof that a device forked; gives whether it tells anything new. An error leaves everything as it was.
    pub fn take_proof(&mut self, pair: [Signed; 2]) -> Result<bool, ProofError> {
        Ok(self.prove(Proof::read(self.group, pair)?))
    }

    /// Of each device that forked the proof with the least number that is known: to be sent before operations.
    pub fn proofs(&self) -> impl Iterator<Item = &Proof> {
        self.proofs.values()
    }

    fn prove(&mut self, proof: Proof) -> bool {
        let (device, number) = (proof.device(), proof.number());
        let is_news = self.resolver.fork_of(&device).is_none_or(|known| number < known);
        if is_news {
            self.proofs.insert(device, proof);
            self.resolver.fork(device, number);
        }
        is_news
    }

    /// Looks whether an operation with a good signature is the second one with its number. What it stands on is not
    /// looked at, so a proof can't be withheld.
    fn note(&mut self, signed: &SignedOperation) {
        let operation = &signed.operation;
        let first = self.resolver.numbered(&operation.device, operation.number);
        let first = first.and_then(|first| self.held.find(&first));
        if let Some(proof) = first.and_then(|first| Proof::of(&first.signed, signed)) {
            self.prove(proof);
        }
    }

    /// Holds for good what an entry of the log names as membership heads, and what these stand on: as an operation
    /// does that names them as parents. `false`: one is not held, or its device forked in what they stand on.
    pub fn keep(&mut self, heads: &[OperationHash]) -> bool {
        let may_stand = self.resolver.may_stand_on(heads);
        if may_stand {
            let rows = self.held.past_of(heads, &[]);
            let kept: Vec<OperationHash> = rows.iter().map(|row| row.hash).collect();
            kept.iter().for_each(|hash| self.aside.take(hash));
        }
        may_stand
    }

    fn ready_after(
        &mut self,
        hash: OperationHash,
        certificate: CertificateHash,
    ) -> VecDeque<(DeviceId, SignedOperation)> {
        let mut ready = VecDeque::from(self.waiting.take(&Missing::Operation(hash)));
        ready.extend(self.waiting.take(&Missing::Certificate(certificate)));
        ready
    }

    /// Takes what is ready in, and what that makes ready.
    fn release(
        &mut self,
        mut ready: VecDeque<(DeviceId, SignedOperation)>,
        known: &impl Fn(&CertificateHash) -> Option<Certificate>,
        released: &mut Released,
    ) {
        while let Some((supplier, signed)) = ready.pop_front() {
            match self.step(supplier, &signed, known) {
                Ok(Step::Held(hash)) => {
                    released.held.push(hash);
                    ready.extend(self.ready_after(hash, signed.operation.certificate));
                }
                Ok(Step::Known) => {}
                Ok(Step::Lacks(missing)) => {
                    // Where it waited a moment ago there is room.
                    self.waiting.put(supplier, signed, missing);
                }
                Err(error) => released.refused.push((supplier, error)),
            }
        }
    }

    /// Takes an operation in whose form and signature are good, if it lacks nothing.
    fn step(
        &mut self,
        supplier: DeviceId,
        signed: &SignedOperation,
        known: &impl Fn(&CertificateHash) -> Option<Certificate>,
    ) -> Result<Step, TakeError> {
        let operation = &signed.operation;
        if !is_of_group(self.group, operation, &signed.bytes) {
            return Err(TakeError::WrongGroup);
        }
        self.note(signed);
        let carried = match self.held.carry(&signed.bytes, &operation.parents) {
            Ok(carried) => carried,
            Err(parent) => return Ok(Step::Lacks(Missing::Operation(parent))),
        };
        if self.held.contains(&carried.hash) {
            return Ok(Step::Known);
        }
        let Some(owner) = self.owner(&operation.certificate, known) else {
            return Ok(Step::Lacks(Missing::Certificate(operation.certificate)));
        };
        self.place(carried.hash, carried.number.get(), signed.clone(), owner, Some(supplier))?;
        Ok(Step::Held(carried.hash))
    }

    fn owner(
        &self,
        hash: &CertificateHash,
        known: impl Fn(&CertificateHash) -> Option<Certificate>,
    ) -> Option<Owner> {
        if let Some(owner) = self.held.owners().get(hash) {
            return Some(*owner);
        }
        let certificate = known(hash).filter(|found| Operation::certificate_hash(found) == *hash)?;
        Some(Owner { user: certificate.user, device: certificate.device })
    }

    /// Keeps an operation whose parents are held, and lets it be judged; without a supplier, for good. An error leaves
    /// everything as it was.
    fn place(
        &mut self,
        hash: OperationHash,
        op_number: u64,
        signed: SignedOperation,
        owner: Owner,
        supplier: Option<DeviceId>,
    ) -> Result<(), TakeError> {
        let operation = &signed.operation;
        if owner.device != operation.device {
            return Err(TakeError::WrongDevice);
        }
        let fork = self.resolver.fork_of(&operation.device);
        let forked = operation.group.is_some() && fork.is_some_and(|fork| operation.number >= fork);
        let brought = supplier.is_some();
        let supplier = supplier.filter(|_| forked);
        if supplier.is_some_and(|supplier| !self.aside.has_room(&supplier)) {
            return Err(TakeError::NoRoom);
        }
        let (placed, number) = (placed(hash, operation, &owner), Some(operation.number));
        let anchored = match brought {
            true => self.resolver.place_of_member(placed, number),
            false => self.resolver.place(placed, number),
        };
        anchored.map_err(TakeError::WrongPlace)?.iter().for_each(|hash| self.aside.take(hash));
        self.held.push(hash, op_number, signed, owner);
        if let Some(supplier) = supplier {
            self.aside.put(supplier, hash);
        }
        Ok(())
    }
}

fn placed(hash: OperationHash, operation: &Operation, owner: &Owner) -> Placed {
    Placed {
        hash,
        user: owner.user,
        device: operation.device,
        parents: operation.parents.clone(),
        action: operation.action.clone(),
    }
}
