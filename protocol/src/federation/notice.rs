use ed25519_dalek::SigningKey;
use prost::Message;

use crate::codec::{Label, Malformed, Signed, decode, sign, version_and_suite};
use crate::ids::{PublishId, RelayId};
use crate::keys::KeysError;
use crate::limits::{PROTOCOL_VERSION, SUITE};
use crate::time::Timestamp;
use crate::wire;

/// The largest body of a notice, in bytes.
const BODY_BYTES_MAX: usize = 128;

/// A home relay's word that it holds a forward durably: *waiting at your relay*, and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub forward_id: PublishId,
    /// It tries until then.
    pub until: Timestamp,
}

impl Waiting {
    /// Signs it with the home relay's key. It may leave only once the forward is durable.
    pub fn sign(&self, relay: &SigningKey) -> Signed {
        let body = wire::WaitingNotice {
            version: PROTOCOL_VERSION,
            suite: u32::from(SUITE),
            forward_id: self.forward_id.to_wire(),
            until_ms: self.until.as_ms(),
        };
        sign(Label::Waiting, relay, body.encode_to_vec())
    }

    /// Checks form and signature.
    pub fn verify(signed: &Signed, relay: &RelayId) -> Result<Self, KeysError> {
        let body: wire::WaitingNotice = decode("waiting notice", &signed.body, BODY_BYTES_MAX)?;
        version_and_suite("waiting notice", body.version, body.suite)?;
        signed.verify(Label::Waiting, relay.as_bytes())?;
        let forward_id = PublishId::from_slice(&body.forward_id)?;
        Ok(Self { forward_id, until: Timestamp::from_ms(body.until_ms) })
    }
}

/// A home relay's word that it gave a forward up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadLetter {
    /// Which.
    pub forward_id: PublishId,
    /// Why.
    pub reason: DeadLetterReason,
}

/// Why a forward was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadLetterReason {
    /// Its time ran out before the destination answered.
    Expired,
    /// It was carried too often without an answer.
    Attempts,
    /// The destination takes nothing from this relay.
    Refused,
    /// The destination does not know the routing key, or can't open the route: the sender asks for the key again.
    Key,
    /// The destination does not take its form, or its answer has none.
    Malformed,
}

impl DeadLetter {
    /// Signs it with the home relay's key.
    pub fn sign(&self, relay: &SigningKey) -> Signed {
        let body = wire::DeadLetterNotice {
            version: PROTOCOL_VERSION,
            suite: u32::from(SUITE),
            forward_id: self.forward_id.to_wire(),
            reason: self.reason.to_wire().into(),
        };
        sign(Label::DeadLetter, relay, body.encode_to_vec())
    }

    /// Checks form and signature.
    pub fn verify(signed: &Signed, relay: &RelayId) -> Result<Self, KeysError> {
        let body: wire::DeadLetterNotice = decode("dead letter", &signed.body, BODY_BYTES_MAX)?;
        version_and_suite("dead letter", body.version, body.suite)?;
        signed.verify(Label::DeadLetter, relay.as_bytes())?;
        let forward_id = PublishId::from_slice(&body.forward_id)?;
        Ok(Self { forward_id, reason: DeadLetterReason::from_wire(body.reason)? })
    }
}

impl DeadLetterReason {
    const fn to_wire(self) -> wire::DeadLetterReason {
        match self {
            Self::Expired => wire::DeadLetterReason::Expired,
            Self::Attempts => wire::DeadLetterReason::Attempts,
            Self::Refused => wire::DeadLetterReason::Refused,
            Self::Key => wire::DeadLetterReason::Key,
            Self::Malformed => wire::DeadLetterReason::Malformed,
        }
    }

    fn from_wire(reason: i32) -> Result<Self, Malformed> {
        Ok(match wire::DeadLetterReason::try_from(reason) {
            Ok(wire::DeadLetterReason::Expired) => Self::Expired,
            Ok(wire::DeadLetterReason::Attempts) => Self::Attempts,
            Ok(wire::DeadLetterReason::Refused) => Self::Refused,
            Ok(wire::DeadLetterReason::Key) => Self::Key,
            Ok(wire::DeadLetterReason::Malformed) => Self::Malformed,
            Ok(wire::DeadLetterReason::Unspecified) | Err(_) => {
                return Err(Malformed::new("dead letter", format!("unknown reason {reason}")));
            }
        })
    }
}
