use bytes::Bytes;
use prost::Message;

use super::action::{Action, ActionError};
use crate::codec::{BadSignature, Label, Malformed, Signature, Signed, decode, sign, version_and_suite};
use crate::ids::{CertificateHash, ConversationId, DeviceId, OperationHash};
use crate::keys::{Certificate, DeviceKey, KeysError};
use crate::limits::{
    OPERATION_BYTES_MAX, OPERATION_PARENTS_MAX, OPERATIONS_PER_DEVICE_MAX, PROTOCOL_VERSION, SUITE,
};
use crate::wire;

/// What an operation's device signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The group, which is called by the hash of its Create; `None` in that one alone.
    pub group: Option<ConversationId>,
    /// Who signs it.
    pub device: DeviceId,
    /// Says whose device that is.
    pub certificate: CertificateHash,
    /// What the device had seen last: none in Create, else 1 to [`OPERATION_PARENTS_MAX`], ascending.
    pub parents: Vec<OperationHash>,
    /// The device's own count in this group, below [`OPERATIONS_PER_DEVICE_MAX`]; the first is 0.
    pub number: u32,
    /// What it does.
    pub action: Action,
}

/// An operation whose form and signature were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOperation {
    /// What it says.
    pub operation: Operation,
    /// The exact bytes.
    pub bytes: Bytes,
    /// By the operation's device.
    pub signature: Signature,
}

/// Why an operation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OperationError {
    /// The bytes break the format, whoever brings them. Their maker is at fault.
    #[error(transparent)]
    Malformed(Malformed),
    /// The identity key did not sign the revocation within: the bytes are no good, whoever brings them.
    #[error("the revocation within: {0}")]
    BadRevocation(BadSignature),
    /// The device did not sign it: nothing is said of the same bytes with another signature. The supplier is at
    /// fault.
    #[error(transparent)]
    BadSignature(BadSignature),
}

impl From<Malformed> for OperationError {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}

impl From<ActionError> for OperationError {
    fn from(error: ActionError) -> Self {
        match error {
            KeysError::Malformed(malformed) => Self::Malformed(malformed),
            KeysError::BadSignature(bad) => Self::BadRevocation(bad),
            other => Self::Malformed(Malformed::new("operation", other.to_string())),
        }
    }
}

impl SignedOperation {
    /// Signs an operation. The device in it is the key's. Refused where it breaks the format.
    pub fn issue(key: &DeviceKey, operation: Operation) -> Result<Self, OperationError> {
        let bytes: Bytes = operation.to_wire().encode_to_vec().into();
        let operation = Operation::from_bytes(&bytes)?;
        let Signed { body: bytes, signature } = sign(Label::Operation, key.signing_key(), bytes);
        Ok(Self { operation, bytes, signature })
    }

    /// Checks form and signature. Whose device it is, the certificate says.
    pub fn verify(signed: Signed) -> Result<Self, OperationError> {
        let operation = Operation::from_bytes(&signed.body)?;
        signed.verify(Label::Operation, operation.device.as_bytes()).map_err(OperationError::BadSignature)?;
        Ok(Self { operation, bytes: signed.body, signature: signed.signature })
    }

    /// From a device's own store: checks the form only. Never for bytes from outside.
    pub fn from_stored(signed: Signed) -> Result<Self, OperationError> {
        let operation = Operation::from_bytes(&signed.body)?;
        Ok(Self { operation, bytes: signed.body, signature: signed.signature })
    }

    /// As it travels.
    pub fn signed(&self) -> Signed {
        Signed { body: self.bytes.clone(), signature: self.signature }
    }
}

impl Operation {
    /// The hash by which operations name a certificate: BLAKE3 of its signed bytes.
    pub fn certificate_hash(certificate: &Certificate) -> CertificateHash {
        CertificateHash::new(*blake3::hash(&certificate.signed.body).as_bytes())
    }

    fn to_wire(&self) -> wire::Operation {
        wire::Operation {
            version: PROTOCOL_VERSION,
            suite: u32::from(SUITE),
            group: self.group.map(|group| group.to_wire()).unwrap_or_default(),
            device: self.device.to_wire(),
            certificate: self.certificate.to_wire(),
            parents: self.parents.iter().map(OperationHash::to_wire).collect(),
            number: self.number,
            action: Some(self.action.to_wire()),
        }
    }

    /// Reads an operation's exact bytes: form only, but for the signature of a revocation within.
    pub fn from_bytes(bytes: &Bytes) -> Result<Self, OperationError> {
        let operation: wire::Operation = decode("operation", bytes, OPERATION_BYTES_MAX)?;
        version_and_suite("operation", operation.version, operation.suite)?;
        let group = &operation.group;
        let read = Self {
            group: (!group.is_empty())
                .then(|| ConversationId::from_slice(group))
                .transpose()
                .map_err(Malformed::from)?,
            device: DeviceId::from_slice(&operation.device).map_err(Malformed::from)?,
            certificate: CertificateHash::from_slice(&operation.certificate).map_err(Malformed::from)?,
            parents: parents(&operation.parents)?,
            number: operation.number,
            action: Action::from_wire(operation.action)?,
        };
        read.check()?;
        Ok(read)
    }

    /// What concerns several of the fields.
    fn check(&self) -> Result<(), Malformed> {
        let bad = |why: &str| Err(Malformed::new("operation", why));
        let creates = matches!(self.action, Action::Create(_));
        if creates != self.group.is_none() || creates != self.parents.is_empty() {
            return bad("every operation but Create names its group and parents");
        }
        if usize::try_from(self.number).is_ok_and(|number| number >= OPERATIONS_PER_DEVICE_MAX) {
            return bad("the number is not below 4,096");
        }
        match &self.action {
            Action::DeviceRevoke(revoke) if Some(revoke.fields.conversation) != self.group => {
                bad("the revocation within is of another conversation")
            }
            _ => Ok(()),
        }
    }
}

fn parents(hashes: &[Bytes]) -> Result<Vec<OperationHash>, Malformed> {
    if hashes.len() > OPERATION_PARENTS_MAX {
        return Err(Malformed::new("operation", "more than 8 parents"));
    }
    let parents: Vec<OperationHash> =
        hashes.iter().map(|hash| OperationHash::from_slice(hash)).collect::<Result<_, _>>()?;
    if !parents.is_sorted_by(|a, b| a < b) {
        return Err(Malformed::new("operation", "the parents must ascend"));
    }
    Ok(parents)
}
