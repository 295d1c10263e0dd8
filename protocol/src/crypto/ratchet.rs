use std::fmt;

use zeroize::Zeroizing;

use super::CryptoError;
use crate::ids::{CurveKey, OlmSessionId, SessionId};

macro_rules! state {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Opaque bytes that only the [`Crypto`] that made them can read: keep them sealed at rest.
        /// Erased when dropped, never printed.
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(Zeroizing<Vec<u8>>);

        impl $name {
            /// From stored bytes; they are first read when the state is used.
            pub const fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
                Self(bytes)
            }

            /// The bytes to store. Secret.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}

state!(
    /// A device's Olm account: its identity key, one-time prekeys and fallback prekeys.
    AccountState
);
state!(
    /// One end of an Olm session.
    SessionState
);
state!(
    /// The sending end of a Megolm session.
    SenderKeyState
);
state!(
    /// A receiving end of a Megolm session, from its first index on.
    ReceiverKeyState
);

/// An Olm message. Its bytes are not checked before it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OlmMessage {
    /// Whether it can open a session.
    pub prekey: bool,
    /// The message, in Olm's own format.
    pub ciphertext: Vec<u8>,
}

/// What a prekey message says about itself, in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrekeyInfo {
    /// The session that it belongs to.
    pub session: OlmSessionId,
    /// The sender's Olm identity key; it proves nothing before the message decrypts.
    pub identity: CurveKey,
    /// The sender's first ratchet key, fresh for each session: to be remembered while the fallback
    /// prekey that it was used with lives, because Olm itself accepts such a message twice. (Not the
    /// session's name: of the base key in it, other points of the curve do as well. The ratchet key is
    /// authenticated by the message.)
    pub ratchet_key: CurveKey,
    /// The recipient's prekey that was used.
    pub prekey: CurveKey,
}

/// A session that a peer opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedSession {
    /// The session.
    pub session: SessionState,
    /// What its first message says.
    pub plaintext: Vec<u8>,
    /// The message's clear part.
    pub info: PrekeyInfo,
    /// Whether the prekey was a fallback prekey, so that `info.ratchet_key` must be remembered.
    pub fallback: bool,
}

/// A sender key as it is handed to a recipient.
#[derive(Clone, PartialEq, Eq)]
pub struct SenderKeyInfo {
    /// The session.
    pub session: SessionId,
    /// The index of the next message, which is the first that `session_key` opens.
    pub next_index: u32,
    /// The Megolm session key at `next_index`. Secret.
    pub session_key: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for SenderKeyInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SenderKeyInfo")
            .field("session", &self.session)
            .field("next_index", &self.next_index)
            .finish_non_exhaustive()
    }
}

/// A sender key as a recipient imports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedSenderKey {
    /// The session.
    pub session: SessionId,
    /// The first index that it opens.
    pub first_index: u32,
    /// The receiving end.
    pub receiver: ReceiverKeyState,
}

/// A Megolm message with its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MegolmMessage {
    /// Its index in the session; each is used once.
    pub index: u32,
    /// The message, in Megolm's own format.
    pub bytes: Vec<u8>,
}

/// A decrypted Megolm message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MegolmPlaintext {
    /// Its index in the session. Megolm accepts one message again and again: who decrypts deduplicates.
    pub index: u32,
    /// What it says.
    pub plaintext: Vec<u8>,
}

/// The seam over Olm and Megolm, because vodozemac draws its own randomness. Everything else in
/// [`crate::crypto`] draws on a generator that is passed in.
///
/// A method that fails leaves every state as it was. A changed state must be stored before what was
/// made with it is sent.
pub trait Crypto: Send {
    /// A new account, without prekeys.
    fn new_account(&mut self) -> AccountState;

    /// The account's public identity key.
    fn identity_key(&self, account: &AccountState) -> Result<CurveKey, CryptoError>;

    /// New one-time prekeys; they count as published. At most 5,000 private ones are kept, the oldest die first.
    fn new_prekeys(&mut self, account: &mut AccountState, count: usize)
    -> Result<Vec<CurveKey>, CryptoError>;

    /// A new fallback prekey. The one before it still works, the one before that dies.
    fn new_fallback_prekey(&mut self, account: &mut AccountState) -> Result<CurveKey, CryptoError>;

    /// The fallback prekey before the current one dies.
    fn forget_previous_fallback(&mut self, account: &mut AccountState) -> Result<(), CryptoError>;

    /// A session to the peer device with this identity key and prekey. Both must have been verified.
    fn open_session(
        &mut self,
        account: &AccountState,
        peer_identity: &CurveKey,
        peer_prekey: &CurveKey,
    ) -> Result<SessionState, CryptoError>;

    /// What a prekey message says about itself, without decrypting it.
    fn prekey_info(&self, message: &OlmMessage) -> Result<PrekeyInfo, CryptoError>;

    /// The session that a prekey message opens. Uses up a one-time prekey.
    fn accept_session(
        &mut self,
        account: &mut AccountState,
        peer_identity: &CurveKey,
        message: &OlmMessage,
    ) -> Result<AcceptedSession, CryptoError>;

    /// The next message. A prekey message until the peer answered.
    fn encrypt(&mut self, session: &mut SessionState, plaintext: &[u8]) -> Result<OlmMessage, CryptoError>;

    /// Decrypts a message of this session, once. A prekey message must name this session.
    fn decrypt(&mut self, session: &mut SessionState, message: &OlmMessage) -> Result<Vec<u8>, CryptoError>;

    /// The session's name, the same at both ends.
    fn session_id(&self, session: &SessionState) -> Result<OlmSessionId, CryptoError>;

    /// A new sender key, at index 0.
    fn new_sender_key(&mut self) -> SenderKeyState;

    /// The sender key at its present index, for a recipient.
    fn sender_key_info(&self, sender_key: &SenderKeyState) -> Result<SenderKeyInfo, CryptoError>;

    /// The next message of a sender key.
    fn encrypt_message(
        &mut self,
        sender_key: &mut SenderKeyState,
        plaintext: &[u8],
    ) -> Result<MegolmMessage, CryptoError>;

    /// The receiving end of a session key.
    fn import_sender_key(&self, session_key: &[u8]) -> Result<ImportedSenderKey, CryptoError>;

    /// Decrypts a message. The same message decrypts again: deduplicate by index.
    fn decrypt_message(
        &self,
        receiver: &ReceiverKeyState,
        message: &[u8],
    ) -> Result<MegolmPlaintext, CryptoError>;

    /// Advances a receiving end so that messages below `index` can't be decrypted any more; does
    /// nothing if it is there already.
    fn forget_below(&mut self, receiver: &mut ReceiverKeyState, index: u32) -> Result<(), CryptoError>;
}
