use bytes::Bytes;
use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::codec::{Label, Signed, sign};
use crate::ids::{ConversationId, DeviceId, DeviceListHash, EntryId};
use crate::limits::{CLAIMED_MS_MAX, ENTRY_HEADS_MAX, MEMBERSHIP_HEADS_MAX, TEXT_BYTES_MAX};
use crate::testing::hostile::{altered, assert_only_original, mutated};
use crate::time::Timestamp;
use crate::wire;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn body(text: &str) -> EntryBody {
    EntryBody::text(text, &mut ChaCha20Rng::from_seed([2; 32])).unwrap()
}

fn header(body: &EntryBody) -> EntryHeader {
    EntryHeader {
        conversation: ConversationId::new([3; 32]),
        device: DeviceId::new(key().verifying_key().to_bytes()),
        seq: 2,
        prev: Some(EntryId::new([4; 32])),
        heads: vec![EntryId::new([5; 32]), EntryId::new([4; 32])],
        claimed: Timestamp::from_ms(1_000),
        membership_heads: vec![DeviceListHash::new([6; 32]), DeviceListHash::new([7; 32])],
        body_hash: body.hash(),
        expires: Some(Timestamp::from_ms(9_000)),
    }
}

fn entry() -> SignedEntry {
    let body = body("hello");
    SignedEntry::issue(&key(), header(&body), body)
}

/// The entry's header, not yet checked.
fn signed(entry: &SignedEntry) -> Signed {
    Signed { body: entry.header_bytes.clone(), signature: entry.signature }
}

fn with_header(header: &Signed, body: &Bytes) -> Result<SignedEntry, EntryError> {
    let Signed { body: header, signature } = header.clone();
    let signature = Bytes::copy_from_slice(&signature);
    SignedEntry::verify(wire::SealedEntry { header, signature, body: body.clone() })
}

#[test]
fn an_entry_round_trips() {
    let entry = entry();
    assert_eq!(entry.id.as_bytes(), blake3::hash(&entry.header_bytes).as_bytes());
    assert_eq!(SignedEntry::verify(entry.to_wire()), Ok(entry.clone()));
    let stored =
        SignedEntry::from_stored(entry.header_bytes.clone(), entry.signature, entry.body.bytes.clone());
    assert_eq!(stored, Ok(entry));
}

#[test]
fn without_its_body_an_entry_is_the_same_one() {
    let gone = entry().without_body();
    assert_eq!((gone.id, &gone.header, &gone.body.content), (entry().id, &entry().header, &Content::Gone));
    assert_eq!(SignedEntry::verify_whole_or_gone(gone.to_wire()), Ok(gone.clone()));
    assert_eq!(SignedEntry::verify_whole_or_gone(entry().to_wire()), Ok(entry()));
    assert!(SignedEntry::verify(gone.to_wire()).is_err(), "where a body must be");
    let stored = SignedEntry::from_stored(gone.header_bytes.clone(), gone.signature, Bytes::new());
    assert_eq!(stored, Ok(gone.clone()));
    let forged = wire::SealedEntry { signature: Bytes::from(vec![0; 64]), ..gone.to_wire() };
    assert!(SignedEntry::verify_whole_or_gone(forged).is_err());
    let other = wire::SealedEntry { body: body("hellp").bytes, ..gone.to_wire() };
    assert_eq!(SignedEntry::verify_whole_or_gone(other), Err(EntryError::WrongBody));
}

#[test]
fn it_holds_as_signed_only() {
    let entry = entry();
    assert_only_original(&signed(&entry), |header| with_header(&header, &entry.body.bytes).is_ok());
    let other = sign(Label::KeyPackage, &key(), entry.header_bytes.clone());
    assert!(
        matches!(with_header(&other, &entry.body.bytes), Err(EntryError::BadSignature(_))),
        "another label"
    );
    let other = sign(Label::Entry, &SigningKey::from_bytes(&[9; 32]), entry.header_bytes.clone());
    assert!(
        matches!(with_header(&other, &entry.body.bytes), Err(EntryError::BadSignature(_))),
        "another device"
    );
    let cut = wire::SealedEntry { signature: Bytes::from(vec![0; 63]), ..entry.to_wire() };
    assert!(matches!(SignedEntry::verify(cut), Err(EntryError::Malformed(_))));
}

#[test]
fn the_body_is_the_one_that_the_header_names() {
    let entry = entry();
    assert_eq!(with_header(&signed(&entry), &body("hellp").bytes), Err(EntryError::WrongBody));
    let other_salt = EntryBody::text("hello", &mut ChaCha20Rng::from_seed([8; 32])).unwrap();
    assert_ne!(other_salt.hash(), entry.body.hash(), "a guess of the text can't be confirmed by the hash");
    assert_eq!(with_header(&signed(&entry), &other_salt.bytes), Err(EntryError::WrongBody));
    let bytes = &entry.body.bytes;
    for at in 0..bytes.len() {
        let mut other = bytes.to_vec();
        other[at] ^= 1 << (at % 8);
        assert!(with_header(&signed(&entry), &other.into()).is_err(), "byte {at}");
        assert!(with_header(&signed(&entry), &bytes.slice(..at)).is_err(), "cut to {at} bytes");
    }
}

#[test]
fn an_ill_formed_header_is_refused_though_signed() {
    type Change = fn(&mut wire::EntryHeader);
    let changes: [(&str, Change); 14] = [
        ("version", |header| header.version = 2),
        ("suite", |header| header.suite = 2),
        ("conversation", |header| header.conversation = Bytes::new()),
        ("device", |header| header.device = vec![1; 31].into()),
        ("seq 0", |header| header.seq = 0),
        ("the first with prev", |header| header.seq = 1),
        ("the second without", |header| header.prev = Bytes::new()),
        ("prev", |header| header.prev = vec![1; 31].into()),
        ("17 heads", |header| header.heads = vec![vec![1; 32].into(); ENTRY_HEADS_MAX + 1]),
        ("head", |header| header.heads[0] = Bytes::new()),
        ("9 membership heads", |header| {
            header.membership_heads = vec![vec![1; 32].into(); MEMBERSHIP_HEADS_MAX + 1];
        }),
        ("membership head", |header| header.membership_heads[1] = vec![1; 33].into()),
        ("body hash", |header| header.body_hash = Bytes::new()),
        ("claimed", |header| header.claimed_ms = CLAIMED_MS_MAX + 1),
    ];
    let entry = entry();
    for (what, change) in changes {
        let other = altered(Label::Entry, &key(), &signed(&entry), change);
        let verified = with_header(&other, &entry.body.bytes);
        assert!(matches!(verified, Err(EntryError::Malformed(_))), "{what}: {verified:?}");
    }
}

#[test]
fn parents_are_the_heads_and_the_entry_before() {
    let body = body("hello");
    let [a, b] = [4, 5].map(|byte| EntryId::new([byte; 32]));
    let parents = |heads: Vec<EntryId>, prev| {
        EntryHeader { heads, prev, ..header(&body) }.parents().collect::<Vec<_>>()
    };
    assert_eq!(parents(vec![a, b], Some(a)), [a, b], "named once");
    assert_eq!(parents(vec![b], Some(a)), [b, a]);
    assert_eq!(parents(vec![], None), []);
}

#[test]
fn texts_have_bounds() {
    let mut rng = ChaCha20Rng::from_seed([2; 32]);
    assert!(EntryBody::text("", &mut rng).is_err());
    assert!(EntryBody::text(&"x".repeat(TEXT_BYTES_MAX), &mut rng).is_ok());
    assert!(EntryBody::text(&"x".repeat(TEXT_BYTES_MAX + 1), &mut rng).is_err());
    let long = wire::EntryBody {
        salt: vec![0; 16].into(),
        content: Some(wire::entry_body::Content::Text(wire::Text {
            text: "x".repeat(TEXT_BYTES_MAX + 1),
            ..wire::Text::default()
        })),
    };
    assert!(EntryBody::from_bytes(long.encode_to_vec().into()).is_err());
}

#[test]
fn a_body_needs_its_salt() {
    for length in [0, 15, 17] {
        let body = wire::EntryBody { salt: vec![0; length].into(), content: None };
        assert!(EntryBody::from_bytes(body.encode_to_vec().into()).is_err(), "{length} bytes");
    }
}

#[test]
fn what_a_later_version_says_is_kept_as_unknown() {
    let mut bytes = wire::EntryBody { salt: vec![0; 16].into(), content: None }.encode_to_vec();
    // Field 15, of two bytes: a content that this version does not know.
    bytes.extend_from_slice(&[0x7a, 2, b'h', b'i']);
    let body = EntryBody::from_bytes(bytes.clone().into()).unwrap();
    assert_eq!((body.content.clone(), body.bytes.as_ref()), (Content::Unknown, bytes.as_slice()));
    let entry = SignedEntry::issue(&key(), header(&body), body);
    assert_eq!(SignedEntry::verify(entry.to_wire()), Ok(entry), "its exact bytes are what was hashed");
}

proptest! {
    #[test]
    fn any_entry_round_trips(
        text in ".{1,200}",
        seq in 1u64..,
        heads in proptest::collection::vec(any::<[u8; 32]>(), 0..=ENTRY_HEADS_MAX),
        membership in proptest::collection::vec(any::<[u8; 32]>(), 0..=MEMBERSHIP_HEADS_MAX),
        claimed_ms in 0..=CLAIMED_MS_MAX,
        expires_ms in proptest::option::of(1u64..),
    ) {
        let body = body(&text);
        let header = EntryHeader {
            seq,
            prev: (seq > 1).then_some(EntryId::new([4; 32])),
            heads: heads.into_iter().map(EntryId::new).collect(),
            claimed: Timestamp::from_ms(claimed_ms),
            membership_heads: membership.into_iter().map(DeviceListHash::new).collect(),
            expires: expires_ms.map(Timestamp::from_ms),
            ..header(&body)
        };
        let entry = SignedEntry::issue(&key(), header, body);
        prop_assert_eq!(SignedEntry::verify(entry.to_wire()), Ok(entry));
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>, body: Vec<u8>, edits: Vec<(usize, u8)>) {
        prop_assert!(EntryHeader::from_bytes(&bytes.clone().into()).is_err());
        let _ = EntryBody::from_bytes(body.clone().into());
        prop_assert!(with_header(&sign(Label::Entry, &key(), bytes), &body.into()).is_err());
        let entry = entry();
        let edited = mutated(Label::Entry, &key(), &signed(&entry), &edits);
        if let Ok(read) = with_header(&edited, &entry.body.bytes) {
            prop_assert_eq!(read.header.body_hash, entry.body.hash());
            prop_assert_eq!(read.header_bytes, edited.body);
        }
    }
}
