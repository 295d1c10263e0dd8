//! No order, repetition or loss of deliveries decides anything.

use automerge::{Automerge, ChangeHash, ROOT, ReadDoc, ScalarValue, Value};
use proptest::prelude::*;

use super::super::carrier::carry;
use super::fixtures::{Person, *};
use crate::ids::{CertificateHash, OperationHash};
use crate::limits::UPDATE_HEADS_MAX;
use crate::membership::*;

/// A document of all of these, in this order.
fn from_scratch(all: &[SignedOperation]) -> Document {
    let mut document = Document::new(Document::group_of(&all[0]));
    all.iter().for_each(|signed| drop(take(&mut document, signed)));
    assert_eq!((document.len(), document.waiting()), (all.len(), 0));
    document
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Deliveries in any order, some of them twice, some of them never; then what is missing is sent.
    #[test]
    fn any_deliveries_come_to_the_same(
        steps in steps(30),
        picks in prop::collection::vec(0..64_usize, 1..80),
    ) {
        let all = grown(&steps);
        let mut whole = from_scratch(&all);
        let mut other = Document::new(whole.group());
        for pick in picks {
            take(&mut other, &all[pick % all.len()]);
        }
        prop_assert!(other.missing(&other.heads()).is_empty());
        send(&whole, &mut other);
        prop_assert_eq!(other.waiting(), 0);
        // Of a device that gave one number to more than two the other may have lacked some.
        send(&other, &mut whole);
        assert_same(&mut whole, &mut other);
    }

    /// Whatever way the operations came, one after the other the document is as if it were made of them at once.
    #[test]
    fn each_delivery_is_as_from_scratch(steps in steps(16), seed in prop::collection::vec(0..64_usize, 1..30)) {
        let mut left = grown(&steps);
        let mut document = Document::new(Document::group_of(&left[0]));
        for pick in seed.iter().cycle() {
            if left.is_empty() {
                break;
            }
            let next = left.remove(pick % left.len());
            take(&mut document, &next);
            document.view();
            let held: Vec<SignedOperation> = document.since(&[]).map(|(_, signed)| signed.clone()).collect();
            if !held.is_empty() {
                let mut scratch = Document::new(document.group());
                document.proofs().for_each(|proof| drop(scratch.take_proof(proof.signed())));
                held.iter().for_each(|signed| drop(take(&mut scratch, signed)));
                prop_assert_eq!((scratch.aside(), scratch.waiting()), (0, 0));
                assert_same(&mut document, &mut scratch);
                let mut loaded = Document::load(&document.save()).unwrap();
                assert_same(&mut document, &mut loaded);
            }
        }
        prop_assert_eq!(document.waiting(), 0);
    }

    /// Two who know different parts tell each other what the other lacks.
    #[test]
    fn two_exchanges_are_enough(steps in steps(30), cuts in (0..64_usize, 0..64_usize)) {
        let all = grown(&steps);
        let mut whole = from_scratch(&all);
        let hashes: Vec<OperationHash> = whole.since(&[]).map(|(hash, _)| hash).collect();
        let part = |cut: usize| {
            let mut part = Document::new(whole.group());
            let below = whole.past_of(&hashes[cut % hashes.len()..][..1], &[]);
            below.for_each(|(_, signed)| drop(take(&mut part, signed)));
            part
        };
        let [mut one, mut other] = [cuts.0, cuts.1].map(part);
        send(&one, &mut other);
        send(&other, &mut one);
        send(&one, &mut other);
        assert_same(&mut one, &mut other);
        prop_assert_eq!(one.since(&other.heads()).count(), 0);
        send(&whole, &mut one);
        send(&one, &mut whole);
        assert_same(&mut one, &mut whole);
    }

    /// Any Automerge library sees the same changes, and in each the operation's bytes.
    #[test]
    fn it_is_an_automerge_document(steps in steps(20)) {
        let all = grown(&steps);
        let document = from_scratch(&all);
        let loaded = Automerge::load(&document.automerge().unwrap()).unwrap();
        let anchored = document.since(&[]).count();
        let mut heads: Vec<OperationHash> =
            loaded.get_heads().into_iter().map(|head| OperationHash::new(head.0)).collect();
        heads.sort();
        prop_assert_eq!(heads, document.heads());
        prop_assert_eq!(loaded.get_changes(&[]).len(), anchored);
        for (hash, signed) in document.since(&[]) {
            let change = loaded.get_change_by_hash(&ChangeHash(*hash.as_bytes())).unwrap();
            prop_assert_eq!((change.seq(), change.timestamp(), change.message()), (1, 0, None));
            let key = data_encoding::HEXLOWER.encode(blake3::hash(&signed.bytes).as_bytes());
            let (value, _) = loaded.get(ROOT, key).unwrap().unwrap();
            prop_assert_eq!(value, Value::Scalar(std::borrow::Cow::Owned(ScalarValue::Bytes(signed.bytes.to_vec()))));
        }
    }

    /// Equal bytes in an equal place are one change; anything else is another one.
    #[test]
    fn a_change_is_a_function_of_its_bytes_and_its_place(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        parents in prop::collection::btree_set(any::<[u8; 32]>(), 0..8),
        below in 0..100_000_u64,
        at in any::<prop::sample::Index>(),
    ) {
        let parents: Vec<OperationHash> = parents.into_iter().map(OperationHash::new).collect();
        let one = carry(&bytes, &parents, below);
        let again = carry(&bytes, &parents, below);
        prop_assert_eq!(one.chunk(), again.chunk());
        prop_assert_ne!(one.hash, carry(&bytes, &parents, below + 1).hash);
        let mut more = parents.clone();
        more.push(OperationHash::new([0xff; 32]));
        prop_assert_ne!(one.hash, carry(&bytes, &more, below).hash);
        if !bytes.is_empty() {
            let mut other = bytes.clone();
            other[at.index(bytes.len())] ^= 1;
            prop_assert_ne!(one.hash, carry(&other, &parents, below).hash);
        }
    }
}

#[test]
fn landmarks_reach_back_to_the_create() {
    let ann = person(0);
    let mut document = founded(&ann.create(1));
    for number in 1..300 {
        let next = ann.next(&document, name(&number.to_string()));
        take(&mut document, &next);
    }
    let landmarks = document.landmarks();
    assert_eq!(landmarks.len(), 11);
    assert_eq!(landmarks[0], document.heads()[0]);
    assert_eq!(landmarks[10], OperationHash::new(*document.group().as_bytes()));
    // Somebody who lacks the last 100 gets no more than the next landmark below.
    let older: Vec<SignedOperation> =
        document.since(&[]).take(200).map(|(_, signed)| signed.clone()).collect();
    let older = from_scratch(&older);
    assert_eq!(older.missing(&document.heads()), document.heads());
    assert_eq!(document.since(&older.landmarks()).count(), 100);
    let known: Vec<OperationHash> =
        landmarks.iter().copied().filter(|hash| older.get(hash).is_some()).collect();
    assert_eq!(older.since(&known).count(), 28);
}

/// However many write at the same time, an update can say what is held.
#[test]
fn landmarks_are_bounded() {
    // Each by another device: one alone may not write beside itself.
    let people: Vec<Person> = (0..200).map(person).collect();
    let known = |hash: &CertificateHash| {
        people.iter().find(|person| person.hash() == *hash).map(|person| person.certificate.clone())
    };
    let create = person(250).create(1);
    let mut document = Document::new(Document::group_of(&create));
    let maker =
        |hash: &CertificateHash| Some(person(250).certificate).filter(|_| *hash == person(250).hash());
    document.take(SUPPLIER, create.signed(), maker).unwrap();
    let group = document.group();
    let maker_of = |hash: &CertificateHash| maker(hash).or_else(|| known(hash));
    for person in &people {
        let add = Action::Add { user: person.user(), role: Role::Admin };
        document.take(SUPPLIER, self::person(250).next(&document, add).signed(), maker_of).unwrap();
    }
    let parents = document.heads();
    let beside = |person: &Person| {
        person.sign(Operation {
            group: Some(group),
            device: person.device.device(),
            certificate: person.hash(),
            parents: parents.clone(),
            number: 0,
            action: name("beside"),
        })
    };
    for operation in people.iter().map(beside) {
        document.take(SUPPLIER, operation.signed(), known).unwrap();
    }
    assert_eq!(document.heads().len(), 200);
    let landmarks = document.landmarks();
    assert!(landmarks.len() <= UPDATE_HEADS_MAX, "{}", landmarks.len());
    assert!(landmarks.contains(&OperationHash::new(*group.as_bytes())));
    // Whoever lacks one of them gets it still.
    for lacking in [0, 99, 199].map(|at| document.heads()[at]) {
        let held: Vec<SignedOperation> = document
            .since(&[])
            .filter(|(hash, _)| *hash != lacking)
            .map(|(_, operation)| operation.clone())
            .collect();
        let mut other = Document::new(group);
        for operation in held {
            let known = |hash: &CertificateHash| known(hash).or_else(|| maker(hash));
            other.take(SUPPLIER, operation.signed(), known).unwrap();
        }
        assert!(document.since(&other.landmarks()).any(|(hash, _)| hash == lacking));
    }
}
