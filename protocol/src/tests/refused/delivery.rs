use bytes::Bytes;
use ed25519_dalek::SigningKey;
use prost::Message;
use serde_json::{Value, json};

use super::super::{bytes, read};
use super::{case, forged, original, signed, stored};
use crate::codec::{Label, sign};
use crate::testing::hostile::altered;
use crate::testing::vectors::hex;
use crate::wire;

pub(super) fn cases() -> Vec<Value> {
    [receipts(), tokens(), frames()].concat()
}

fn receipts() -> Vec<Value> {
    let vector = &read("receipts.json")["custody_receipt"];
    let relay = SigningKey::from_bytes(&[21; 32]);
    let good = stored(vector);
    let with = json!({ "relay": vector["public_key"] });
    let foreign = sign(Label::Custody, &SigningKey::from_bytes(&[22; 32]), good.body.clone());
    let mut cases = forged("custody_receipt", &good, &foreign, &with);
    type Change = fn(&mut wire::CustodyReceipt);
    let changes: [(&str, Change); 6] = [
        ("no result", |body| body.items[0].recipients[0].code = 0),
        ("a result that there is not", |body| body.items[0].recipients[0].code = 7),
        ("denied without a reason", |body| body.items[0].recipients[6].reason = 0),
        ("denied for a reason that there is not", |body| body.items[0].recipients[6].reason = 8),
        ("17 items", |body| body.items = vec![body.items[1].clone(); 17]),
        ("a publish id of 15 bytes", |body| body.publish_id = vec![1; 15].into()),
    ];
    cases.extend(changes.map(|(why, change)| {
        let mut given = signed(&altered(Label::Custody, &relay, &good, change));
        given["relay"] = vector["public_key"].clone();
        case("custody_receipt", why, given)
    }));
    cases
}

fn tokens() -> Vec<Value> {
    let vector = read("tokens.json");
    let recipient = wire::Recipient::decode(bytes(&vector["recipient"]).as_slice()).unwrap();
    let given = |recipient: &wire::Recipient| {
        json!({
            "recipient": hex(recipient.encode_to_vec()),
            "mailbox_secret": vector["mailbox_secret"],
            "publish_id": vector["publish_id"],
            "payload": vector["payload"],
            "relay": vector["relay"],
            "expiry_ms": vector["expiry_ms"],
            "class": 0,
            "now_ms": 1_000_000,
        })
    };
    let with = |name: &str, value: Value| {
        let mut given = given(&recipient);
        given[name] = value;
        given
    };
    let mut cases = vec![
        original("token", given(&recipient)),
        case("token", "another publish", with("publish_id", json!(hex([2; 16])))),
        case("token", "another payload", with("payload", json!(hex("another")))),
        case("token", "another relay", with("relay", json!(hex([3; 32])))),
        case("token", "another expiry", with("expiry_ms", json!(2_000_001))),
        case("token", "another epoch's secret", with("mailbox_secret", json!(hex([4; 32])))),
        case("token", "class 2, which its second step does not give", with("class", json!(2))),
        case("token", "after the end of its second step", with("now_ms", json!(1_700_000_000_001_u64))),
    ];
    type Change = fn(&mut wire::Recipient);
    let changes: [(&str, Change); 9] = [
        ("the last step left out", |to| drop(to.path.pop())),
        ("the first step left out", |to| drop(to.path.remove(0))),
        ("the narrow step left out", |to| drop(to.path.remove(1))),
        ("the first step alone", |to| to.path.truncate(1)),
        ("no step", |to| to.path.clear()),
        ("a step more", |to| to.path.push(to.path[0].clone())),
        ("the narrow step made wide", |to| to.path[1].not_after_ms = 0),
        ("two steps changed places", |to| to.path.swap(0, 1)),
        ("rights of more than a byte", |to| to.path[0].rights = 259),
    ];
    cases.extend(changes.map(|(why, change)| {
        let mut changed = recipient.clone();
        change(&mut changed);
        case("token", why, given(&changed))
    }));
    cases
}

/// A frame's body, without the length before it.
fn frames() -> Vec<Value> {
    let ping = bytes(&read("frames.json")["ping"]["frame"]);
    let given = |bytes: &[u8]| json!({ "bytes": hex(bytes) });
    let fine = |why: &str, bytes: &[u8]| {
        let mut fine = original("frame", given(bytes));
        fine["why"] = json!(why);
        fine
    };
    let over = Bytes::from_static(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    vec![
        original("frame", given(&ping)),
        fine("no byte: a frame without a body, which is a request that the relay does not know", &[]),
        fine("a field that nobody knows is skipped", &[&ping[..], &[0xa2, 0x06, 1, b'x']].concat()),
        fine("a number that is 2^64 - 1", &over),
        case("frame", "cut by a byte", given(&ping[..ping.len() - 1])),
        case("frame", "a field of another type than its own", given(&[0x0a, 1, b'x'])),
        case("frame", "a field number of 0", given(&[0x00, 1])),
        case("frame", "an integer of more than ten bytes", given(&[&[0x08][..], &[0xff; 10], &[1]].concat())),
        case("frame", "a length beyond the end", given(&[0x22, 9, 0x08])),
        case("frame", "text that is no UTF-8", given(&[0x3a, 4, 0x12, 2, 0xff, 0xff])),
        case("frame", "a group that does not end", given(&[0xa3, 0x06])),
    ]
}
