use std::fmt;

use hpke::kem::XWing;
use hpke::{Deserializable, Kem, Serializable};
use rand_core::CryptoRng;

use super::payload::{ENC_BYTES, KeyId};
use crate::codec::Malformed;
use crate::ids::{ChannelHash, Secret};

/// Bytes of an X-Wing public key.
pub const XWING_PUBLIC_BYTES: usize = 1_216;

/// A device's X-Wing key pair (ML-KEM-768 with X25519), from a 32-byte seed.
#[derive(Clone)]
pub struct XWingKey {
    seed: Secret,
    public: XWingPublic,
}

impl XWingKey {
    /// A new one.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        Self::from_seed(Secret::random(rng))
    }

    /// The key pair that the seed expands to, as X-Wing defines it.
    pub fn from_seed(seed: Secret) -> Self {
        let public = XWing::sk_to_pk(&private(&seed));
        let bytes = public.to_bytes();
        let public = XWingPublic { bytes: bytes.as_slice().into(), key: public };
        Self { seed, public }
    }

    /// The seed, to be stored. Secret.
    pub const fn seed(&self) -> &Secret {
        &self.seed
    }

    /// The public key.
    pub const fn public(&self) -> &XWingPublic {
        &self.public
    }

    pub(super) fn private(&self) -> PrivateKey {
        private(&self.seed)
    }
}

pub(super) type PrivateKey = <XWing as Kem>::PrivateKey;
pub(super) type PublicKey = <XWing as Kem>::PublicKey;

fn private(seed: &Secret) -> PrivateKey {
    #[expect(clippy::expect_used, reason = "any 32 bytes are a seed, and the type has 32")]
    PrivateKey::from_bytes(seed.expose()).expect("a seed of 32 bytes")
}

impl fmt::Debug for XWingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XWingKey").field("public", &self.public).finish_non_exhaustive()
    }
}

/// A public X-Wing key whose form was checked.
#[derive(Clone)]
pub struct XWingPublic {
    bytes: Box<[u8]>,
    key: PublicKey,
}

impl XWingPublic {
    /// Checks the length, and that the ML-KEM part is canonical (FIPS 203, section 7.2).
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Malformed> {
        let key = PublicKey::from_bytes(bytes)
            .map_err(|error| Malformed::new("X-Wing public key", error.to_string()))?;
        Ok(Self { bytes: bytes.into(), key })
    }

    /// The 1,216 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The channel that this key and an encapsulation make: BLAKE3(public key ‖ enc).
    pub(super) fn channel_hash(&self, enc: &[u8; ENC_BYTES]) -> ChannelHash {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.bytes).update(enc);
        ChannelHash::new(*hasher.finalize().as_bytes())
    }

    pub(super) const fn key(&self) -> &PublicKey {
        &self.key
    }
}

/// The first four bytes of a channel's hash.
pub(super) fn key_id(hash: &ChannelHash) -> KeyId {
    let [a, b, c, d, ..] = *hash.as_bytes();
    [a, b, c, d]
}

impl PartialEq for XWingPublic {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for XWingPublic {}

impl fmt::Debug for XWingPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = blake3::hash(&self.bytes);
        write!(f, "XWingPublic({})", hash.to_hex().get(..8).unwrap_or_default())
    }
}
