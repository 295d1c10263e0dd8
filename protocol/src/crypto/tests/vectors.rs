//! `vectors/crypto.json`: what another implementation can check itself against, with `spec/crypto.md`.

use data_encoding::HEXLOWER;
use ed25519_dalek::SigningKey;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_core::Rng;
use serde_json::{Value, json};

use crate::codec::{Label, pad, sign};
use crate::crypto::*;
use crate::ids::{ChannelHash, DeviceId, Secret, UserId};
use crate::testing::Given;
use crate::testing::vectors::{assert_stored, hex};
use crate::time::Timestamp;
use crate::wire;
use crate::wire::pairwise::Body;

fn bytes(value: &Value) -> Vec<u8> {
    HEXLOWER.decode(value.as_str().unwrap().as_bytes()).unwrap()
}

fn stored() -> Value {
    serde_json::from_str(include_str!("../../../vectors/crypto.json")).unwrap()
}

/// All of it, computed from fixed seeds.
fn computed() -> Value {
    json!({
        "padding": padding(),
        "signature": signature(),
        "channel": channel(),
        "message": message(),
        "pairwise": pairwise(),
        "safety_number": json!({
            "one": hex([1; 32]),
            "other": hex([2; 32]),
            "number": safety_number(&UserId::new([1; 32]), &UserId::new([2; 32])),
        }),
    })
}

fn padding() -> Vec<Value> {
    let of = |content: Vec<u8>| json!({ "content": hex(&content), "padded": hex(pad(content)) });
    [0, 63, 64, 200].map(|length| of(vec![7; length])).to_vec()
}

fn signature() -> Value {
    let key = SigningKey::from_bytes(&[3; 32]);
    let signed = sign(Label::Entry, &key, &b"body"[..]);
    json!({
        "seed": hex([3; 32]),
        "public_key": hex(key.verifying_key().to_bytes()),
        "label": Label::Entry.as_str(),
        "body": hex(&signed.body),
        "signature": hex(signed.signature),
    })
}

/// X-Wing's encapsulation takes 64 random bytes: here the first of the ChaCha20 key stream of `encapsulation_seed`,
/// with a zero nonce.
fn channel() -> Value {
    let key = XWingKey::from_seed(Secret::new([4; 32]));
    let device = DeviceId::new([6; 32]);
    let mut randomness = [0; 64];
    ChaCha20Rng::from_seed([5; 32]).fill_bytes(&mut randomness);
    let mut out =
        OutboundChannel::open(&mut Given(randomness.to_vec()), device, key.public(), Timestamp::ZERO)
            .unwrap();
    let opening = out.seal(b"opening".to_vec()).unwrap();
    let public = hex(key.public().as_bytes());
    let (inbound, _) = InboundChannel::accept(&[key], &device, &opening).unwrap();
    assert!(out.acknowledge(inbound.hash(), 1));
    let later = out.seal(b"later".to_vec()).unwrap();
    let keys: records::OutboundChannel = records::decode("outbound channel", &out.to_bytes()).unwrap();
    json!({
        "xwing_seed": hex([4; 32]),
        "xwing_public_key": public,
        "encapsulation_seed": hex([5; 32]),
        "encapsulation_randomness": hex(randomness),
        "recipient_device": hex(device.as_bytes()),
        "enc": hex(&keys.enc),
        "channel_key": hex(&keys.channel_key),
        "header_key": hex(&keys.header_key),
        "channel_hash": hex(out.hash().as_bytes()),
        "tags": inbound.tags(0, 3).iter().map(|(_, tag)| hex(tag.as_bytes())).collect::<Vec<_>>(),
        "contents": [hex(b"opening"), hex(b"later")],
        "payloads": [hex(&opening), hex(&later)],
    })
}

fn message() -> Value {
    let header = HeaderKey::from_slice(&[8; 32]).unwrap();
    let message = MegolmMessage { index: 5, bytes: b"stands for a Megolm message".to_vec() };
    json!({
        "header_key": hex(header.expose()),
        "message_key": hex(blake3::derive_key("undertone v1 message key", header.expose())),
        "index": message.index,
        "megolm_message": hex(&message.bytes),
        "tag": hex(header.tag(5).as_bytes()),
        "payload": hex(header.seal(&message).unwrap()),
    })
}

fn pairwise() -> Value {
    let context = PairwiseContext {
        sender_user: UserId::new([1; 32]),
        recipient_user: UserId::new([2; 32]),
        sender_device: DeviceId::new([3; 32]),
        recipient_device: DeviceId::new([4; 32]),
        channel: ChannelHash::new([5; 32]),
    };
    let message = wire::Pairwise { body: Some(Body::Nothing(wire::Empty {})), ..Default::default() };
    json!({ "nothing": hex(context.encode(&message).unwrap()) })
}

#[test]
fn the_stored_vectors_are_what_we_compute() {
    assert_stored("crypto.json", &computed());
}

#[test]
fn the_stored_payloads_open() {
    let vector = &stored()["channel"];
    let key = XWingKey::from_seed(Secret::from_slice(&bytes(&vector["xwing_seed"])).unwrap());
    let device = DeviceId::from_slice(&bytes(&vector["recipient_device"])).unwrap();
    let payload = |at: usize| bytes(&vector["payloads"][at]);
    let (mut inbound, content) = InboundChannel::accept(&[key], &device, &payload(0)).unwrap();
    assert_eq!(content, bytes(&vector["contents"][0]));
    assert_eq!(inbound.open(&payload(1)).unwrap(), bytes(&vector["contents"][1]));

    let vector = &stored()["message"];
    let header = HeaderKey::from_slice(&bytes(&vector["header_key"])).unwrap();
    assert_eq!(header.open(5, &bytes(&vector["payload"])).unwrap(), bytes(&vector["megolm_message"]));
}
