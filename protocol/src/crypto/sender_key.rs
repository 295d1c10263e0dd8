use rand_core::CryptoRng;

use super::payload::{self, Parsed, parse};
use super::ratchet::{Crypto, MegolmMessage, ReceiverKeyState, SenderKeyState};
use super::{CryptoError, unpadded};
use crate::codec::{Malformed, pad};
use crate::ids::{Secret, Tag, WrongLength};
use crate::limits::SENDER_KEY_MESSAGES_MAX;

const MESSAGES_MAX: u32 = SENDER_KEY_MESSAGES_MAX as u32;
const MESSAGE_KEY: &str = "undertone v1 message key";

/// Why a conversation message could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Bytes that break the format. The sender is at fault.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The tag is not that of the index under this header key. The caller is at fault: it mapped the
    /// tag to another session.
    #[error("the tag is not that of this session's index {0}")]
    OtherTag(u32),
    /// The payload was altered, or is of another session.
    #[error("the payload does not authenticate")]
    Unauthentic,
    /// The Megolm message has another index than its tag. The sender is at fault.
    #[error("a message of index {message} under the tag of index {tag}")]
    OtherIndex {
        /// The tag's.
        tag: u32,
        /// The message's.
        message: u32,
    },
    /// Megolm refused.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
    /// The content does not fit into one payload. The caller is at fault.
    #[error("the content is too large for one payload")]
    TooLarge,
    /// The session's messages are used up. The caller is at fault: it must rotate before.
    #[error("the session ended: index {0} is not allowed")]
    Ended(u32),
}

/// H, the secret that all holders of a sender key share, and that hides the session from relays: it
/// makes tags, and a key that seals Megolm messages once more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderKey(Secret);

impl HeaderKey {
    /// A new one, for a new session.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self(Secret::random(rng))
    }

    /// From 32 bytes of a key package or the store.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, WrongLength> {
        Secret::from_slice(bytes).map(Self)
    }

    /// The 32 bytes, for a key package or the store. Secret.
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// What the session's message `index` is recognised by.
    pub fn tag(&self, index: u32) -> Tag {
        payload::tag(&self.0, u64::from(index))
    }

    /// The tags of all messages of a session from `first_index` on: at most [`SENDER_KEY_MESSAGES_MAX`].
    pub fn tags(&self, first_index: u32) -> Vec<(u32, Tag)> {
        (first_index..MESSAGES_MAX).map(|index| (index, self.tag(index))).collect()
    }

    /// The payload of a Megolm message. Two messages must never be sealed with one index, or both are
    /// betrayed; the Megolm session of this header key sees to that.
    pub fn seal(&self, message: &MegolmMessage) -> Result<Vec<u8>, MessageError> {
        if !is_allowed(message.index) {
            return Err(MessageError::Ended(message.index));
        }
        let header = payload::message_header(&self.tag(message.index));
        payload::seal(&self.message_key(), u64::from(message.index), header, &message.bytes)
            .ok_or(MessageError::TooLarge)
    }

    /// The Megolm message of a payload whose tag is that of `index`. Nothing is verified yet but that
    /// a holder of this key sealed it.
    pub fn open(&self, index: u32, payload: &[u8]) -> Result<Vec<u8>, MessageError> {
        let Parsed::Message(message) = parse(payload)? else {
            return Err(Malformed::new("payload", "is no conversation message").into());
        };
        if !is_allowed(index) || message.tag != self.tag(index) {
            return Err(MessageError::OtherTag(index));
        }
        payload::open(&self.message_key(), u64::from(index), message.header, message.ciphertext)
            .ok_or(MessageError::Unauthentic)
    }

    /// K_H.
    fn message_key(&self) -> Secret {
        Secret::new(blake3::derive_key(MESSAGE_KEY, self.0.expose()))
    }
}

/// Pads a content and encrypts it as the session's next message. One Megolm message may be sealed
/// under several header keys (the recipients' and the siblings').
pub fn encrypt_content(
    crypto: &mut dyn Crypto,
    sender_key: &mut SenderKeyState,
    content: Vec<u8>,
) -> Result<MegolmMessage, MessageError> {
    let mut advanced = sender_key.clone();
    let message = crypto.encrypt_message(&mut advanced, &pad(content))?;
    if !is_allowed(message.index) {
        return Err(MessageError::Ended(message.index));
    }
    *sender_key = advanced;
    Ok(message)
}

/// Opens, decrypts and unpads the payload whose tag is that of `index`. The tag is consumed only after
/// the signature inside verifies too: every member knows H.
pub fn decrypt_content(
    crypto: &dyn Crypto,
    header_key: &HeaderKey,
    receiver: &ReceiverKeyState,
    index: u32,
    payload: &[u8],
) -> Result<Vec<u8>, MessageError> {
    let message = header_key.open(index, payload)?;
    let decrypted = crypto.decrypt_message(receiver, &message)?;
    if decrypted.index != index {
        return Err(MessageError::OtherIndex { tag: index, message: decrypted.index });
    }
    Ok(unpadded(decrypted.plaintext)?)
}

/// Whether a session may have a message with this index.
pub(super) const fn is_allowed(index: u32) -> bool {
    index < MESSAGES_MAX
}
