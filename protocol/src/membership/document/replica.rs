use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::carrier::{Carried, ExportError, carry, export};
use super::held::{Held, Owner};
use super::saved::{LoadError, damaged, decode, encode};
use super::waiting::{Missing, Waiting};
use crate::codec::{BadSignature, Label, Signed};
use crate::ids::{CertificateHash, ConversationId, DeviceId, EntryId, OperationHash, UserId};
use crate::keys::Certificate;
use crate::limits::{OPERATION_PARENTS_MAX, UPDATE_HEADS_MAX};
use crate::membership::action::Action;
use crate::membership::operation::{Operation, OperationError, SignedOperation};
use crate::membership::resolver::{
    EntryPlace, EntryVerdict, Forbidden, PlaceError, Placed, Resolver, UnknownHead, Verdict, View,
};

/// A group's signed operations as one replica holds them, and what follows from them.
///
/// It does nothing by itself: no clock, no randomness, no store. [`Self::take`] is the one way in for what others
/// bring. What is held never leaves, so documents with the same operations are the same, whatever way they came.
#[derive(Debug, Clone)]
pub struct Document {
    group: ConversationId,
    held: Held,
    waiting: Waiting,
    resolver: Resolver,
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
    /// Its device wrote [`OPERATIONS_PER_DEVICE_MAX`](crate::limits::OPERATIONS_PER_DEVICE_MAX) others, so it used a
    /// number twice. The device is at fault.
    #[error("the device has written as many operations as it may")]
    TooMany,
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

/// Landmarks besides heads, at most: one for each power of two, and the Create.
const FURTHER_MAX: usize = 33;

impl Document {
    /// Of a group of which nothing is held yet, not even its Create.
    pub fn new(group: ConversationId) -> Self {
        Self { group, held: Held::default(), waiting: Waiting::default(), resolver: Resolver::default() }
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
        if carried.is_ok_and(|carried| self.held.contains(&carried.hash)) {
            return Ok(Taken::Known);
        }
        signed.verify(Label::Operation, operation.device.as_bytes()).map_err(TakeError::BadSignature)?;
        let signed = SignedOperation { operation, bytes: signed.body, signature: signed.signature };
        match self.step(&signed, &known)? {
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

    /// Drops what a supplier brought and still waits, so that there is room: when an exchange with them is over.
    pub fn forget(&mut self, supplier: &DeviceId) {
        self.waiting.forget(supplier);
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
            match self.step(&signed, known) {
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
        signed: &SignedOperation,
        known: &impl Fn(&CertificateHash) -> Option<Certificate>,
    ) -> Result<Step, TakeError> {
        let operation = &signed.operation;
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
        self.place(&carried, signed.clone(), owner)?;
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

    /// Keeps an operation whose parents are held, and lets it be judged. An error leaves everything as it was.
    fn place(&mut self, carried: &Carried, signed: SignedOperation, owner: Owner) -> Result<(), TakeError> {
        let operation = &signed.operation;
        if owner.device != operation.device {
            return Err(TakeError::WrongDevice);
        }
        if operation.group.is_none() && carried.hash.as_bytes() != self.group.as_bytes() {
            return Err(TakeError::WrongGroup);
        }
        if self.held.is_full(&operation.device) {
            return Err(TakeError::TooMany);
        }
        let placed = Placed {
            hash: carried.hash,
            user: owner.user,
            device: operation.device,
            parents: operation.parents.clone(),
            action: operation.action.clone(),
        };
        self.resolver.place(placed).map_err(TakeError::WrongPlace)?;
        self.held.push(carried, signed, owner);
        Ok(())
    }

    /// How many operations are held.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is, not even the Create.
    pub fn is_empty(&self) -> bool {
        self.held.len() == 0
    }

    /// How many operations wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What they wait for, ascending: what to ask others for. An operation in it may itself be waiting.
    pub fn wanted(&self) -> Vec<Missing> {
        self.waiting.missing().collect()
    }

    /// A held operation.
    pub fn get(&self, hash: &OperationHash) -> Option<&SignedOperation> {
        self.held.find(hash).map(|row| &row.signed)
    }

    /// What no held operation is named by as a parent, ascending: it stands for all that is held.
    pub fn heads(&self) -> Vec<OperationHash> {
        self.resolver.heads()
    }

    /// The heads, and then held operations at distances that double, back to the Create: what to tell a peer who may
    /// not know the heads, so that [`Self::since`] there finds the newest that both know. Some 16 for 10,000, and never
    /// more than an update holds ([`UPDATE_HEADS_MAX`]): of more heads the first ones.
    pub fn landmarks(&self) -> Vec<OperationHash> {
        let mut landmarks = self.heads();
        landmarks.truncate(UPDATE_HEADS_MAX.saturating_sub(FURTHER_MAX));
        let rows = self.held.rows();
        let back = (0..u32::BITS).map_while(|power| 1_usize.checked_shl(power));
        let back = back.map_while(|back| rows.get(rows.len().checked_sub(back.checked_add(1)?)?));
        let further = back.chain(rows.first()).map(|row| row.hash);
        for hash in further {
            if !landmarks.contains(&hash) {
                landmarks.push(hash);
            }
        }
        landmarks
    }

    /// What a peer lacks who holds these and what they stand on, parents first: what to send. Those that are not
    /// held here are passed over; without any, it is everything.
    pub fn since(&self, heads: &[OperationHash]) -> impl Iterator<Item = (OperationHash, &SignedOperation)> {
        self.held.beyond(heads).map(|row| (row.hash, &row.signed))
    }

    /// Which of a peer's heads are not held here: what to ask for.
    pub fn missing(&self, heads: &[OperationHash]) -> Vec<OperationHash> {
        heads.iter().filter(|head| !self.held.contains(head)).copied().collect()
    }

    /// The group as it is.
    pub fn view(&mut self) -> Arc<View> {
        self.resolver.view()
    }

    /// The group as it was for somebody who knew these operations and what they stand on.
    pub fn view_at(&mut self, heads: &[OperationHash]) -> Result<Arc<View>, UnknownHead> {
        self.resolver.view_at(heads)
    }

    /// Whether an operation counts; `None` if it is not held.
    pub fn verdict(&self, hash: &OperationHash) -> Option<Verdict> {
        self.resolver.verdict(hash)
    }

    /// Whether what somebody does now would count, as far as is known.
    pub fn allowed(&mut self, user: UserId, device: DeviceId, action: &Action) -> Result<(), Forbidden> {
        self.resolver.allowed(user, device, action)
    }

    /// Whether an entry of the group's log counts; see [`Resolver::entry_counts`].
    pub fn entry_counts(
        &mut self,
        place: EntryPlace<'_>,
        is_below: impl Fn(&EntryId) -> bool,
    ) -> Result<EntryVerdict, UnknownHead> {
        self.resolver.entry_counts(place, is_below)
    }

    /// An operation on top of what is held, for a device to sign: [`SignedOperation::issue`], and then [`Self::take`].
    /// `None`: the device may not write any more, or there is nothing to stand on.
    pub fn draft(&self, device: DeviceId, certificate: CertificateHash, action: Action) -> Option<Operation> {
        let mut parents = self.heads();
        parents.truncate(OPERATION_PARENTS_MAX);
        let number = self.held.next_number(&device).filter(|_| !parents.is_empty())?;
        Some(Operation { group: Some(self.group), device, certificate, parents, number, action })
    }

    /// For a device's own store. What waits is left out: it comes again.
    pub fn save(&self) -> Vec<u8> {
        encode(&self.group, &self.held)
    }

    /// From a device's own store. Checks that the bytes are those that were saved, that each change is the one that
    /// carries its operation, and that each operation stands where it may. The devices' signatures were checked when
    /// the operations were taken, and are not again: 0.05 ms each. So this is not for bytes from outside, for which
    /// [`Self::check_signatures`] must be called too.
    pub fn load(bytes: &[u8]) -> Result<Self, LoadError> {
        let saved = decode(bytes)?;
        let owners: BTreeMap<CertificateHash, Owner> = saved.owners.into_iter().collect();
        let mut document = Self::new(saved.group);
        for (signed, chunk) in saved.operations {
            let signed = SignedOperation::from_stored(signed).map_err(|error| damaged(error.to_string()))?;
            let operation = &signed.operation;
            if operation.group.is_some_and(|group| group != document.group) {
                return Err(damaged("an operation is of another group"));
            }
            let carried = document.held.carry(&signed.bytes, &operation.parents);
            let carried = carried.map_err(|_| damaged("a parent is missing"))?;
            let owner = owners.get(&operation.certificate);
            let owner = *owner.ok_or_else(|| damaged("a certificate is missing"))?;
            if carried.chunk() != chunk {
                return Err(damaged("a change is not the one that carries its operation"));
            }
            document.place(&carried, signed, owner).map_err(|error| damaged(error.to_string()))?;
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
        export(self.held.carried())
    }
}
