use std::fmt;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, HpkeError, Kem, Serializable};
use prost::Message;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::codec::{Label, Malformed, Signed, decode, sign, version_and_suite};
use crate::ids::{RelayId, Secret};
use crate::keys::KeysError;
use crate::limits::{PROTOCOL_VERSION, ROUTING_KEY_LIFE, SUITE};
use crate::time::Timestamp;
use crate::wire;

/// The largest body of a routing key, in bytes.
const BODY_BYTES_MAX: usize = 128;

pub(super) type X25519 = X25519HkdfSha256;
pub(super) type PrivateKey = <X25519 as Kem>::PrivateKey;
pub(super) type PublicKey = <X25519 as Kem>::PublicKey;

/// Which routing key of a relay: BLAKE3(public key), cut to 8 bytes.
pub type RoutingKeyId = [u8; 8];

/// A relay's X25519 routing key, the private half with it.
#[derive(Clone)]
pub struct RoutingSecret {
    secret: Secret,
    private: PrivateKey,
    public: PublicKey,
    id: RoutingKeyId,
}

impl RoutingSecret {
    /// A new one.
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let (private, public) = X25519::gen_keypair_with_rng(rng);
        let mut secret = Zeroizing::new([0; 32]);
        private.write_exact(secret.as_mut_slice());
        Self::new(Secret::new(*secret), private, public)
    }

    /// From the 32 bytes of the private half. An error says that they are no key of this kind.
    pub fn from_secret(secret: Secret) -> Result<Self, Malformed> {
        let private = PrivateKey::from_bytes(secret.expose()).map_err(bad_key)?;
        let public = X25519::sk_to_pk(&private);
        Ok(Self::new(secret, private, public))
    }

    fn new(secret: Secret, private: PrivateKey, public: PublicKey) -> Self {
        let id = id_of(&bytes_of(&public));
        Self { secret, private, public, id }
    }

    /// The private half, to be stored.
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// What senders call it by.
    pub const fn id(&self) -> RoutingKeyId {
        self.id
    }

    pub(super) const fn private(&self) -> &PrivateKey {
        &self.private
    }
}

impl fmt::Debug for RoutingSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutingSecret").field("id", &self.id).finish_non_exhaustive()
    }
}

fn bytes_of(public: &PublicKey) -> [u8; 32] {
    let mut bytes = [0; 32];
    public.write_exact(&mut bytes);
    bytes
}

fn bad_key(error: HpkeError) -> Malformed {
    Malformed::new("routing key", error.to_string())
}

fn id_of(public: &[u8; 32]) -> RoutingKeyId {
    let [a, b, c, d, e, f, g, h, ..] = *blake3::hash(public).as_bytes();
    [a, b, c, d, e, f, g, h]
}

/// A relay's routing key as it publishes it: signed by the relay.
#[derive(Clone)]
pub struct RoutingKey {
    /// Whose key it is.
    pub relay: RelayId,
    /// When it was made, by the relay's clock.
    pub issued: Timestamp,
    /// Nothing is sealed to it after this.
    pub not_after: Timestamp,
    /// Exact bytes and signature.
    pub signed: Signed,
    id: RoutingKeyId,
    key: PublicKey,
}

impl RoutingKey {
    /// Signs the public half, for [`ROUTING_KEY_LIFE`] from `issued` on.
    pub fn issue(relay: &SigningKey, secret: &RoutingSecret, issued: Timestamp) -> Self {
        let not_after = issued.after(ROUTING_KEY_LIFE);
        let body = wire::RoutingKey {
            version: PROTOCOL_VERSION,
            suite: u32::from(SUITE),
            key: Bytes::copy_from_slice(&bytes_of(&secret.public)),
            issued_ms: issued.as_ms(),
            not_after_ms: not_after.as_ms(),
        };
        let signed = sign(Label::RoutingKey, relay, body.encode_to_vec());
        let relay = RelayId::new(relay.verifying_key().to_bytes());
        Self { relay, issued, not_after, signed, id: secret.id, key: secret.public.clone() }
    }

    /// Checks form and signature, and that it is this relay's. Whether it has ended is the caller's to check.
    pub fn verify(signed: Signed, relay: &RelayId) -> Result<Self, KeysError> {
        let body: wire::RoutingKey = decode("routing key", &signed.body, BODY_BYTES_MAX)?;
        version_and_suite("routing key", body.version, body.suite)?;
        signed.verify(Label::RoutingKey, relay.as_bytes())?;
        let public: [u8; 32] = *Secret::from_slice(&body.key)?.expose();
        let key = PublicKey::from_bytes(&public).map_err(bad_key)?;
        Ok(Self {
            relay: *relay,
            issued: Timestamp::from_ms(body.issued_ms),
            not_after: Timestamp::from_ms(body.not_after_ms),
            signed,
            id: id_of(&public),
            key,
        })
    }

    /// What parcels name it by.
    pub const fn id(&self) -> RoutingKeyId {
        self.id
    }

    pub(super) const fn public(&self) -> &PublicKey {
        &self.key
    }
}

impl PartialEq for RoutingKey {
    fn eq(&self, other: &Self) -> bool {
        self.relay == other.relay && self.signed == other.signed
    }
}

impl Eq for RoutingKey {}

impl fmt::Debug for RoutingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoutingKey").field("relay", &self.relay).field("id", &self.id).finish_non_exhaustive()
    }
}
