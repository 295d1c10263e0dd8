use bytes::Bytes;
use ed25519_dalek::SigningKey;
use prost::Message;
use serde_json::{Value, json};

use super::super::{bytes, read};
use super::{case, original};
use crate::codec::{Label, sign};
use crate::testing::vectors::hex;
use crate::wire::{self, entry_body::Content};

pub(super) fn cases() -> Vec<Value> {
    [updates(), operations()].concat()
}

fn given(bytes: &[u8]) -> Value {
    json!({ "bytes": hex(bytes) })
}

fn updates() -> Vec<Value> {
    let vectors = read("membership/updates.json");
    let [good, greeting] = ["update", "greeting"].map(|name| bytes(&vectors[name]["bytes"]));
    let changed = |change: fn(&mut wire::GroupUpdate)| {
        let mut update = wire::GroupUpdate::decode(good.as_slice()).unwrap();
        change(&mut update);
        given(&update.encode_to_vec())
    };
    let fine = |why: &str, given: Value| {
        let mut fine = original("group_update", given);
        fine["why"] = json!(why);
        fine
    };
    let mut cases = vec![
        original("group_update", given(&good)),
        fine("heads alone", given(&greeting)),
        fine("a person who does not say what they are called", changed(|update| person(update).name.clear())),
        fine(
            "an operation that is none: the update is taken, the operation is not",
            changed(|update| update.operations[0].body = Bytes::from_static(b"none")),
        ),
    ];
    type Change = fn(&mut wire::GroupUpdate);
    let changes: [(&str, Change); 24] = [
        ("no group", |update| update.group = Bytes::new()),
        ("a group of 33 bytes", |update| update.group = vec![3; 33].into()),
        ("129 heads", |update| update.heads = vec![vec![7; 32].into(); 129]),
        ("a head of 31 bytes", |update| update.heads[1] = vec![7; 31].into()),
        ("65 people are wanted", |update| update.wants = vec![vec![9; 32].into(); 65]),
        ("129 operations are waited for", |update| update.lacks = vec![vec![9; 32].into(); 129]),
        ("17 forks", |update| update.forks = vec![update.forks[0].clone(); 17]),
        ("a fork of one operation", |update| update.forks[0].other = None),
        ("a wanted user of 31 bytes", |update| update.wants[0] = vec![9; 31].into()),
        ("an operation's signature of 63 bytes", |update| {
            update.operations[1].signature = vec![0; 63].into();
        }),
        ("a person without a device list", |update| person(update).device_list = None),
        ("a device list that its user did not sign", |update| {
            let list = person(update).device_list.as_ref().unwrap().body.clone();
            let foreign = sign(Label::DeviceList, &SigningKey::from_bytes(&[1; 32]), list);
            person(update).device_list = Some(foreign.to_wire());
        }),
        ("a name of spaces", |update| person(update).name = "  ".to_owned()),
        ("a name of two lines", |update| person(update).name = "a\nb".to_owned()),
        ("a bundle of a device that is not listed", |update| {
            person(update).bundles[0].device = vec![1; 32].into();
        }),
        ("a mailbox of a device that is not listed", |update| {
            person(update).grants[0].device = vec![1; 32].into();
        }),
        ("a mailbox of a device that is revoked", |update| {
            let revoked = SigningKey::from_bytes(&[13; 32]).verifying_key();
            person(update).grants[0].device = revoked.to_bytes().to_vec().into();
        }),
        ("a token without steps", |update| {
            person(update).grants[0].token.as_mut().unwrap().path.clear();
        }),
        ("a locator of 31 bytes", |update| person(update).bundles[0].locator = vec![1; 31].into()),
        ("257 bundles of a person", |update| {
            let bundle = person(update).bundles[0].clone();
            person(update).bundles = vec![bundle; 257];
        }),
        ("257 mailboxes of a person", |update| {
            let grant = person(update).grants[0].clone();
            person(update).grants = vec![grant; 257];
        }),
        ("a person's device wrote up to two entries", |update| {
            let written = person(update).written[0].clone();
            person(update).written.push(written);
        }),
        ("a person's device wrote up to the number 0", |update| person(update).written[0].seq = 0),
        ("a device wrote that is not in the person's list", |update| {
            person(update).written[0].device = vec![14; 32].into();
        }),
    ];
    cases.extend(changes.map(|(why, change)| case("group_update", why, changed(change))));
    cases
}

fn person(update: &mut wire::GroupUpdate) -> &mut wire::Person {
    &mut update.people[0]
}

/// The bodies of entries that change a group.
fn operations() -> Vec<Value> {
    let good = bytes(&read("log.json")["contents"]["operation"]["body"]);
    let with = |change: fn(&mut wire::Signed)| {
        let mut body = wire::EntryBody::decode(good.as_slice()).unwrap();
        if let Some(Content::Operation(signed)) = &mut body.content {
            change(signed);
        }
        given(&body.encode_to_vec())
    };
    let mut none = original("entry_body", with(|signed| signed.signature = vec![0; 64].into()));
    none["why"] = json!("the operation in it is signed by nobody: the body is taken, the operation is not");
    vec![
        original("entry_body", given(&good)),
        none,
        case(
            "entry_body",
            "an operation's signature of 63 bytes",
            with(|signed| signed.signature = vec![0; 63].into()),
        ),
        case(
            "entry_body",
            "an operation without a signature",
            with(|signed| signed.signature = Bytes::new()),
        ),
    ]
}
