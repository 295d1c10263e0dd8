use crate::codec::{BadSignature, Malformed};
use crate::ids::WrongLength;

/// Why a certificate, list, bundle or introduction is refused. Its maker is at fault, or whoever altered it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// It breaks the format.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Its signature does not verify.
    #[error(transparent)]
    BadSignature(#[from] BadSignature),
    /// It speaks for another user than the one expected.
    #[error("it belongs to another user")]
    WrongUser,
    /// It speaks for another device than the one expected.
    #[error("it belongs to another device")]
    WrongDevice,
    /// It is addressed to somebody else.
    #[error("it is addressed to somebody else")]
    WrongRecipient,
    /// The device is not an active one of its user's list.
    #[error("the device is not in its user's list, or was revoked")]
    NotListed,
    /// A sealed blob that its key does not open.
    #[error("the key does not open it")]
    WrongKey,
}

impl From<WrongLength> for KeysError {
    fn from(error: WrongLength) -> Self {
        Self::Malformed(error.into())
    }
}
