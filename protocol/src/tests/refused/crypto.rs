use bytes::Bytes;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

use super::super::{bytes, list, read};
use super::{case, forged, original, signed, stored};
use crate::codec::{Label, sign};
use crate::testing::hostile::altered;
use crate::testing::vectors::hex;
use crate::wire;

pub(super) fn cases() -> Vec<Value> {
    [signatures(), paddings(), payloads(), pairwise(), key_packages(), xwing_keys(), ratchets()].concat()
}

/// L, the order of Ed25519's group, little endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// `one + other`, little endian, below 2^256.
fn sum(one: &[u8], other: &[u8; 32]) -> [u8; 32] {
    let mut out = [0; 32];
    let mut carry = 0;
    for ((out, one), other) in out.iter_mut().zip(one).zip(other) {
        let sum = u16::from(*one) + u16::from(*other) + carry;
        (*out, carry) = ((sum & 0xff) as u8, sum >> 8);
    }
    out
}

fn signatures() -> Vec<Value> {
    let vector = &read("crypto.json")["signature"];
    let (body, good) = (&vector["body"], bytes(&vector["signature"]));
    let given = |key: &Value, signature: &[u8]| json!({ "public_key": key, "body": body, "signature": hex(signature) });
    let own = &vector["public_key"];
    let mut neutral = [0; 32];
    neutral[0] = 1;
    // Another encoding of the neutral element: y = 1 + p, in 255 bits.
    let mut unreduced = [0xff; 32];
    (unreduced[0], unreduced[31]) = (0xee, 0x7f);
    let at_s = |s: &[u8]| [&good[..32], s].concat();
    let of_neutral = |r: &[u8; 32]| [&r[..], &[0; 32]].concat();
    vec![
        original("signature", given(own, &good)),
        case("signature", "S + L, which is S in the group", given(own, &at_s(&sum(&good[32..], &ORDER)))),
        case("signature", "S = L", given(own, &at_s(&ORDER))),
        case("signature", "R and S = 0", given(own, &[0; 64])),
        case(
            "signature",
            "R of small order, under one's own key",
            given(own, &[&neutral[..], &good[32..]].concat()),
        ),
        case(
            "signature",
            "a key of small order, where all holds without cofactors",
            given(&json!(hex(neutral)), &of_neutral(&neutral)),
        ),
        case(
            "signature",
            "the same with y = 1 + p in the key",
            given(&json!(hex(unreduced)), &of_neutral(&neutral)),
        ),
        case(
            "signature",
            "the same with y = 1 + p in R",
            given(&json!(hex(neutral)), &of_neutral(&unreduced)),
        ),
        case("signature", "a key that is no point", given(&json!(hex([2; 32])), &good)),
    ]
}

fn paddings() -> Vec<Value> {
    let given = |bytes: &[u8]| json!({ "bytes": hex(bytes) });
    let good = bytes(&read("crypto.json")["padding"][0]["padded"]);
    vec![
        original("padding", given(&good)),
        case("padding", "zeros alone", given(&[0; 64])),
        case("padding", "nothing", given(&[])),
        case("padding", "another mark than 0x80", given(&[b'a', 0x81, 0, 0])),
        case("padding", "no mark", given(b"abc")),
    ]
}

fn payloads() -> Vec<Value> {
    let vectors = read("crypto.json");
    let given = |bytes: &[u8]| json!({ "bytes": hex(bytes) });
    let [opening, channel] = [0, 1].map(|at| bytes(&vectors["channel"]["payloads"][at]));
    let with = |at: usize, byte: u8| {
        let mut bytes = channel.clone();
        bytes[at] = byte;
        given(&bytes)
    };
    vec![
        original("payload", given(&opening)),
        original("payload", given(&channel)),
        case("payload", "version 2", with(0, 2)),
        case("payload", "suite 2", with(1, 2)),
        case("payload", "kind 0", with(2, 0)),
        case("payload", "kind 5", with(2, 5)),
        case("payload", "nothing", given(&[])),
        case("payload", "15 bytes of ciphertext", given(&channel[..19 + 15])),
        case("payload", "an opening envelope with 15 bytes of ciphertext", given(&opening[..1_135 + 15])),
    ]
}

fn pairwise() -> Vec<Value> {
    let vectors = read("messages.json");
    let good = bytes(&vectors["pairwise"]["nothing"]["plaintext"]);
    let given = |bytes: &[u8]| {
        let mut given = vectors["prefix"].clone();
        given["bytes"] = json!(hex(bytes));
        given
    };
    let with = |name: &str| {
        let mut given = given(&good);
        given[name] = json!(hex([99; 32]));
        given
    };
    let mut other_kind = good.clone();
    other_kind[160] = 8;
    let mut cases = vec![
        original("pairwise", given(&good)),
        case("pairwise", "the kind says retry, the body is nothing", given(&other_kind)),
        case("pairwise", "no body", given(&[&good[..160], &[0]].concat())),
        case("pairwise", "160 bytes", given(&good[..160])),
    ];
    let ends = ["sender_user", "recipient_user", "sender_device", "recipient_device", "channel_hash"];
    cases.extend(ends.map(|name| case("pairwise", &format!("it came with another {name}"), with(name))));
    cases
}

fn key_packages() -> Vec<Value> {
    let vectors = read("messages.json");
    let ends = &vectors["prefix"];
    let (good, device) = (stored(&vectors["key_package"]), SigningKey::from_bytes(&[11; 32]));
    let foreign = sign(Label::KeyPackage, &SigningKey::from_bytes(&[12; 32]), good.body.clone());
    let mut cases = forged("key_package", &good, &foreign, ends);
    type Change = fn(&mut wire::KeyPackage);
    let changes: [(&str, Change); 7] = [
        ("first index 128", |body| body.first_index = 128),
        ("next number 0", |body| body.next_seq = 0),
        ("a session key of 228 bytes", |body| body.session_key = vec![10; 228].into()),
        ("a header key of 31 bytes", |body| body.header_key = vec![12; 31].into()),
        ("33 membership heads", |body| body.membership_heads = vec![vec![1; 32].into(); 33]),
        ("for another device: passed on", |body| body.recipient_device = vec![1; 32].into()),
        ("no conversation", |body| body.conversation = Bytes::new()),
    ];
    cases.extend(changes.map(|(why, change)| {
        let mut given = ends.clone();
        for (name, value) in signed(&altered(Label::KeyPackage, &device, &good, change)).as_object().unwrap()
        {
            given[name] = value.clone();
        }
        case("key_package", why, given)
    }));
    cases
}

fn xwing_keys() -> Vec<Value> {
    let good = bytes(&read("crypto.json")["channel"]["xwing_public_key"]);
    let given = |bytes: &[u8]| json!({ "bytes": hex(bytes) });
    // The first coefficient stands in the low 12 bits of the first two bytes: 3,329 is 0xd01.
    let mut unreduced = good.clone();
    (unreduced[0], unreduced[1]) = (0x01, (unreduced[1] & 0xf0) | 0x0d);
    vec![
        original("xwing_public_key", given(&good)),
        case("xwing_public_key", "a coefficient of 3,329", given(&unreduced)),
        case("xwing_public_key", "1,215 bytes", given(&good[..1_215])),
    ]
}

fn ratchets() -> Vec<Value> {
    let vectors = read("ratchets.json");
    let given = |bytes: &[u8]| json!({ "bytes": hex(bytes) });
    let first = bytes(&vectors["olm"]["first"]["message"]);
    let with = |at: usize, byte: u8| {
        let mut bytes = first.clone();
        bytes[at] = byte;
        given(&bytes)
    };
    // Version, then fields 1 to 3: a key byte, a length of 32, a key.
    let mut unreduced = first.clone();
    unreduced[37..69].copy_from_slice(&[0xff; 32]);
    unreduced[68] = 0x7f;
    let mut cases = vec![
        original("olm_prekey_message", given(&first)),
        case("olm_prekey_message", "version 4", with(0, 4)),
        case("olm_prekey_message", "a base key of 2^255 - 1, which is 18", given(&unreduced)),
        case("olm_prekey_message", "a field more", given(&[&first[..], &[0x2a, 0]].concat())),
        case(
            "olm_prekey_message",
            "a length in two bytes where one does",
            given(&[&first[..2], &[0xa0, 0x00], &first[3..]].concat()),
        ),
        case(
            "olm_prekey_message",
            "two fields changed places",
            given(&[&first[..1], &first[35..69], &first[1..35], &first[69..]].concat()),
        ),
        case("olm_prekey_message", "the version of messages inside is 5", with(105, 5)),
    ];
    let megolm = &vectors["megolm"];
    let message = bytes(&list(&megolm["messages"])[2]["message"]);
    let at = |session_key: &Value, bytes: &[u8]| json!({ "session_key": session_key, "bytes": hex(bytes) });
    let early = bytes(&list(&megolm["messages"])[1]["message"]);
    let mut altered = message.clone();
    altered[10] ^= 1;
    let (from_0, from_2) = (&megolm["session_key_at_0"], &megolm["session_key_at_2"]);
    cases.extend([
        original("megolm_message", at(from_2, &message)),
        case("megolm_message", "index 1 under a key that begins at 2", at(from_2, &early)),
        case("megolm_message", "a bit of the ciphertext is another", at(from_0, &altered)),
        case(
            "megolm_message",
            "a field more",
            at(
                from_0,
                &[&message[..message.len() - 96], &[0x1a, 0], &message[message.len() - 96..]].concat(),
            ),
        ),
        case("megolm_message", "the signature is cut by a byte", at(from_0, &message[..message.len() - 1])),
    ]);
    let key = bytes(from_0);
    let mut resigned = key.clone();
    resigned[228] ^= 1;
    let mut exported = key.clone();
    exported[0] = 1;
    cases.extend([
        original("session_key", given(&key)),
        case("session_key", "its signature does not verify", given(&resigned)),
        case("session_key", "another version than 2", given(&exported)),
        case("session_key", "without its signature", given(&key[..165])),
    ]);
    cases
}
