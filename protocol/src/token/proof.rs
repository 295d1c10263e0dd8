use bytes::Bytes;

use super::step::{DELIVER, Step, next_key, path_from_wire};
use crate::codec::Malformed;
use crate::ids::{MailboxId, PayloadHash, PublishId, RelayId, Secret};
use crate::time::Timestamp;
use crate::wire;

/// What a proof binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProofInput {
    /// The publish that carries the payload.
    pub publish_id: PublishId,
    /// The payload.
    pub payload_hash: PayloadHash,
    /// The destination relay.
    pub relay: RelayId,
    /// The expiry that the publish asks for.
    pub expiry: Timestamp,
}

/// A recipient of a payload, with the right to deliver to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof([u8; 32]);

impl Proof {
    /// BLAKE3-keyed(k_n, publish id ‖ payload hash ‖ relay ‖ expiry in big-endian milliseconds).
    pub(super) fn under(key: &Secret, input: &ProofInput) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(key.expose());
        hasher.update(input.publish_id.as_bytes());
        hasher.update(input.payload_hash.as_bytes());
        hasher.update(input.relay.as_bytes());
        hasher.update(&input.expiry.as_ms().to_be_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    /// A recipient for the wire.
    pub fn to_recipient(&self, mailbox: MailboxId, epoch: u32, path: &[Step]) -> wire::Recipient {
        wire::Recipient {
            mailbox: mailbox.to_wire(),
            epoch,
            path: path.iter().map(Step::to_wire).collect(),
            proof: Bytes::copy_from_slice(&self.0),
        }
    }

    /// The proof and its path, form checked.
    pub fn from_recipient(recipient: &wire::Recipient) -> Result<(Self, Vec<Step>), Malformed> {
        let proof = Secret::from_slice(&recipient.proof)?;
        Ok((Self(*proof.expose()), path_from_wire(&recipient.path)?))
    }
}

/// Why a token does not allow a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenDenied {
    /// The proof is not one under this mailbox's secret.
    #[error("the proof does not match the mailbox's secret")]
    Proof,
    /// A step ended.
    #[error("the token expired")]
    Expired,
    /// A step lacks the right to deliver, or the class.
    #[error("the token does not allow this class")]
    Rights,
}

/// Checks a proof against a mailbox's secret, without any state. Revocation, rates and uses are the
/// relay's to check afterwards. BLAKE3's own comparison makes this constant-time.
pub fn check(
    mailbox_secret: &Secret,
    path: &[Step],
    proof: &Proof,
    input: &ProofInput,
    class: u8,
    now: Timestamp,
) -> Result<(), TokenDenied> {
    let mut key = mailbox_secret.clone();
    for step in path {
        key = next_key(&key, step);
    }
    let expected = Proof::under(&key, input);
    if blake3::Hash::from_bytes(expected.0) != blake3::Hash::from_bytes(proof.0) {
        return Err(TokenDenied::Proof);
    }
    let class_bit = 1u8.checked_shl(u32::from(class)).unwrap_or(0);
    for step in path {
        if step.rights & DELIVER == 0 || step.classes & class_bit == 0 {
            return Err(TokenDenied::Rights);
        }
        if step.not_after.is_some_and(|end| now > end) {
            return Err(TokenDenied::Expired);
        }
    }
    Ok(())
}
