//! End-to-end encryption, without I/O (`spec/crypto.md`). No ratchet here is our own: Olm and Megolm
//! are vodozemac's, the key encapsulation is `hpke`'s.
//!
//! Three layers: the pairwise channel hides who writes and is post-quantum, inside it Olm
//! authenticates device to device, and sender keys (Megolm) under a header key carry conversations.

mod error;
mod ratchet;
mod vodozemac;

pub use error::CryptoError;
pub use ratchet::{
    AcceptedSession, AccountState, Crypto, ImportedSenderKey, MegolmMessage, MegolmPlaintext, OlmMessage,
    PrekeyInfo, ReceiverKeyState, SenderKeyInfo, SenderKeyState, SessionState,
};
pub use vodozemac::Vodozemac;

/// Bytes of a Megolm session key: version, index, ratchet, public key, signature.
pub const SESSION_KEY_BYTES: usize = 1 + 4 + 128 + 32 + 64;
