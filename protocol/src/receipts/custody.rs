use std::time::Duration;

use ed25519_dalek::SigningKey;
use prost::Message;

use crate::codec::{Label, Malformed, Signed, decode, sign, version_and_suite};
use crate::ids::{PayloadHash, PublishId, RelayId};
use crate::keys::KeysError;
use crate::limits::{FRAME_BYTES_MAX, PROTOCOL_VERSION, PUBLISH_ITEMS_MAX, PUBLISH_RECIPIENTS_MAX, SUITE};
use crate::time::Timestamp;
use crate::wire;

/// The destination relay's signed answer to one publish: what it holds, durably, and what it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustodyReceipt {
    /// The publish that it answers.
    pub publish_id: PublishId,
    /// One for each item, in the order published.
    pub items: Vec<ItemOutcome>,
}

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemOutcome {
    /// Which payload.
    pub payload_hash: PayloadHash,
    /// One for each recipient, in the route's order.
    pub recipients: Vec<Outcome>,
}

/// What became of one payload for one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// In custody.
    Stored {
        /// Until then.
        held_until: Timestamp,
    },
    /// It is in custody from an earlier publish.
    Duplicate {
        /// Until then.
        held_until: Timestamp,
    },
    /// The device fetched and acknowledged it already.
    Acknowledged,
    /// The mailbox or the relay has no room.
    Full {
        /// Try again after this.
        retry_after: Duration,
    },
    /// The token does not allow it.
    Denied(Denial),
    /// The payload is larger than the relay takes.
    TooLarge {
        /// What it takes.
        bytes_max: u32,
    },
    /// Too much just now.
    RetryAfter(Duration),
}

/// Why a token was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denial {
    /// No such mailbox (any more).
    UnknownMailbox,
    /// The mailbox's secret was replaced since.
    Epoch,
    /// The proof does not match.
    Proof,
    /// The owner revoked it.
    Revoked,
    /// It ended, or the envelope's expiry lies in the past.
    Expired,
    /// An invitation without uses left.
    UsedUp,
    /// It lacks the right or the class.
    Rights,
}

impl CustodyReceipt {
    /// Signs a receipt with the relay's key. It may leave only once what it says is durable.
    pub fn sign(&self, relay: &SigningKey) -> Signed {
        let body = wire::CustodyReceipt {
            version: PROTOCOL_VERSION,
            suite: u32::from(SUITE),
            publish_id: self.publish_id.to_wire(),
            items: self.items.iter().map(ItemOutcome::to_wire).collect(),
        };
        sign(Label::Custody, relay, body.encode_to_vec())
    }

    /// Checks form and signature.
    pub fn verify(signed: &Signed, relay: &RelayId) -> Result<Self, KeysError> {
        let body: wire::CustodyReceipt = decode("custody receipt", &signed.body, FRAME_BYTES_MAX)?;
        version_and_suite("custody receipt", body.version, body.suite)?;
        signed.verify(Label::Custody, relay.as_bytes())?;
        if body.items.len() > PUBLISH_ITEMS_MAX {
            return Err(Malformed::new("custody receipt", "more than 16 items").into());
        }
        Ok(Self {
            publish_id: PublishId::from_slice(&body.publish_id)?,
            items: body.items.into_iter().map(ItemOutcome::from_wire).collect::<Result<_, _>>()?,
        })
    }
}

impl ItemOutcome {
    fn to_wire(&self) -> wire::ItemResult {
        wire::ItemResult {
            payload_hash: self.payload_hash.to_wire(),
            recipients: self.recipients.iter().map(|outcome| outcome.to_wire()).collect(),
        }
    }

    fn from_wire(item: wire::ItemResult) -> Result<Self, Malformed> {
        if item.recipients.len() > PUBLISH_RECIPIENTS_MAX {
            return Err(Malformed::new("custody receipt", "more than 1,024 recipients"));
        }
        Ok(Self {
            payload_hash: PayloadHash::from_slice(&item.payload_hash)?,
            recipients: item.recipients.iter().map(Outcome::from_wire).collect::<Result<_, _>>()?,
        })
    }
}

impl Outcome {
    fn to_wire(self) -> wire::RecipientResult {
        use wire::ResultCode as Code;
        let mut result = wire::RecipientResult::default();
        let code = match self {
            Self::Stored { held_until } => {
                result.held_until_ms = held_until.as_ms();
                Code::Stored
            }
            Self::Duplicate { held_until } => {
                result.held_until_ms = held_until.as_ms();
                Code::Duplicate
            }
            Self::Acknowledged => Code::Duplicate,
            Self::Full { retry_after } => {
                result.retry_after_ms = millis(retry_after);
                Code::Full
            }
            Self::Denied(denial) => {
                result.reason = denial.to_wire().into();
                Code::Denied
            }
            Self::TooLarge { bytes_max } => {
                result.size_max = bytes_max;
                Code::TooLarge
            }
            Self::RetryAfter(after) => {
                result.retry_after_ms = millis(after);
                Code::RetryAfter
            }
        };
        result.code = code.into();
        result
    }

    fn from_wire(result: &wire::RecipientResult) -> Result<Self, Malformed> {
        use wire::ResultCode as Code;
        let held_until = Timestamp::from_ms(result.held_until_ms);
        let retry_after = Duration::from_millis(result.retry_after_ms);
        Ok(match Code::try_from(result.code) {
            Ok(Code::Stored) => Self::Stored { held_until },
            Ok(Code::Duplicate) if result.held_until_ms == 0 => Self::Acknowledged,
            Ok(Code::Duplicate) => Self::Duplicate { held_until },
            Ok(Code::Full) => Self::Full { retry_after },
            Ok(Code::Denied) => Self::Denied(Denial::from_wire(result.reason)?),
            Ok(Code::TooLarge) => Self::TooLarge { bytes_max: result.size_max },
            Ok(Code::RetryAfter) => Self::RetryAfter(retry_after),
            Ok(Code::Unspecified) | Err(_) => {
                return Err(Malformed::new("custody receipt", format!("unknown result {}", result.code)));
            }
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Denial {
    const fn to_wire(self) -> wire::DenialReason {
        match self {
            Self::UnknownMailbox => wire::DenialReason::UnknownMailbox,
            Self::Epoch => wire::DenialReason::Epoch,
            Self::Proof => wire::DenialReason::Proof,
            Self::Revoked => wire::DenialReason::Revoked,
            Self::Expired => wire::DenialReason::Expired,
            Self::UsedUp => wire::DenialReason::UsedUp,
            Self::Rights => wire::DenialReason::Rights,
        }
    }

    fn from_wire(reason: i32) -> Result<Self, Malformed> {
        Ok(match wire::DenialReason::try_from(reason) {
            Ok(wire::DenialReason::UnknownMailbox) => Self::UnknownMailbox,
            Ok(wire::DenialReason::Epoch) => Self::Epoch,
            Ok(wire::DenialReason::Proof) => Self::Proof,
            Ok(wire::DenialReason::Revoked) => Self::Revoked,
            Ok(wire::DenialReason::Expired) => Self::Expired,
            Ok(wire::DenialReason::UsedUp) => Self::UsedUp,
            Ok(wire::DenialReason::Rights) => Self::Rights,
            Ok(wire::DenialReason::Unspecified) | Err(_) => {
                return Err(Malformed::new("custody receipt", format!("unknown denial {reason}")));
            }
        })
    }
}
