//! Proof that a device forked: two operations with one number, both signed by it.

use super::carrier::carry;
use crate::codec::{BadSignature, Label, Signed};
use crate::ids::{ConversationId, DeviceId};
use crate::membership::operation::{Operation, OperationError, SignedOperation};

/// Two different operations of one device with one number. It stands for itself: what they stand on need not be
/// known. Two operations that know nothing of each other are such a pair, or stand on one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    pub(super) pair: [SignedOperation; 2],
}

/// Why two signed operations prove nothing. The supplier is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// One has a bad form.
    #[error(transparent)]
    Form(#[from] OperationError),
    /// One was not signed by its device.
    #[error(transparent)]
    BadSignature(#[from] BadSignature),
    /// They are not two operations of one device in this group with one number.
    #[error("they are not two operations of one device in this group with one number")]
    NoFork,
}

impl Proof {
    /// Of two operations whose signatures are good, if they prove anything.
    pub(super) fn of(one: &SignedOperation, other: &SignedOperation) -> Option<Self> {
        let place = |signed: &SignedOperation| (signed.operation.device, signed.operation.number);
        (place(one) == place(other) && one.bytes != other.bytes)
            .then(|| Self { pair: [one.clone(), other.clone()] })
    }

    /// Reads two operations that somebody brings, and checks all that is to be checked.
    pub(super) fn read(group: ConversationId, pair: [Signed; 2]) -> Result<Self, ProofError> {
        let [one, other] = pair.map(|signed| read(group, signed));
        Self::of(&one?, &other?).ok_or(ProofError::NoFork)
    }

    /// Who forked.
    pub fn device(&self) -> DeviceId {
        let [one, _] = &self.pair;
        one.operation.device
    }

    /// Where: the number that both have.
    pub fn number(&self) -> u32 {
        let [one, _] = &self.pair;
        one.operation.number
    }

    /// What to send.
    pub fn signed(&self) -> [Signed; 2] {
        self.pair.each_ref().map(SignedOperation::signed)
    }
}

fn read(group: ConversationId, signed: Signed) -> Result<SignedOperation, ProofError> {
    let operation = Operation::from_bytes(&signed.body)?;
    if !is_of_group(group, &operation, &signed.body) {
        return Err(ProofError::NoFork);
    }
    signed.verify(Label::Operation, operation.device.as_bytes())?;
    Ok(SignedOperation { operation, bytes: signed.body, signature: signed.signature })
}

/// Whether an operation is of this group, as it says, or is its Create.
pub(super) fn is_of_group(group: ConversationId, operation: &Operation, bytes: &[u8]) -> bool {
    match operation.group {
        Some(theirs) => theirs == group,
        None => carry(bytes, &[], 0).hash.as_bytes() == group.as_bytes(),
    }
}
