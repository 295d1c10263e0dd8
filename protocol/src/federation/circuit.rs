use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use hpke::aead::ChaCha20Poly1305 as HpkeAead;
use hpke::kdf::HkdfSha256;
use hpke::{Deserializable, HpkeError, Kem, OpModeR, OpModeS, Serializable};
use prost::Message;
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::parcel::{ENC_BYTES, Outgoing, Parcel, ParcelItem, VERSION_AND_SUITE, routes};
use super::routing_key::{RoutingKey, RoutingKeyId, RoutingSecret, X25519};
use crate::codec::{Malformed, Signed, decode, pad, unpad};
use crate::ids::{PublishId, RelayId, Secret};
use crate::limits::{FRAME_BYTES_MAX, PARCEL_BYTES_MAX};
use crate::receipts::CustodyReceipt;
use crate::wire;

const INFO: &[u8] = b"undertone v1 circuit";
const ROUTE_KEY: &[u8] = b"undertone v1 circuit route key";
const ANSWER_KEY: &[u8] = b"undertone v1 circuit answer key";
const FORWARDED: &[u8] = b"undertone v1 forwarded";
const SALT_BYTES: usize = 16;

/// Why a circuit, a route or an answer can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CircuitError {
    /// It breaks the format. Its maker is at fault.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The routing key or the encapsulation can't be used. Its maker is at fault.
    #[error("the key can't be used")]
    BadKey,
    /// It was altered, or sealed for another key.
    #[error("it does not authenticate")]
    Unauthentic,
    /// More than a parcel may have. The caller is at fault.
    #[error("too large for a parcel")]
    TooLarge,
}

/// The two keys that both ends of a circuit export from its HPKE context (RFC 9180, section 5.3): HPKE's own sealing
/// counts for itself, and parcels come in any order.
#[derive(Clone, PartialEq, Eq)]
pub struct CircuitKeys {
    route: Secret,
    answer: Secret,
}

impl std::fmt::Debug for CircuitKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CircuitKeys(..)")
    }
}

impl CircuitKeys {
    /// The destination's end of a circuit.
    pub fn receive(
        secret: &RoutingSecret,
        relay: &RelayId,
        enc: &[u8; ENC_BYTES],
    ) -> Result<Self, CircuitError> {
        let receive = || {
            let encapped = <X25519 as Kem>::EncappedKey::from_bytes(enc)?;
            let context = hpke::setup_receiver::<HpkeAead, HkdfSha256, X25519>(
                &OpModeR::Base,
                secret.private(),
                &encapped,
                &info(relay),
            )?;
            Self::export(|label, out| context.export(label, out))
        };
        receive().map_err(|_: HpkeError| CircuitError::BadKey)
    }

    fn export(export: impl Fn(&[u8], &mut [u8]) -> Result<(), HpkeError>) -> Result<Self, HpkeError> {
        let key = |label| {
            let mut out = Zeroizing::new([0; 32]);
            export(label, out.as_mut_slice())?;
            Ok(Secret::new(*out))
        };
        Ok(Self { route: key(ROUTE_KEY)?, answer: key(ANSWER_KEY)? })
    }

    /// Who gets each of the parcel's items, in their order.
    pub fn open_route(&self, parcel: &Parcel) -> Result<Vec<Vec<wire::Recipient>>, CircuitError> {
        let sealed = Payload { msg: &parcel.route, aad: &parcel.associated_data() };
        let padded = cipher(&self.route)
            .decrypt(&nonce(parcel.counter), sealed)
            .map_err(|_| CircuitError::Unauthentic)?;
        Ok(routes(unpad(&padded)?.to_vec(), parcel.items.len())?)
    }

    /// Seals the destination's receipt for whoever made the circuit.
    pub fn seal_answer(
        &self,
        parcel: &Parcel,
        receipt: &Signed,
        rng: &mut impl CryptoRng,
    ) -> Result<wire::Forwarded, CircuitError> {
        let mut salt = [0; SALT_BYTES];
        rng.fill_bytes(&mut salt);
        let padded = pad(receipt.to_wire().encode_to_vec());
        let key = answer_key(&self.answer, &salt, parcel.counter);
        let content = Payload { msg: &padded, aad: &answer_data(&parcel.forward_id) };
        let answer = cipher(&key).encrypt(&nonce(0), content).map_err(|_| CircuitError::TooLarge)?;
        Ok(wire::Forwarded {
            forward_id: parcel.forward_id.to_wire(),
            salt: Bytes::copy_from_slice(&salt),
            answer: answer.into(),
        })
    }
}

/// A sender's end of a circuit: for one conversation and one destination.
#[derive(Debug)]
pub struct Circuit {
    relay: RelayId,
    routing_key: RoutingKeyId,
    enc: [u8; ENC_BYTES],
    keys: CircuitKeys,
    next: u64,
}

impl Circuit {
    /// Sets a circuit up to a relay's published key.
    pub fn set_up(key: &RoutingKey, rng: &mut impl CryptoRng) -> Result<Self, CircuitError> {
        let mut set_up = || {
            let (encapped, context) = hpke::setup_sender_with_rng::<HpkeAead, HkdfSha256, X25519>(
                &OpModeS::Base,
                key.public(),
                &info(&key.relay),
                rng,
            )?;
            let mut enc = [0; ENC_BYTES];
            encapped.write_exact(&mut enc);
            Ok((enc, CircuitKeys::export(|label, out| context.export(label, out))?))
        };
        let (enc, keys) = set_up().map_err(|_: HpkeError| CircuitError::BadKey)?;
        Ok(Self { relay: key.relay, routing_key: key.id(), enc, keys, next: 0 })
    }

    /// How many parcels went into it.
    pub const fn used(&self) -> u64 {
        self.next
    }

    /// Which of the destination's keys it was made with.
    pub const fn routing_key(&self) -> RoutingKeyId {
        self.routing_key
    }

    /// Seals a parcel: its exact bytes, and what opens the answer. It takes a number of the circuit, which is never
    /// used for another: what is sent again is the same bytes.
    pub fn seal(&mut self, outgoing: Outgoing) -> Result<(Bytes, AnswerKey), CircuitError> {
        let counter = self.next;
        self.next = counter.checked_add(1).ok_or(CircuitError::TooLarge)?;
        let Outgoing { forward_id, not_after, items } = outgoing;
        let (mut routes, mut open) = (Vec::new(), Vec::new());
        for item in items {
            routes.push(wire::OpenRoute { recipients: item.recipients });
            open.push(ParcelItem::new(item.payload, item.class, item.expiry));
        }
        let mut parcel = Parcel {
            forward_id,
            routing_key: self.routing_key,
            enc: self.enc,
            counter,
            not_after,
            route: Bytes::new(),
            items: open,
        };
        let padded = pad(wire::ParcelRoute { routes }.encode_to_vec());
        let content = Payload { msg: &padded, aad: &parcel.associated_data() };
        let sealed = cipher(&self.keys.route).encrypt(&nonce(counter), content);
        parcel.route = sealed.map_err(|_| CircuitError::TooLarge)?.into();
        let bytes = parcel.encode();
        if bytes.len() > PARCEL_BYTES_MAX {
            return Err(CircuitError::TooLarge);
        }
        Ok((bytes, AnswerKey { relay: self.relay, forward_id, counter, key: self.keys.answer.clone() }))
    }
}

/// What opens the answer to one forward; to be kept for as long as the answer may come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerKey {
    /// Whose answer it is.
    pub relay: RelayId,
    /// To what.
    pub forward_id: PublishId,
    /// The parcel's number in its circuit.
    pub counter: u64,
    /// The circuit's key for answers.
    pub key: Secret,
}

impl AnswerKey {
    /// The destination's receipt, its signature checked.
    pub fn open(&self, forwarded: &wire::Forwarded) -> Result<CustodyReceipt, CircuitError> {
        let salt: [u8; SALT_BYTES] = forwarded
            .salt
            .as_ref()
            .try_into()
            .map_err(|_| Malformed::new("forwarded", "a salt has 16 bytes"))?;
        if forwarded.forward_id != self.forward_id.as_bytes().as_slice() {
            return Err(Malformed::new("forwarded", "it answers another forward").into());
        }
        let key = answer_key(&self.key, &salt, self.counter);
        let sealed = Payload { msg: &forwarded.answer, aad: &answer_data(&self.forward_id) };
        let padded = cipher(&key).decrypt(&nonce(0), sealed).map_err(|_| CircuitError::Unauthentic)?;
        let signed: wire::Signed = decode("forwarded", &unpad(&padded)?.to_vec().into(), FRAME_BYTES_MAX)?;
        let receipt = CustodyReceipt::verify(&Signed::from_wire(signed)?, &self.relay)
            .map_err(|_| CircuitError::Unauthentic)?;
        if receipt.publish_id != self.forward_id {
            return Err(CircuitError::Unauthentic);
        }
        Ok(receipt)
    }
}

/// `label ‖ 0x00 ‖ version ‖ suite ‖ destination relay`.
fn info(relay: &RelayId) -> Vec<u8> {
    [INFO, &VERSION_AND_SUITE, relay.as_bytes()].concat()
}

/// BLAKE3-keyed(exported key, salt ‖ counter): used once, so that its nonce may be 0.
fn answer_key(exported: &Secret, salt: &[u8; SALT_BYTES], counter: u64) -> Secret {
    let input = [salt.as_slice(), &counter.to_be_bytes()].concat();
    Secret::new(*blake3::keyed_hash(exported.expose(), &input).as_bytes())
}

fn answer_data(forward_id: &PublishId) -> Vec<u8> {
    [FORWARDED, &[0], forward_id.as_bytes()].concat()
}

fn cipher(key: &Secret) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(key.expose().into())
}

/// Four zero bytes, then the counter in eight bytes, big endian.
fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    counter.to_be_bytes().iter().zip(nonce.iter_mut().skip(4)).for_each(|(from, to)| *to = *from);
    nonce.into()
}
