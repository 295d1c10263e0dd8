use crate::codec::Malformed;
use crate::ids::CurveKey;

/// Why an Olm or Megolm operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// Stored state that can't be read. Our own store is at fault.
    #[error("corrupt {0} state")]
    CorruptState(&'static str),
    /// Bytes that are no message or key. The peer is at fault.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A key that makes the shared secret predictable. The peer is at fault.
    #[error("a key of the peer is of small order")]
    WeakKey,
    /// A prekey message from another identity than the certificate names. The peer is at fault.
    #[error("the prekey message names another identity key")]
    OtherIdentity,
    /// A prekey message of another session, given to this one. The caller is at fault.
    #[error("the prekey message belongs to another session")]
    OtherSession,
    /// A session was to be accepted from a message that opens none. The caller is at fault.
    #[error("the message is no prekey message")]
    NotPrekey,
    /// The prekey was used before, died, or was never ours. A repeat, or the peer's bundle is stale.
    #[error("unknown prekey {0:?}")]
    MissingPrekey(CurveKey),
    /// The authentication code is wrong: the message was altered, or the two ends have lost each other.
    #[error("the message does not authenticate")]
    BadMac,
    /// The signature is wrong: the message was altered, or isn't of this session.
    #[error("the message's signature does not verify")]
    BadSignature,
    /// The message's key was used before, or fell out of the window of skipped keys.
    #[error("no key for index {0} of its chain: a repeat, or too late")]
    MissingMessageKey(u64),
    /// More messages were skipped than may be.
    #[error("{skipped} messages were skipped, at most {max} may be")]
    TooManySkipped {
        /// Skipped messages.
        skipped: u64,
        /// How many may be.
        max: u64,
    },
    /// The message is older than the key that we have, or too far ahead.
    #[error("index {index} is unknown, the first is {first}")]
    UnknownIndex {
        /// The first index that we can decrypt.
        first: u32,
        /// The message's.
        index: u32,
    },
    /// A session's messages are used up. The caller is at fault: it must rotate before.
    #[error("the session has no messages left")]
    Exhausted,
}

impl CryptoError {
    /// Whether a fresh Olm session heals it: what the peer sends in the present one is lost to us.
    pub const fn wants_new_session(&self) -> bool {
        matches!(
            self,
            Self::MissingPrekey(_)
                | Self::BadMac
                | Self::MissingMessageKey(_)
                | Self::TooManySkipped { .. }
                | Self::CorruptState(_)
        )
    }
}
