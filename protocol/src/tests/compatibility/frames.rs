use bytes::Bytes;
use prost::Message;
use serde_json::Value;

use super::{array, owned, recorded};
use crate::codec::Signed;
use crate::ids::DeviceId;
use crate::keys::Checkpoint;
use crate::token::{CLASS_0, CLASS_1, DELIVER, Proof};
use crate::wire::frame::Body;
use crate::wire::route::Kind;
use crate::wire::{Ack, Credit, Frame, GoodbyeCode, Range, RefusalCode};

const TIME_MS: u64 = 1_700_000_000_000;

fn body(frames: &Value, name: &str) -> Body {
    let frame = Frame::decode(owned(&frames[name])).unwrap();
    assert_eq!(frame.request, 300, "{name}");
    frame.body.unwrap()
}

fn of(byte: u8, length: usize) -> Bytes {
    vec![byte; length].into()
}

/// The field of the one kind that a frame must be.
macro_rules! frame {
    ($frames:expr, $name:literal, $kind:ident) => {
        match body(&$frames, $name) {
            Body::$kind(inner) => inner,
            other => panic!("{} is {other:?}", $name),
        }
    };
}

fn ack(class: u32) -> Ack {
    Ack { class, through: 7, ranges: vec![Range { from: 9, through: 10 }, Range { from: 12, through: 12 }] }
}

fn credit(class: u32) -> Credit {
    Credit { class, messages: 256, bytes: 1_048_576 }
}

#[test]
fn connections() {
    let frames = recorded("frames.json");
    let hello = frame!(frames, "hello", Hello);
    assert_eq!((hello.version_min, hello.version_max), (1, 2));
    let welcome = frame!(frames, "welcome", Welcome);
    assert_eq!((welcome.version, welcome.now_ms), (1, TIME_MS));
    assert_eq!(frame!(frames, "ping", Ping).nonce, 5);
    assert_eq!(frame!(frames, "pong", Pong).nonce, 5);
    let refusal = frame!(frames, "refusal", Refusal);
    assert_eq!((refusal.code(), refusal.retry_after_ms), (RefusalCode::RetryAfter, 5_000));
    assert_eq!(refusal.text, "too much");
    let goodbye = frame!(frames, "goodbye", Goodbye);
    assert_eq!((goodbye.code(), goodbye.text.as_str()), (GoodbyeCode::Superseded, "a newer connection"));
    frame!(frames, "done", Done);
}

#[test]
fn mailboxes() {
    let frames = recorded("frames.json");
    let register = frame!(frames, "register", Register);
    assert_eq!((register.mailbox, register.secret, register.epoch), (of(1, 16), of(3, 32), 1));
    assert_eq!(frame!(frames, "registered", Registered).generation, of(2, 8));
    let attach = frame!(frames, "attach", Attach);
    assert_eq!((attach.mailbox, attach.generation), (of(1, 16), of(2, 8)));
    assert_eq!((attach.acks, attach.credits), (vec![ack(0), ack(1)], vec![credit(0), credit(1)]));
    assert_eq!(frame!(frames, "attached", Attached).generation, of(2, 8));
    let deliver = frame!(frames, "deliver", Deliver);
    assert_eq!((deliver.class, deliver.seq, deliver.payload), (1, 8, of(9, 20)));
    assert_eq!(frame!(frames, "ack", Ack), ack(1));
    assert_eq!(frame!(frames, "credit", Credit), credit(1));
}

#[test]
fn publishes() {
    let frames = recorded("frames.json");
    let mut publish = frame!(frames, "publish", Publish);
    assert_eq!((publish.publish_id, publish.items.len()), (of(5, 16), 1));
    let item = publish.items.remove(0);
    assert_eq!((item.payload, item.class, item.expiry_ms), (of(9, 20), 1, TIME_MS));
    let Some(Kind::Open(route)) = item.route.unwrap().kind else { panic!("no open route") };
    let [first, second] = &route.recipients[..] else { panic!("{route:?}") };
    assert_eq!((&first.mailbox, &second.mailbox), (&of(1, 16), &of(2, 16)));
    assert_eq!((first.epoch, &first.proof), (1, &of(4, 32)));
    let (_, path) = Proof::from_recipient(first).unwrap();
    let [wide, narrow] = &path[..] else { panic!("{path:?}") };
    assert_eq!((wide.handle.as_bytes(), narrow.handle.as_bytes()), (&[1; 8], &[2; 8]));
    assert_eq!((wide.rights, wide.classes, wide.not_after), (DELIVER, CLASS_0 | CLASS_1, None));
    assert_eq!((narrow.not_after.map(|end| end.as_ms()), narrow.per_minute), (Some(TIME_MS), 60));
    let receipt = frame!(frames, "published", Published).receipt.unwrap();
    assert_eq!((receipt.body, receipt.signature), (of(6, 10), of(7, 64)));
}

#[test]
fn checkpoints() {
    let recorded = recorded("checkpoint.json");
    let put = frame!(recorded, "put_checkpoint", PutCheckpoint).checkpoint.unwrap();
    assert_eq!(frame!(recorded, "attached", Attached).checkpoint.as_ref(), Some(&put));
    let device = DeviceId::new(array(&recorded["device"]));
    let checkpoint = Checkpoint::verify(Signed::from_wire(put).unwrap(), &device).unwrap();
    assert_eq!(checkpoint.next, 300);
}

#[test]
fn bundles_and_tokens() {
    let frames = recorded("frames.json");
    let put = frame!(frames, "put_bundle", PutBundle);
    assert_eq!((put.locator, put.bundle), (of(8, 32), of(9, 20)));
    assert_eq!(frame!(frames, "get_bundle", GetBundle).locator, of(8, 32));
    let answer = frame!(frames, "bundle", Bundle);
    assert_eq!((answer.bundle, answer.prekey), (of(9, 20), of(10, 12)));
    let put = frame!(frames, "put_prekeys", PutPrekeys);
    assert_eq!((put.locator, put.batch, put.prekeys), (of(8, 32), 2, vec![of(10, 12), of(11, 12)]));
    let left = frame!(frames, "prekeys_left", PrekeysLeft);
    assert_eq!((left.left, left.batch), (40, 2));
    let put = frame!(frames, "put_introduction", PutIntroduction);
    assert_eq!((put.mailbox, put.handle, put.uses), (of(1, 16), of(7, 8), 3));
    assert_eq!(put.not_after_ms, TIME_MS);
    let revoke = frame!(frames, "revoke_token", RevokeToken);
    assert_eq!((revoke.mailbox, revoke.epoch, revoke.handles), (of(1, 16), 1, vec![of(1, 8), of(2, 8)]));
}
