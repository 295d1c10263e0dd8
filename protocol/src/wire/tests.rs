//! `vectors/frames.json`: one frame of each kind, with every field set, without the length before it
//! (`spec/wire.md`).

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message;
use serde_json::{Value, json};

use super::frame::Body;
use super::*;
use crate::testing::schema::fields;
use crate::testing::vectors::{assert_stored, hex};

fn bytes(byte: u8, length: usize) -> Bytes {
    vec![byte; length].into()
}

fn ack(class: u32) -> Ack {
    let ranges = vec![Range { from: 9, through: 10 }, Range { from: 12, through: 12 }];
    Ack { class, through: 7, ranges }
}

fn credit(class: u32) -> Credit {
    Credit { class, messages: 256, bytes: 1_048_576 }
}

fn publish() -> Publish {
    let step = |handle, not_after_ms, per_minute| TokenStep {
        handle: bytes(handle, 8),
        rights: 1,
        classes: 3,
        not_after_ms,
        per_minute,
    };
    let recipient =
        |mailbox, path| Recipient { mailbox: bytes(mailbox, 16), epoch: 1, path, proof: bytes(4, 32) };
    let recipients = vec![
        recipient(1, vec![step(1, 0, 0), step(2, 1_700_000_000_000, 60)]),
        recipient(2, vec![step(3, 0, 0)]),
    ];
    let item = PublishItem {
        payload: bytes(9, 20),
        class: 1,
        expiry_ms: 1_700_000_000_000,
        route: Some(Route { kind: Some(route::Kind::Open(OpenRoute { recipients })) }),
    };
    Publish { publish_id: bytes(5, 16), items: vec![item] }
}

fn register(invitation: Bytes) -> Register {
    Register { mailbox: bytes(1, 16), secret: bytes(3, 32), epoch: 1, invitation }
}

fn attach() -> Attach {
    Attach {
        mailbox: bytes(1, 16),
        generation: bytes(2, 8),
        acks: vec![ack(0), ack(1)],
        credits: vec![credit(0), credit(1)],
    }
}

fn bodies() -> Vec<(&'static str, Body)> {
    let receipt = Signed { body: bytes(6, 10), signature: bytes(7, 64) };
    let checkpoint = Signed { body: bytes(8, 7), signature: bytes(9, 64) };
    let refusal =
        Refusal { code: RefusalCode::RetryAfter.into(), text: "too much".into(), retry_after_ms: 5_000 };
    let uninvited =
        Refusal { code: RefusalCode::Invitation.into(), text: "not invited".into(), retry_after_ms: 0 };
    let goodbye = Goodbye { code: GoodbyeCode::Superseded.into(), text: "a newer connection".into() };
    let introduction = PutIntroduction {
        mailbox: bytes(1, 16),
        handle: bytes(7, 8),
        uses: 3,
        not_after_ms: 1_700_000_000_000,
    };
    vec![
        ("hello", Body::Hello(Hello { version_min: 1, version_max: 2 })),
        ("welcome", Body::Welcome(Welcome { version: 1, now_ms: 1_700_000_000_000, record: None })),
        (
            "welcome_from",
            Body::Welcome(Welcome {
                version: 1,
                now_ms: 1_700_000_000_000,
                record: Some(checkpoint.clone()),
            }),
        ),
        ("ping", Body::Ping(Ping { nonce: 5 })),
        ("pong", Body::Pong(Pong { nonce: 5 })),
        ("refusal", Body::Refusal(refusal)),
        ("goodbye", Body::Goodbye(goodbye)),
        ("done", Body::Done(Done {})),
        ("register", Body::Register(register(Bytes::new()))),
        ("register_invited", Body::Register(register(bytes(11, 35)))),
        ("refusal_invitation", Body::Refusal(uninvited)),
        ("registered", Body::Registered(Registered { generation: bytes(2, 8) })),
        ("attach", Body::Attach(attach())),
        ("attached", Body::Attached(Attached { generation: bytes(2, 8), checkpoint: None })),
        (
            "attached_again",
            Body::Attached(Attached { generation: bytes(2, 8), checkpoint: Some(checkpoint.clone()) }),
        ),
        ("put_checkpoint", Body::PutCheckpoint(PutCheckpoint { checkpoint: Some(checkpoint) })),
        ("publish", Body::Publish(publish())),
        ("published", Body::Published(Published { receipt: Some(receipt) })),
        ("deliver", Body::Deliver(Deliver { class: 1, seq: 8, payload: bytes(9, 20) })),
        ("ack", Body::Ack(ack(1))),
        ("credit", Body::Credit(credit(1))),
        ("put_bundle", Body::PutBundle(PutBundle { locator: bytes(8, 32), bundle: bytes(9, 20) })),
        ("get_bundle", Body::GetBundle(GetBundle { locator: bytes(8, 32) })),
        ("bundle", Body::Bundle(BundleAnswer { bundle: bytes(9, 20), prekey: bytes(10, 12) })),
        (
            "put_prekeys",
            Body::PutPrekeys(PutPrekeys {
                locator: bytes(8, 32),
                batch: 2,
                prekeys: vec![bytes(10, 12), bytes(11, 12)],
            }),
        ),
        ("prekeys_left", Body::PrekeysLeft(PrekeysLeft { left: 40, batch: 2 })),
        ("put_introduction", Body::PutIntroduction(introduction)),
        (
            "revoke_token",
            Body::RevokeToken(RevokeToken {
                mailbox: bytes(1, 16),
                epoch: 1,
                handles: vec![bytes(1, 8), bytes(2, 8)],
            }),
        ),
    ]
}

/// What goes from relay to relay, and what a device says of it.
fn federation() -> Vec<(&'static str, Body)> {
    let relay = RelayAddress { relay: bytes(1, 32), addresses: vec!["/ip4/192.0.2.1/tcp/4001".to_owned()] };
    let signed = |byte| Some(Signed { body: bytes(byte, 10), signature: bytes(7, 64) });
    let (forward_id, declined) = (bytes(5, 16), DeclinedCode::RetryAfter.into());
    vec![
        ("forward", Body::Forward(Forward { destination: Some(relay.clone()), parcel: bytes(9, 20) })),
        ("waiting", Body::Waiting(Waiting { notice: signed(6) })),
        (
            "forwarded",
            Body::Forwarded(Forwarded {
                forward_id: forward_id.clone(),
                salt: bytes(8, 16),
                answer: bytes(9, 20),
            }),
        ),
        ("dead_letter", Body::DeadLetter(DeadLetter { notice: signed(6) })),
        ("forwards_taken", Body::ForwardsTaken(ForwardsTaken { forward_ids: vec![forward_id.clone()] })),
        ("get_routing_key", Body::GetRoutingKey(GetRoutingKey { relay: Some(relay) })),
        ("routing_key", Body::RoutingKey(RoutingKeyAnswer { key: signed(6) })),
        ("relay_at", Body::RelayAt(RelayAt { record: signed(6) })),
        ("find_relay", Body::FindRelay(FindRelay { relay: bytes(1, 32) })),
        ("carry", Body::Carry(Carry { parcels: vec![bytes(9, 20), bytes(10, 30)] })),
        ("declined", Body::Declined(Declined { forward_id, code: declined, retry_after_ms: 5_000 })),
    ]
}

/// Every frame that there is, by its number in `Frame`.
const NUMBERS: [u32; 35] = [
    2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 20, 21, 22, 23, 24, 30, 31, 32, 33, 34, 40, 41, 50, 51, 52, 53,
    54, 55, 56, 57, 58, 59, 60,
];

/// The number of the first field: its key is a varint of `number << 3 | 2`.
fn number(frame: &Frame) -> u32 {
    let encoded = Frame { request: 0, ..frame.clone() }.encode_to_vec();
    let (key, _) = prost::encoding::decode_key(&mut encoded.as_slice()).unwrap();
    key
}

#[test]
fn the_stored_frames_are_what_we_encode() {
    let mut frames = serde_json::Map::new();
    let mut numbers = BTreeSet::new();
    for (name, body) in bodies().into_iter().chain(federation()) {
        let frame = Frame { request: 300, body: Some(body) };
        numbers.insert(number(&frame));
        let encoded = frame.encode_to_vec();
        assert_eq!(Frame::decode(encoded.as_slice()), Ok(frame), "{name}");
        let fields = fields("Frame", &encoded);
        frames.insert(name.to_owned(), json!({ "frame": hex(encoded), "fields": fields }));
    }
    assert_eq!(numbers, BTreeSet::from(NUMBERS), "a frame of each kind");
    assert_stored("frames.json", &Value::Object(frames));
}

/// `spec/README.md`, "Decoding": what two readers must agree on.
#[test]
fn decoding_is_as_the_specification_says() {
    let hello = |bytes: &[u8]| Hello::decode(bytes).map(|hello| (hello.version_min, hello.version_max));
    assert_eq!(hello(&[8, 1, 16, 2, 8, 3]), Ok((3, 2)), "the last one counts");
    assert_eq!(hello(&[8, 0x81, 0x80, 0x80, 0x80, 0x10]), Ok((1, 0)), "2^32 + 1 is cut to 32 bits");
    assert_eq!(hello(&[8, 1, 0xfa, 0x01, 1, 7]), Ok((1, 0)), "an unknown field is skipped");
    assert_eq!(hello(&[8, 1, 0xfb, 0x01, 8, 1, 0xfc, 0x01]), Ok((1, 0)), "and an unknown group");
    for bytes in [&[10, 1, 7][..], &[0, 1], &[8, 0x80], &[0xfb, 0x01], &[0xfa, 0x01, 9]] {
        assert!(hello(bytes).is_err(), "{bytes:?}");
    }
    assert!(hello(&[&[8][..], &[0xff; 10], &[1]].concat()).is_err(), "a varint of eleven bytes");
    assert!(OlmMessage::decode(&[8, 2][..]).unwrap().prekey, "every number but 0 is true");
    let code = |bytes: &[u8]| Refusal::decode(bytes).unwrap().code;
    assert_eq!(code(&[8, 0x85, 0x80, 0x80, 0x80, 0x10]), 5, "so are enumerations cut");
    let twice = [10, 3, 10, 1, 7, 10, 3, 18, 1, 8];
    let merged = Signed { body: bytes(7, 1), signature: bytes(8, 1) };
    assert_eq!(Published::decode(&twice[..]).unwrap().receipt, Some(merged), "a message twice is merged");
    let body = |bytes: &[u8]| Frame::decode(bytes).unwrap().body;
    let pong = Some(Body::Pong(Pong { nonce: 6 }));
    assert_eq!(body(&[34, 2, 8, 5, 42, 2, 8, 6]), pong, "of a oneof the last member counts");
    let refusal = Refusal { code: 5, text: "a".to_owned(), retry_after_ms: 0 };
    assert_eq!(
        body(&[50, 2, 8, 5, 50, 3, 18, 1, b'a']),
        Some(Body::Refusal(refusal)),
        "the same one is merged"
    );
    let nested = |depth: usize| [[0xfb, 0x01].repeat(depth), [0xfc, 0x01].repeat(depth)].concat();
    assert!(hello(&nested(99)).is_ok() && hello(&nested(101)).is_err(), "a depth of 100");
}
