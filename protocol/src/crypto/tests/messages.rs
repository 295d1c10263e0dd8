//! `vectors/messages.json`: what channels and Olm carry, one of each kind, with `spec/crypto.md`.

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use prost::Message;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::codec::{Label, Signed, sign};
use crate::crypto::*;
use crate::ids::{ChannelHash, ConversationId, DeviceId, DeviceListHash, SessionId, UserId};
use crate::testing::schema::{fields, signed};
use crate::testing::vectors::{assert_stored, hex};
use crate::wire;
use crate::wire::pairwise::Body;

fn device() -> SigningKey {
    SigningKey::from_bytes(&[11; 32])
}

fn context() -> PairwiseContext {
    PairwiseContext {
        sender_user: UserId::new([1; 32]),
        recipient_user: UserId::new([2; 32]),
        sender_device: DeviceId::new(device().verifying_key().to_bytes()),
        recipient_device: DeviceId::new([4; 32]),
        channel: ChannelHash::new([5; 32]),
    }
}

/// The session key only has to have the right length.
fn key_package() -> Signed {
    let context = context();
    let package = KeyPackage {
        ends: PackageEnds {
            sender_user: context.sender_user,
            sender_device: context.sender_device,
            recipient_user: context.recipient_user,
            recipient_device: context.recipient_device,
        },
        conversation: ConversationId::new([6; 32]),
        session: SessionId::new([7; 32]),
        first_index: 3,
        next_seq: 9,
        membership_heads: vec![DeviceListHash::new([8; 32]), DeviceListHash::new([9; 32])],
        session_key: Zeroizing::new(vec![10; SESSION_KEY_BYTES]),
        header_key: HeaderKey::from_slice(&[12; 32]).unwrap(),
    };
    let signed = package.sign(&device());
    assert_eq!(KeyPackage::verify(&signed, &package.ends), Ok(package));
    signed
}

fn bodies() -> [(&'static str, Body); 8] {
    let stands_for = |label| sign(label, &device(), &b"stands for what is signed"[..]).to_wire();
    let part = |text: &'static [u8]| Bytes::from_static(text);
    let entry =
        wire::SealedEntry { header: part(b"header"), signature: vec![13; 64].into(), body: part(b"body") };
    [
        ("key_package", Body::KeyPackage(key_package().to_wire())),
        ("acknowledgement", Body::Acknowledgement(stands_for(Label::Acknowledgement))),
        ("entries", Body::Entries(wire::Entries { entries: vec![entry.clone(), entry.clone()] })),
        ("entry", Body::Entry(entry)),
        ("device_list", Body::DeviceList(stands_for(Label::DeviceList))),
        ("nothing", Body::Nothing(wire::Empty {})),
        ("retry", Body::Retry(wire::Empty {})),
        ("group", Body::Group(group())),
    ]
}

/// `membership/updates.json` has one with all that may be in it.
fn group() -> wire::GroupUpdate {
    wire::GroupUpdate {
        group: vec![6; 32].into(),
        heads: vec![vec![15; 32].into()],
        operations: vec![sign(Label::Operation, &device(), &b"stands for an operation"[..]).to_wire()],
        people: Vec::new(),
        asks: true,
        wants: vec![vec![16; 32].into()],
        forks: Vec::new(),
        lacks: vec![vec![17; 32].into()],
    }
}

fn pairwise() -> Value {
    let mut plaintexts = serde_json::Map::new();
    for (name, body) in bodies() {
        let message = wire::Pairwise {
            acknowledged_channel: vec![14; 32].into(),
            acknowledged_count: 5,
            body: Some(body),
        };
        let plaintext = context().encode(&message).unwrap();
        assert_eq!(context().decode_checked(&plaintext), Ok(message), "{name}");
        let fields = fields("Pairwise", &plaintext[PAIRWISE_PREFIX_BYTES..]);
        plaintexts.insert(name.to_owned(), json!({ "plaintext": hex(plaintext), "fields": fields }));
    }
    plaintexts.into()
}

/// What the two kinds of envelopes carry, with an introduction and without.
fn channel_contents() -> Value {
    let introduction = sign(Label::Introduction, &device(), &b"stands for an introduction"[..]);
    let content = |introduction: Option<&Signed>, sender: Bytes| {
        let olm =
            wire::OlmMessage { prekey: true, ciphertext: Bytes::from_static(b"stands for an Olm message") };
        let introduction = introduction.map(Signed::to_wire);
        let content = wire::ChannelContent { introduction, olm: Some(olm), sender }.encode_to_vec();
        json!({ "content": hex(&content), "fields": fields("ChannelContent", &content) })
    };
    let sender = || context().sender_device.to_wire();
    json!({
        "opening": content(None, sender()),
        "opening_with_introduction": content(Some(&introduction), sender()),
        "channel": content(None, Bytes::new()),
        "channel_with_introduction": content(Some(&introduction), Bytes::new()),
    })
}

/// The ids that stand before each plaintext.
fn prefix() -> Value {
    let context = context();
    json!({
        "sender_user": context.sender_user.to_hex(),
        "recipient_user": context.recipient_user.to_hex(),
        "sender_device": context.sender_device.to_hex(),
        "recipient_device": context.recipient_device.to_hex(),
        "channel_hash": context.channel.to_hex(),
    })
}

#[test]
fn the_stored_messages_are_what_we_encode() {
    let computed = json!({
        "sender_seed": hex([11; 32]),
        "key_package": signed("KeyPackage", &key_package()),
        "prefix": prefix(),
        "pairwise": pairwise(),
        "channel_contents": channel_contents(),
    });
    assert_stored("messages.json", &computed);
}
