//! The circuit of `protocol/vectors/federation.json`, from both ends, and what seals any bytes under its keys.

use std::sync::LazyLock;

use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use hpke::aead::ChaCha20Poly1305 as HpkeAead;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR};
use serde_json::Value;
use undertone_protocol::codec::pad;
use undertone_protocol::federation::{AnswerKey, CircuitKeys, Parcel, RoutingSecret};
use undertone_protocol::ids::{RelayId, Secret};
use undertone_protocol::wire;

use crate::recorded::bytes;

/// What stands behind a label: 0x00, version, suite.
const VERSION_AND_SUITE: [u8; 3] = [0, 1, 1];
const SALT: [u8; 16] = [8; 16];

static VECTORS: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../vectors/federation.json")).unwrap());
static ROUTE_KEY: LazyLock<[u8; 32]> = LazyLock::new(route_key);

fn secret(value: &Value) -> Secret {
    Secret::from_slice(&bytes(value)).unwrap()
}

fn relay() -> RelayId {
    RelayId::from_slice(&bytes(&VECTORS["relay"])).unwrap()
}

/// The parcel, whose route and items may be changed.
pub fn parcel() -> Parcel {
    Parcel::read(&bytes(&VECTORS["parcel"]["bytes"]).into()).unwrap()
}

/// The destination's end.
pub fn destination() -> CircuitKeys {
    let secret = RoutingSecret::from_secret(secret(&VECTORS["routing_secret"])).unwrap();
    CircuitKeys::receive(&secret, &relay(), &parcel().enc).unwrap()
}

/// What the sender opens the parcel's answer with.
pub fn answer_key() -> AnswerKey {
    let Parcel { forward_id, counter, .. } = parcel();
    AnswerKey { relay: relay(), forward_id, counter, key: secret(&VECTORS["circuit_answer_key"]) }
}

/// The key that `destination` keeps to itself.
fn route_key() -> [u8; 32] {
    let private =
        <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(&bytes(&VECTORS["routing_secret"])).unwrap();
    let encapped = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(&parcel().enc).unwrap();
    let info = [b"undertone v1 circuit", &VERSION_AND_SUITE[..], relay().as_bytes()].concat();
    let context = hpke::setup_receiver::<HpkeAead, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &private,
        &encapped,
        &info,
    );
    let mut key = [0; 32];
    context.unwrap().export(b"undertone v1 circuit route key", &mut key).unwrap();
    key
}

/// `content` as a parcel's route, sealed as its sender could.
pub fn seal_route(parcel: &Parcel, content: &[u8]) -> Bytes {
    let mut data = [b"undertone v1 parcel", &VERSION_AND_SUITE[..], parcel.forward_id.as_bytes()].concat();
    data.extend(parcel.not_after.as_ms().to_be_bytes());
    for item in &parcel.items {
        data.extend(item.hash.as_bytes());
        data.push(item.class);
        data.extend(item.expiry.as_ms().to_be_bytes());
    }
    seal(&ROUTE_KEY, parcel.counter, content, &data)
}

/// `content` as the answer to the parcel, sealed as the destination could.
pub fn seal_answer(content: &[u8]) -> wire::Forwarded {
    let AnswerKey { forward_id, counter, key, .. } = answer_key();
    let once = blake3::keyed_hash(key.expose(), &[&SALT[..], &counter.to_be_bytes()].concat());
    let data = [b"undertone v1 forwarded", &[0][..], forward_id.as_bytes()].concat();
    let answer = seal(once.as_bytes(), 0, content, &data);
    wire::Forwarded { forward_id: forward_id.to_wire(), salt: Bytes::from_static(&SALT), answer }
}

fn seal(key: &[u8; 32], counter: u64, content: &[u8], aad: &[u8]) -> Bytes {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    let padded = pad(content.to_vec());
    let content = Payload { msg: &padded, aad };
    ChaCha20Poly1305::new(key.into()).encrypt(&Nonce::from(nonce), content).unwrap().into()
}
