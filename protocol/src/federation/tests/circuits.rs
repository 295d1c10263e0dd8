use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::codec::Signed;
use crate::federation::*;
use crate::ids::{Handle, MailboxId, PayloadHash, PublishId, RelayId, Secret};
use crate::receipts::{CustodyReceipt, ItemOutcome, Outcome};
use crate::testing::hostile::assert_only_original;
use crate::time::Timestamp;
use crate::token::{ProofInput, Step, TokenGrant};
use crate::wire;

pub(super) const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);
pub(super) const FORWARD: PublishId = PublishId::new([5; 16]);

pub(super) fn relay() -> SigningKey {
    SigningKey::from_bytes(&[21; 32])
}

pub(super) fn relay_id() -> RelayId {
    RelayId::new(relay().verifying_key().to_bytes())
}

pub(super) fn secret() -> RoutingSecret {
    RoutingSecret::from_secret(Secret::new([31; 32])).unwrap()
}

pub(super) fn routing_key() -> RoutingKey {
    RoutingKey::issue(&relay(), &secret(), NOW)
}

/// Two payloads, the first for two mailboxes.
pub(super) fn outgoing() -> Outgoing {
    let expiry = NOW.after(Duration::from_secs(3_600));
    let grant = TokenGrant::issue(&Secret::new([41; 32]), Step::named(Handle::new([6; 8])));
    let item = |payload: &'static [u8], mailboxes: &[u8]| {
        let input = ProofInput {
            publish_id: FORWARD,
            payload_hash: PayloadHash::of(payload),
            relay: relay_id(),
            expiry,
        };
        let proof = grant.prove(&input);
        let to = |number: &u8| proof.to_recipient(MailboxId::new([*number; 16]), 1, grant.path());
        let recipients = mailboxes.iter().map(to).collect();
        OutgoingItem { payload: Bytes::from_static(payload), class: 0, expiry, recipients }
    };
    let not_after = NOW.after(Duration::from_secs(86_400));
    Outgoing { forward_id: FORWARD, not_after, items: vec![item(b"one", &[1, 2]), item(b"two", &[1])] }
}

pub(super) fn receipt() -> CustodyReceipt {
    let stored = Outcome::Stored { held_until: NOW };
    let item = |payload: &[u8], count| ItemOutcome {
        payload_hash: PayloadHash::of(payload),
        recipients: vec![stored; count],
    };
    CustodyReceipt { publish_id: FORWARD, items: vec![item(b"one", 2), item(b"two", 1)] }
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(1)
}

fn circuit() -> Circuit {
    Circuit::set_up(&routing_key(), &mut rng()).unwrap()
}

fn keys(parcel: &Parcel) -> CircuitKeys {
    CircuitKeys::receive(&secret(), &relay_id(), &parcel.enc).unwrap()
}

#[test]
fn a_route_and_its_answer_go_through() {
    let (bytes, answer_key) = circuit().seal(outgoing()).unwrap();
    let parcel = Parcel::read(&bytes).unwrap();
    assert_eq!(parcel.routing_key, secret().id());
    let routes = keys(&parcel).open_route(&parcel).unwrap();
    let sent: Vec<_> = outgoing().items.into_iter().map(|item| item.recipients).collect();
    assert_eq!(routes, sent);
    let answer = keys(&parcel).seal_answer(&parcel, &receipt().sign(&relay()), &mut rng()).unwrap();
    assert_eq!(answer_key.open(&answer), Ok(receipt()));
}

#[test]
fn neither_relay_sees_what_is_not_for_it() {
    let (bytes, _) = circuit().seal(outgoing()).unwrap();
    for mailbox in [[1; 16], [2; 16]] {
        assert!(!bytes.windows(16).any(|part| part == mailbox), "a mailbox in sight");
    }
    // Sizes are padded: one recipient more may look the same.
    let mut less = outgoing();
    less.items[0].recipients.truncate(1);
    let (fewer, _) = circuit().seal(less).unwrap();
    let size = |bytes: &Bytes| Parcel::read(bytes).unwrap().route.len() - 16;
    for bytes in [&bytes, &fewer] {
        assert_eq!(size(bytes), crate::codec::padded_len(size(bytes) - 1), "a padded length");
    }
}

#[test]
fn a_circuit_never_uses_a_number_twice() {
    let mut circuit = circuit();
    let (first, _) = circuit.seal(outgoing()).unwrap();
    let (second, _) = circuit.seal(outgoing()).unwrap();
    let (first, second) = (Parcel::read(&first).unwrap(), Parcel::read(&second).unwrap());
    assert_eq!((first.counter, second.counter, circuit.used()), (0, 1, 2));
    assert_ne!(first.route, second.route);
    assert_ne!(first.place(), second.place());
    assert_eq!(first.enc, second.enc);
}

#[test]
fn nothing_of_a_parcel_can_be_changed_on_its_way() {
    let (bytes, _) = circuit().seal(outgoing()).unwrap();
    let parcel = Parcel::read(&bytes).unwrap();
    let keys = keys(&parcel);
    type Change = fn(&mut Parcel);
    let changes: [(&str, Change); 8] = [
        ("the id", |parcel| parcel.forward_id = PublishId::new([6; 16])),
        ("the number", |parcel| parcel.counter += 1),
        ("the end", |parcel| parcel.not_after = Timestamp::from_ms(u64::MAX)),
        ("a payload", |parcel| parcel.items[0].hash = PayloadHash::of(b"three")),
        ("a class", |parcel| parcel.items[0].class = 1),
        ("an expiry", |parcel| parcel.items[1].expiry = NOW),
        ("an item", |parcel| drop(parcel.items.pop())),
        ("the route", |parcel| {
            let mut route = parcel.route.to_vec();
            route[0] ^= 1;
            parcel.route = route.into();
        }),
    ];
    for (what, change) in changes {
        let mut changed = parcel.clone();
        change(&mut changed);
        assert_eq!(keys.open_route(&changed), Err(CircuitError::Unauthentic), "{what}");
    }
    let other = RelayId::new([9; 32]);
    let foreign = CircuitKeys::receive(&secret(), &other, &parcel.enc).unwrap();
    assert_eq!(foreign.open_route(&parcel), Err(CircuitError::Unauthentic), "another relay");
    let old = RoutingSecret::from_secret(Secret::new([32; 32])).unwrap();
    let foreign = CircuitKeys::receive(&old, &relay_id(), &parcel.enc).unwrap();
    assert_eq!(foreign.open_route(&parcel), Err(CircuitError::Unauthentic), "another key");
}

#[test]
fn an_answer_is_of_its_forward_and_of_the_destination() {
    let mut circuit = circuit();
    let (bytes, answer_key) = circuit.seal(outgoing()).unwrap();
    let (_, next) = circuit.seal(outgoing()).unwrap();
    let parcel = Parcel::read(&bytes).unwrap();
    let seal = |signed: &Signed| keys(&parcel).seal_answer(&parcel, signed, &mut rng()).unwrap();
    let good = seal(&receipt().sign(&relay()));
    assert!(next.open(&good).is_err(), "of another number");
    let mut other = good.clone();
    other.salt = vec![1; 16].into();
    assert_eq!(answer_key.open(&other), Err(CircuitError::Unauthentic));
    other.salt = vec![1; 15].into();
    assert!(matches!(answer_key.open(&other), Err(CircuitError::Malformed(_))));
    // The source relay has the circuit's number and no key; even with one it could not sign.
    let foreign = seal(&receipt().sign(&SigningKey::from_bytes(&[22; 32])));
    assert_eq!(answer_key.open(&foreign), Err(CircuitError::Unauthentic));
    let another = CustodyReceipt { publish_id: PublishId::new([7; 16]), ..receipt() };
    assert_eq!(answer_key.open(&seal(&another.sign(&relay()))), Err(CircuitError::Unauthentic));
    let answers = [&good, &seal(&receipt().sign(&relay()))].map(|answer| answer_key.open(answer).is_ok());
    assert_eq!(answers, [true, true], "salts differ, and each opens");
}

#[test]
fn a_routing_key_holds_as_signed_only() {
    let key = routing_key();
    assert_eq!(RoutingKey::verify(key.signed.clone(), &relay_id()), Ok(key.clone()));
    assert_eq!(key.id(), secret().id());
    assert_only_original(&key.signed, |signed| RoutingKey::verify(signed, &relay_id()).is_ok());
    assert!(RoutingKey::verify(key.signed, &RelayId::new([9; 32])).is_err());
}

#[test]
fn an_ill_formed_parcel_is_refused() {
    let good = wire::Parcel::decode(circuit().seal(outgoing()).unwrap().0).unwrap();
    type Change = fn(&mut wire::Parcel);
    let changes: [(&str, Change); 9] = [
        ("no id", |parcel| parcel.forward_id = Bytes::new()),
        ("no key", |parcel| parcel.routing_key = Bytes::new()),
        ("a short enc", |parcel| parcel.enc = vec![1; 31].into()),
        ("no items", |parcel| parcel.items.clear()),
        ("17 items", |parcel| parcel.items = vec![parcel.items[0].clone(); 17]),
        ("an empty payload", |parcel| parcel.items[0].payload = Bytes::new()),
        ("a large payload", |parcel| parcel.items[0].payload = vec![0; 65_537].into()),
        ("class 2", |parcel| parcel.items[0].class = 2),
        ("too much payload", |parcel| {
            parcel.items[0].payload = vec![0; 60_000].into();
            parcel.items = vec![parcel.items[0].clone(); 3];
        }),
    ];
    for (what, change) in changes {
        let mut parcel = good.clone();
        change(&mut parcel);
        assert!(Parcel::read(&parcel.encode_to_vec().into()).is_err(), "{what}");
    }
    let largest = vec![0; crate::limits::PARCEL_BYTES_MAX + 1];
    assert!(Parcel::read(&largest.into()).is_err(), "too large");
}

/// What a later version adds is passed on by whoever does not know it.
#[test]
fn unknown_fields_survive_in_the_exact_bytes() {
    let (bytes, _) = circuit().seal(outgoing()).unwrap();
    // Field 99, a varint.
    let longer: Bytes = [bytes.as_ref(), &[0x98, 0x06, 7]].concat().into();
    let parcel = Parcel::read(&longer).unwrap();
    assert_eq!(parcel, Parcel::read(&bytes).unwrap());
    assert!(keys(&parcel).open_route(&parcel).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(bytes: Vec<u8>, edits: Vec<(usize, u8)>) {
        let _ = Parcel::read(&bytes.into());
        let (good, answer_key) = circuit().seal(outgoing()).unwrap();
        let mut changed = good.to_vec();
        for (at, byte) in edits {
            let at = at % changed.len();
            changed[at] = byte;
        }
        let is_same = changed == good;
        if let Ok(parcel) = Parcel::read(&changed.into()) {
            let enc = CircuitKeys::receive(&secret(), &relay_id(), &parcel.enc);
            let opened = enc.and_then(|keys| keys.open_route(&parcel));
            // Every field that counts is bound; which key it names is only a hint.
            let but_for_hint = Parcel { routing_key: secret().id(), ..parcel };
            prop_assert!(opened.is_err() || is_same || but_for_hint == Parcel::read(&good).unwrap());
        }
        let forwarded = wire::Forwarded { forward_id: FORWARD.to_wire(), salt: vec![1; 16].into(), answer: good };
        prop_assert!(answer_key.open(&forwarded).is_err());
    }

    /// Whoever seals may seal anything.
    #[test]
    fn any_sealed_route_is_read_without_panic(content: Vec<u8>, recipients in 0usize..3) {
        let mut out = outgoing();
        out.items[0].recipients.truncate(recipients);
        let (bytes, _) = circuit().seal(out).unwrap();
        let parcel = Parcel::read(&bytes).unwrap();
        prop_assert_eq!(keys(&parcel).open_route(&parcel).is_ok(), recipients > 0);
        let _ = parcel::routes(content, 1);
    }
}
