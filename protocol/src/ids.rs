//! Identifiers: every id, hash and key has a type of its own.

use std::fmt;

use rand_core::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of the wrong length where an id, hash or key was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} must be {expected} bytes, got {got}")]
pub struct WrongLength {
    /// What was expected.
    pub what: &'static str,
    /// The length it must have, in bytes.
    pub expected: usize,
    /// The length it had, in bytes.
    pub got: usize,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// From exactly [`Self::LEN`] bytes.
            pub const fn new(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// From a slice; refused unless it has [`Self::LEN`] bytes.
            pub fn from_slice(bytes: &[u8]) -> Result<Self, WrongLength> {
                let array = bytes.try_into().map_err(|_| WrongLength {
                    what: stringify!($name),
                    expected: $len,
                    got: bytes.len(),
                })?;
                Ok(Self(array))
            }

            /// A random one.
            pub fn random(rng: &mut impl CryptoRng) -> Self {
                let mut bytes = [0; $len];
                rng.fill_bytes(&mut bytes);
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The bytes, as a field of a wire message.
            pub fn to_wire(&self) -> bytes::Bytes {
                bytes::Bytes::copy_from_slice(&self.0)
            }

            /// The first eight hexadecimal digits, for logs.
            pub fn short(&self) -> String {
                data_encoding::HEXLOWER.encode(self.0.get(..4).unwrap_or(&self.0))
            }

            /// All bytes, in lower-case hexadecimal.
            pub fn to_hex(&self) -> String {
                data_encoding::HEXLOWER.encode(&self.0)
            }

            /// From hexadecimal digits; `None` if they are not [`Self::LEN`] bytes.
            pub fn from_hex(text: &str) -> Option<Self> {
                let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?;
                Self::from_slice(&bytes).ok()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }
    };
}

id!(
    /// A user: the Ed25519 public key of the identity.
    UserId, 32
);
id!(
    /// A device: its Ed25519 public key, which is its libp2p identity too.
    DeviceId, 32
);
id!(
    /// A relay: its Ed25519 public key, which is its libp2p identity too.
    RelayId, 32
);
id!(
    /// A conversation. Direct: see [`crate::keys::direct_conversation`].
    ConversationId, 32
);
id!(
    /// An entry: BLAKE3 of its header's exact bytes.
    EntryId, 32
);
id!(
    /// A device list: BLAKE3 of its signed body's exact bytes.
    DeviceListHash, 32
);
id!(
    /// An operation on a group's membership: the hash of the change that carries it (`spec/groups.md`).
    OperationHash, 32
);
id!(
    /// A device certificate: BLAKE3 of its signed body's exact bytes.
    CertificateHash, 32
);
id!(
    /// A payload as a relay sees it: BLAKE3 of its bytes.
    PayloadHash, 32
);
id!(
    /// A mailbox at one relay; random.
    MailboxId, 16
);
id!(
    /// One registration of a mailbox in one relay's store; random. Another one means that sequences start anew.
    Generation, 8
);
id!(
    /// One publish; random. Repeated publishes of the same items may have different ones.
    PublishId, 16
);
id!(
    /// Where a bundle is stored at a relay; random.
    Locator, 32
);
id!(
    /// What one step of a delivery token is called; random.
    Handle, 8
);
id!(
    /// A Curve25519 public key, of Olm.
    CurveKey, 32
);
id!(
    /// A pairwise channel: BLAKE3(X-Wing public key ‖ enc).
    ChannelHash, 32
);
id!(
    /// An Olm session: SHA-256(initiator's identity key ‖ its base key ‖ the prekey).
    OlmSessionId, 32
);
id!(
    /// A sender-key (Megolm) session: its Ed25519 public key.
    SessionId, 32
);
id!(
    /// What a sealed payload is recognised by: 16 bytes that only holders of its header key can compute.
    Tag, 16
);

impl Handle {
    /// One that follows from what is known: BLAKE3-derive(`context`, the parts one after another), cut to
    /// [`Self::LEN`] bytes.
    pub fn derive(context: &str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        for part in parts {
            hasher.update(part);
        }
        let mut handle = [0; Self::LEN];
        hasher.finalize_xof().fill(&mut handle);
        Self(handle)
    }

    /// The handle of a contact's next token, after a list of theirs that revokes a device: the same on all
    /// devices of the user who issues it, without a word between them (`spec/devices.md`).
    pub fn after(&self, list: &DeviceListHash) -> Self {
        Self::derive("undertone v1 handle of a token after a revocation", &[self.as_bytes(), list.as_bytes()])
    }
}

impl PayloadHash {
    /// The hash of a payload.
    pub fn of(payload: &[u8]) -> Self {
        Self(*blake3::hash(payload).as_bytes())
    }
}

/// A 32-byte secret: erased when dropped, never printed.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// From 32 bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// From a slice; refused unless it has 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, WrongLength> {
        let array = bytes.try_into().map_err(|_| WrongLength {
            what: "secret",
            expected: Self::LEN,
            got: bytes.len(),
        })?;
        Ok(Self(array))
    }

    /// A random one.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The secret bytes. Don't let them reach a log.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_refuse_other_lengths() {
        assert_eq!(
            MailboxId::from_slice(&[0; 15]),
            Err(WrongLength { what: "MailboxId", expected: 16, got: 15 })
        );
        assert!(MailboxId::from_slice(&[7; 16]).is_ok());
    }

    #[test]
    fn hex_round_trips() {
        let id = Handle::new([1, 2, 3, 4, 5, 6, 7, 0xfe]);
        assert_eq!(id.to_hex(), "01020304050607fe");
        assert_eq!(Handle::from_hex(&id.to_hex()), Some(id));
        assert_eq!(Handle::from_hex("01"), None);
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", Secret::new([9; 32])), "Secret(..)");
    }
}
