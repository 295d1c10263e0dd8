use std::fmt;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use prost::Message;
use zeroize::Zeroizing;

use super::ratchet::{Crypto, ReceiverKeyState};
use super::sender_key::{HeaderKey, is_allowed};
use super::{CryptoError, SESSION_KEY_BYTES};
use crate::codec::{BadSignature, Label, Malformed, Signed, decode, sign, version_and_suite};
use crate::ids::{ConversationId, DeviceId, DeviceListHash, SessionId, UserId};
use crate::limits::{MEMBERSHIP_HEADS_MAX, PROTOCOL_VERSION, SUITE};
use crate::wire;

const WHAT: &str = "key package";
/// Ids, heads, keys, and room for fields that a later version adds.
const BYTES_MAX: usize = 4_096;

/// Both ends of a key package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackageEnds {
    /// The user whose device made the sender key.
    pub sender_user: UserId,
    /// The device that made the sender key, and signs.
    pub sender_device: DeviceId,
    /// The user that gets it.
    pub recipient_user: UserId,
    /// The device that gets it.
    pub recipient_device: DeviceId,
}

/// A sender key on its way to one device.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyPackage {
    /// From whom, for whom.
    pub ends: PackageEnds,
    /// The one conversation that the key is for.
    pub conversation: ConversationId,
    /// The Megolm session.
    pub session: SessionId,
    /// The first index that the key opens.
    pub first_index: u32,
    /// The seq of the author's next entry: those before it are not under this key, for this recipient.
    pub next_seq: u64,
    /// The membership that the author resolved the recipients at; as in an entry's header.
    pub membership_heads: Vec<DeviceListHash>,
    /// The Megolm session key at `first_index`. Secret.
    pub session_key: Zeroizing<Vec<u8>>,
    /// H.
    pub header_key: HeaderKey,
}

/// Why a key package is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyPackageError {
    /// The bytes break the format. The sender is at fault.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The sending device did not sign it.
    #[error(transparent)]
    BadSignature(#[from] BadSignature),
    /// It is from or for somebody else: passed on.
    #[error("a key package with another {0} than it came with")]
    OtherEnds(&'static str),
    /// The session key is not that of the session and index that the package names. The sender is at fault.
    #[error("the session key is of another session or index than the package names")]
    OtherSession,
    /// The session key can't be used.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl KeyPackage {
    /// Signed by the sending device, for a pairwise message.
    pub fn sign(&self, device: &SigningKey) -> Signed {
        let field = |bytes: &[u8]| Bytes::copy_from_slice(bytes);
        let package = wire::KeyPackage {
            version: PROTOCOL_VERSION,
            suite: u32::from(SUITE),
            conversation: self.conversation.to_wire(),
            session: self.session.to_wire(),
            first_index: self.first_index,
            next_seq: self.next_seq,
            membership_heads: self.membership_heads.iter().map(DeviceListHash::to_wire).collect(),
            sender_user: self.ends.sender_user.to_wire(),
            sender_device: self.ends.sender_device.to_wire(),
            recipient_user: self.ends.recipient_user.to_wire(),
            recipient_device: self.ends.recipient_device.to_wire(),
            session_key: field(&self.session_key),
            header_key: field(self.header_key.expose()),
        };
        sign(Label::KeyPackage, device, package.encode_to_vec())
    }

    /// Checks the signature, the form, and that it is from and for whom it came.
    pub fn verify(signed: &Signed, expected: &PackageEnds) -> Result<Self, KeyPackageError> {
        signed.verify(Label::KeyPackage, expected.sender_device.as_bytes())?;
        let package = Self::from_wire(&decode(WHAT, &signed.body, BYTES_MAX)?)?;
        package.ends.check(expected)?;
        Ok(package)
    }

    /// The receiving end; checks that the session key is what the package says.
    pub fn import(&self, crypto: &dyn Crypto) -> Result<ReceiverKeyState, KeyPackageError> {
        let imported = crypto.import_sender_key(&self.session_key)?;
        if imported.session != self.session || imported.first_index != self.first_index {
            return Err(KeyPackageError::OtherSession);
        }
        Ok(imported.receiver)
    }

    fn from_wire(package: &wire::KeyPackage) -> Result<Self, Malformed> {
        version_and_suite(WHAT, package.version, package.suite)?;
        if !is_allowed(package.first_index) {
            return Err(Malformed::new(WHAT, format!("first index {}", package.first_index)));
        }
        if package.next_seq == 0 {
            return Err(Malformed::new(WHAT, "next seq 0, the first is 1"));
        }
        if package.session_key.len() != SESSION_KEY_BYTES {
            return Err(Malformed::new(
                WHAT,
                format!("a session key of {} bytes", package.session_key.len()),
            ));
        }
        Ok(Self {
            ends: PackageEnds {
                sender_user: UserId::from_slice(&package.sender_user)?,
                sender_device: DeviceId::from_slice(&package.sender_device)?,
                recipient_user: UserId::from_slice(&package.recipient_user)?,
                recipient_device: DeviceId::from_slice(&package.recipient_device)?,
            },
            conversation: ConversationId::from_slice(&package.conversation)?,
            session: SessionId::from_slice(&package.session)?,
            first_index: package.first_index,
            next_seq: package.next_seq,
            membership_heads: heads(&package.membership_heads)?,
            session_key: Zeroizing::new(package.session_key.to_vec()),
            header_key: HeaderKey::from_slice(&package.header_key)?,
        })
    }
}

impl PackageEnds {
    fn check(&self, expected: &Self) -> Result<(), KeyPackageError> {
        let parts = [
            ("sender user", self.sender_user.as_bytes(), expected.sender_user.as_bytes()),
            ("sender device", self.sender_device.as_bytes(), expected.sender_device.as_bytes()),
            ("recipient user", self.recipient_user.as_bytes(), expected.recipient_user.as_bytes()),
            ("recipient device", self.recipient_device.as_bytes(), expected.recipient_device.as_bytes()),
        ];
        match parts.into_iter().find(|(_, found, wanted)| found != wanted) {
            Some((name, ..)) => Err(KeyPackageError::OtherEnds(name)),
            None => Ok(()),
        }
    }
}

fn heads(heads: &[Bytes]) -> Result<Vec<DeviceListHash>, Malformed> {
    if heads.len() > MEMBERSHIP_HEADS_MAX {
        return Err(Malformed::new(WHAT, format!("{} membership heads", heads.len())));
    }
    heads.iter().map(|head| Ok(DeviceListHash::from_slice(head)?)).collect()
}

impl fmt::Debug for KeyPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPackage")
            .field("ends", &self.ends)
            .field("conversation", &self.conversation)
            .field("session", &self.session)
            .field("first_index", &self.first_index)
            .field("next_seq", &self.next_seq)
            .finish_non_exhaustive()
    }
}
