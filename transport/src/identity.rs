//! Keys as libp2p wants them, ids as the protocol wants them.

use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey, ed25519};
use undertone_protocol::ids::{DeviceId, RelayId, Secret};

/// A peer whose key is no Ed25519 key: neither a device nor a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the peer's key is no Ed25519 key")]
pub struct ForeignKey;

/// The Ed25519 key that one side of a connection proves to hold: a device's or a relay's.
#[derive(Clone)]
pub struct Identity {
    keypair: Keypair,
    public: [u8; 32],
}

impl Identity {
    /// From the 32-byte Ed25519 seed.
    #[expect(clippy::expect_used, reason = "a seed of 32 bytes is always an Ed25519 key")]
    pub fn from_secret(secret: &Secret) -> Self {
        let mut seed = zeroize::Zeroizing::new(*secret.expose());
        let secret = ed25519::SecretKey::try_from_bytes(&mut *seed).expect("32 bytes");
        let pair = ed25519::Keypair::from(secret);
        Self { public: pair.public().to_bytes(), keypair: pair.into() }
    }

    /// The device with this key.
    pub fn device_id(&self) -> DeviceId {
        DeviceId::new(self.public)
    }

    /// The relay with this key.
    pub fn relay_id(&self) -> RelayId {
        RelayId::new(self.public)
    }

    pub(crate) fn keypair(&self) -> &Keypair {
        &self.keypair
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.device_id().short())
    }
}

/// The libp2p name of a relay; `ForeignKey` if its 32 bytes are no Ed25519 key.
pub(crate) fn relay_peer(relay: &RelayId) -> Result<PeerId, ForeignKey> {
    let key = ed25519::PublicKey::try_from_bytes(relay.as_bytes()).map_err(|_| ForeignKey)?;
    Ok(PeerId::from_public_key(&PublicKey::from(key)))
}

/// The relay whose key stands behind `/p2p/` in its addresses.
pub fn relay_from_text(text: &str) -> Result<RelayId, ForeignKey> {
    relay_of(&text.trim().parse().map_err(|_| ForeignKey)?)
}

/// The relay with this libp2p name.
pub(crate) fn relay_of(peer: &PeerId) -> Result<RelayId, ForeignKey> {
    public_key(peer).map(RelayId::new)
}

/// The device with this libp2p name.
pub(crate) fn device_of(peer: &PeerId) -> Result<DeviceId, ForeignKey> {
    public_key(peer).map(DeviceId::new)
}

/// The name of a peer with an Ed25519 key is an identity multihash: the key itself, in protobuf.
fn public_key(peer: &PeerId) -> Result<[u8; 32], ForeignKey> {
    const IDENTITY_MULTIHASH: u64 = 0;
    let hash = peer.as_ref();
    if hash.code() != IDENTITY_MULTIHASH {
        return Err(ForeignKey);
    }
    let key = PublicKey::try_decode_protobuf(hash.digest()).map_err(|_| ForeignKey)?;
    Ok(key.try_into_ed25519().map_err(|_| ForeignKey)?.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_peers_convert_both_ways() {
        let identity = Identity::from_secret(&Secret::new([7; 32]));
        let peer = identity.keypair().public().to_peer_id();
        assert_eq!(relay_of(&peer), Ok(identity.relay_id()));
        assert_eq!(device_of(&peer), Ok(identity.device_id()));
        assert_eq!(relay_peer(&identity.relay_id()), Ok(peer));
        assert_eq!(relay_from_text(&peer.to_string()), Ok(identity.relay_id()));
        assert_eq!(relay_from_text("12D3"), Err(ForeignKey));
    }

    #[test]
    fn the_seed_decides_the_key() {
        // RFC 8032, section 7.1, test 1.
        let seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let seed = DeviceId::from_hex(seed).unwrap();
        let identity = Identity::from_secret(&Secret::new(*seed.as_bytes()));
        assert_eq!(identity.device_id().to_hex(), public);
    }

    #[test]
    fn a_peer_without_an_ed25519_key_is_foreign() {
        assert_eq!(relay_of(&PeerId::random()), Err(ForeignKey));
    }
}
