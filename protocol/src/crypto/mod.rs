//! End-to-end encryption, without I/O (`spec/crypto.md`). No ratchet here is our own: Olm and Megolm
//! are vodozemac's, the key encapsulation is `hpke`'s.
//!
//! Three layers: the pairwise channel hides who writes and is post-quantum, inside it Olm
//! authenticates device to device, and sender keys (Megolm) under a header key carry conversations.

use crate::codec::{Malformed, unpad};

mod channel;
mod error;
mod key_package;
mod link;
mod pairwise;
mod payload;
mod ratchet;
mod records;
mod safety_number;
mod sender_key;
pub(crate) mod state_bytes;
mod vodozemac;
mod xwing;

pub use channel::{ChannelError, InboundChannel, OutboundChannel, opening_hash};
pub use error::CryptoError;
pub use key_package::{KeyPackage, KeyPackageError, PackageEnds};
pub use link::{open_link, seal_link};
pub use pairwise::{PAIRWISE_PREFIX_BYTES, PairwiseContext, PairwiseError};
pub use payload::{ENC_BYTES, KeyId, OPENING_OVERHEAD_BYTES, PayloadKind, TAGGED_OVERHEAD_BYTES, classify};
pub use ratchet::{
    AcceptedSession, AccountState, Crypto, ImportedSenderKey, MegolmMessage, MegolmPlaintext, OlmMessage,
    PrekeyInfo, ReceiverKeyState, SenderKeyInfo, SenderKeyState, SessionState,
};
pub use safety_number::safety_number;
pub use sender_key::{HeaderKey, MessageError, decrypt_content, encrypt_content};
pub use vodozemac::Vodozemac;
pub use xwing::{XWING_PUBLIC_BYTES, XWingKey, XWingPublic};

/// Bytes of a Megolm session key: version, index, ratchet, public key, signature.
pub const SESSION_KEY_BYTES: usize = 1 + 4 + 128 + 32 + 64;

/// The content of a padded buffer.
fn unpadded(mut padded: Vec<u8>) -> Result<Vec<u8>, Malformed> {
    let length = unpad(&padded)?.len();
    padded.truncate(length);
    Ok(padded)
}

#[cfg(test)]
mod tests;
