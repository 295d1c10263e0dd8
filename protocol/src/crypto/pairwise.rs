use bytes::Bytes;
use prost::Message;

use crate::codec::{Malformed, decode, required};
use crate::ids::{ChannelHash, DeviceId, UserId};
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::wire;
use crate::wire::pairwise::Body;

/// Bytes before the protobuf message in every Olm plaintext: five ids of 32 bytes and the kind.
pub const PAIRWISE_PREFIX_BYTES: usize = 161;

/// Who an Olm plaintext is from and for, and the channel that carries it. Each names both ends, so that
/// a message can't be passed on as if it were for someone else, or through another channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairwiseContext {
    /// The sending device's user.
    pub sender_user: UserId,
    /// The receiving device's user.
    pub recipient_user: UserId,
    /// The sending device.
    pub sender_device: DeviceId,
    /// The receiving device.
    pub recipient_device: DeviceId,
    /// The channel that the message is sealed in.
    pub channel: ChannelHash,
}

/// Why an Olm plaintext is refused. The sender is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PairwiseError {
    /// The bytes break the format.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It was made for other ends, or another channel.
    #[error("a pairwise message with another {0} than it came with")]
    OtherContext(&'static str),
    /// The kind byte names another body than there is.
    #[error("kind {kind} with a body of kind {body}")]
    OtherKind {
        /// The kind byte.
        kind: u8,
        /// The body's kind.
        body: u8,
    },
}

impl PairwiseContext {
    /// The plaintext for Olm: both users, both devices, the channel's hash, the kind, the message.
    pub fn encode(&self, message: &wire::Pairwise) -> Result<Vec<u8>, PairwiseError> {
        let body = required("pairwise message", "body", message.body.as_ref())?;
        let mut out = Vec::with_capacity(PAIRWISE_PREFIX_BYTES + message.encoded_len());
        for (_, id) in self.ids() {
            out.extend_from_slice(id);
        }
        out.push(kind(body));
        message.encode_raw(&mut out);
        Ok(out)
    }

    /// The message of a plaintext that must be for this context.
    pub fn decode_checked(&self, plaintext: &[u8]) -> Result<wire::Pairwise, PairwiseError> {
        let mut rest = plaintext;
        for (name, id) in self.ids() {
            let (found, after) = rest.split_first_chunk::<32>().ok_or_else(too_short)?;
            if found != id {
                return Err(PairwiseError::OtherContext(name));
            }
            rest = after;
        }
        let (&kind_byte, rest) = rest.split_first().ok_or_else(too_short)?;
        let message: wire::Pairwise =
            decode("pairwise message", &Bytes::copy_from_slice(rest), PAYLOAD_BYTES_MAX)?;
        let body = required("pairwise message", "body", message.body.as_ref())?;
        match kind(body) {
            body if body == kind_byte => Ok(message),
            body => Err(PairwiseError::OtherKind { kind: kind_byte, body }),
        }
    }

    fn ids(&self) -> [(&'static str, &[u8; 32]); 5] {
        [
            ("sender user", self.sender_user.as_bytes()),
            ("recipient user", self.recipient_user.as_bytes()),
            ("sender device", self.sender_device.as_bytes()),
            ("recipient device", self.recipient_device.as_bytes()),
            ("channel", self.channel.as_bytes()),
        ]
    }
}

/// The body's field number in the schema.
const fn kind(body: &Body) -> u8 {
    match body {
        Body::KeyPackage(_) => 3,
        Body::Acknowledgement(_) => 4,
        Body::Entry(_) => 5,
        Body::DeviceList(_) => 6,
        Body::Nothing(_) => 7,
        Body::Retry(_) => 8,
        Body::Entries(_) => 9,
        Body::Group(_) => 10,
    }
}

fn too_short() -> Malformed {
    Malformed::new("pairwise message", "too short for its prefix")
}
