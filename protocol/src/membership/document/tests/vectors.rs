//! `vectors/membership/changes.json`: from an operation's bytes to its hash, for other implementations.

use serde_json::{Value, json};

use super::fixtures::*;
use crate::ids::OperationHash;
use crate::membership::*;
use crate::testing::schema::signed;
use crate::testing::vectors::{assert_stored, hex};

/// A Create, somebody added, two who write at once, one who has seen both, and a long one.
fn operations() -> Document {
    let (ann, bob) = (person(0), person(1));
    let mut document = founded(&ann.create(1));
    let add = ann.next(&document, Action::Add { user: bob.user(), role: Role::Admin });
    take(&mut document, &add);
    let beside = [
        ann.next(&document, name("hikers and climbers")),
        bob.next(&document, Action::Add { user: person(2).user(), role: Role::Member }),
    ];
    beside.iter().for_each(|signed| drop(take(&mut document, signed)));
    let long = SettingsChange { description: Some("every Sunday. ".repeat(140)), ..Default::default() };
    for action in [bob.revocation(&document, None), Action::Settings(long)] {
        let next = ann.next(&document, action);
        take(&mut document, &next);
    }
    document
}

fn computed() -> Value {
    let mut document = operations();
    let of = |(hash, operation): (OperationHash, &SignedOperation)| {
        let number = number(&document, &hash);
        json!({
            "operation": signed("Operation", &operation.signed()),
            "number": number,
            "actor": hex(actor(&operation.bytes)),
            "change": hex(written(&operation.bytes, &operation.operation.parents, number)),
            "hash": hash.to_hex(),
        })
    };
    let operations: Vec<Value> = document.since(&[]).map(of).collect();
    let people = [0, 1].map(|number| {
        let person = person(number);
        json!({
            "identity_seed": hex([number + 1; 32]),
            "device_seed": hex([number + 11; 32]),
            "certificate": hex(&person.certificate.signed.body),
            "certificate_hash": person.hash().to_hex(),
        })
    });
    let heads: Vec<String> = document.heads().iter().map(OperationHash::to_hex).collect();
    let members: Vec<String> = document.view().members.keys().map(|user| user.to_hex()).collect();
    json!({
        "people": people,
        "group": document.group().to_hex(),
        "operations": operations,
        "heads": heads,
        "members": members,
    })
}

/// 1 + the largest number below.
fn number(document: &Document, hash: &OperationHash) -> u64 {
    let parents = &document.get(hash).unwrap().operation.parents;
    1 + parents.iter().map(|parent| number(document, parent)).max().unwrap_or_default()
}

fn actor(bytes: &[u8]) -> [u8; 32] {
    blake3::derive_key("undertone v1 operation actor", bytes)
}

fn leb128(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value > 0x7f {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
    out
}

fn length(of: &[u8]) -> Vec<u8> {
    leb128(u64::try_from(of.len()).unwrap())
}

/// The change as `spec/groups.md` lays it out, without Automerge.
fn written(bytes: &[u8], parents: &[OperationHash], number: u64) -> Vec<u8> {
    let key = hex(blake3::hash(bytes).as_bytes());
    let meta = [&[0x7f][..], &leb128(u64::try_from(bytes.len()).unwrap() << 4 | 7)].concat();
    let columns =
        [&[6, 0x15, 66, 0x34, 1, 0x42, 2, 0x56][..], &length(&meta), &[0x57], &length(bytes), &[0x70, 2]];
    let deps: Vec<u8> = parents.iter().flat_map(|parent| *parent.as_bytes()).collect();
    let content = [
        &leb128(u64::try_from(parents.len()).unwrap()),
        &deps,
        &[32][..],
        &actor(bytes),
        &[1],
        &leb128(number),
        &[0, 0, 0],
        &columns.concat(),
        &[0x7f, 64],
        key.as_bytes(),
        &[1, 0x7f, 1],
        &meta,
        bytes,
        &[0x7f, 0],
    ]
    .concat();
    [&[1], &length(&content)[..], &content].concat()
}

#[test]
fn the_stored_vectors_are_what_we_compute() {
    assert_stored("membership/changes.json", &computed());
}

#[test]
fn the_page_says_what_automerge_writes() {
    let document = operations();
    let lengths = [1, 7, 8, 127, 128, 1_023, 1_024, 8_192];
    let mut cases: Vec<(Vec<u8>, Vec<OperationHash>, u64)> =
        lengths.map(|length| (vec![0xaa; length], Vec::new(), 1)).to_vec();
    for (hash, signed) in document.since(&[]) {
        cases.push((signed.bytes.to_vec(), signed.operation.parents.clone(), number(&document, &hash)));
    }
    cases.push((vec![3; 300], (0..8).map(|byte| OperationHash::new([byte; 32])).collect(), 40_000));
    for (bytes, parents, number) in cases {
        let carried = super::super::carrier::carry(&bytes, &parents, number - 1);
        // Before it stand four bytes that mark a chunk, and the first four of the hash.
        assert_eq!(hex(&carried.chunk()[8..]), hex(written(&bytes, &parents, number)));
        assert_eq!(carried.chunk()[..4], [0x85, 0x6f, 0x4a, 0x83]);
        assert_eq!(carried.chunk()[4..8], carried.hash.as_bytes()[..4]);
    }
}
