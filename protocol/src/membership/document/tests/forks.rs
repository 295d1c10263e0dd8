//! Devices that sign two operations with one number, and those that flood.

use super::super::aside::Aside;
use super::fixtures::*;
use crate::ids::{DeviceId, OperationHash};
use crate::limits::{ASIDE_OPERATIONS_MAX, ASIDE_SUPPLIERS_MAX, OPERATIONS_PER_DEVICE_MAX};
use crate::membership::{
    Action, Document, Missing, PlaceError, ProofError, Role, SignedOperation, TakeError, Taken, Verdict,
};

/// Ann's group with bob and cat as admins.
fn group() -> (Document, [Person; 3]) {
    let people = [0, 1, 2].map(person);
    let mut document = founded(&people[0].create(1));
    for other in &people[1..] {
        let add = people[0].next(&document, Action::Add { user: other.user(), role: Role::Admin });
        take(&mut document, &add);
    }
    (document, people)
}

/// So many operations, each on top of the one before, and the document with them.
fn chain(document: &Document, by: &Person, text: &str, count: usize) -> (Document, Vec<SignedOperation>) {
    let mut document = document.clone();
    let mut all = Vec::new();
    for number in 0..count {
        let next = by.next(&document, name(&format!("{text} {number}")));
        take(&mut document, &next);
        all.push(next);
    }
    (document, all)
}

fn supplier(number: usize) -> DeviceId {
    DeviceId::new([u8::try_from(number).unwrap(); 32])
}

fn shown(document: &mut Document) -> String {
    document.view().settings.name.as_ref().unwrap().as_str().to_owned()
}

#[test]
fn two_operations_with_one_number_count_for_nobody() {
    let (document, [_, bob, _]) = group();
    let (before, _) = chain(&document, &bob, "before", 1);
    let (_, one) = chain(&before, &bob, "one", 2);
    let (_, two) = chain(&before, &bob, "two", 2);
    let [mut here, mut there] = [before.clone(), before.clone()];
    for signed in one.iter().chain(&two) {
        take(&mut here, signed);
    }
    for signed in two.iter().chain(&one).rev() {
        take(&mut there, signed);
    }
    assert_same(&mut here, &mut there);
    // What came before stays.
    assert_eq!((shown(&mut here).as_str(), here.heads(), here.len()), ("before 0", before.heads(), 8));
    assert_eq!(here.draft(&bob.user(), bob.device.device(), bob.hash(), name("more")), None);
    let late = OperationHash::new(*before.heads()[0].as_bytes());
    assert_eq!(here.verdict(&late), Some(Verdict::Counts));
}

#[test]
fn a_second_operation_proves_the_fork_before_what_it_stands_on_is_there() {
    let (document, [_, bob, _]) = group();
    let (mut here, one) = chain(&document, &bob, "one", 3);
    let (mut there, two) = chain(&document, &bob, "two", 3);
    assert_eq!((shown(&mut here).as_str(), shown(&mut there).as_str()), ("one 2", "two 2"));
    // Only the last of each: neither can be held.
    assert!(matches!(here.take(SUPPLIER, two[2].signed(), known), Ok(Taken::Waits(_))));
    assert!(matches!(there.take(SUPPLIER, one[2].signed(), known), Ok(Taken::Waits(_))));
    assert_eq!((shown(&mut here).as_str(), shown(&mut there).as_str()), ("one 1", "two 1"));
    // The first of one is enough for both to be of one mind, whatever else they hold.
    here.take(SUPPLIER, two[0].signed(), known).unwrap();
    for proof in here.proofs() {
        assert_eq!(there.take_proof(proof.signed()), Ok(true));
        assert_eq!(there.take_proof(proof.signed()), Ok(false));
    }
    assert_eq!((shown(&mut here).as_str(), shown(&mut there).as_str()), ("hikers", "hikers"));
    assert_same(&mut here, &mut there);
    assert_ne!(here.len(), there.len());
}

#[test]
fn what_proves_nothing_is_no_proof() {
    let (mut document, [ann, bob, cat]) = group();
    let (_, one) = chain(&document, &bob, "one", 2);
    let (_, two) = chain(&document, &bob, "two", 1);
    let (_, of_cat) = chain(&document, &cat, "cat's", 1);
    let other = ann.create(2);
    let create = document.since(&[]).next().unwrap().1.signed();
    for pair in [[&one[0], &one[0]], [&one[0], &one[1]], [&one[0], &of_cat[0]]] {
        assert_eq!(document.take_proof(pair.map(SignedOperation::signed)), Err(ProofError::NoFork));
    }
    assert_eq!(document.take_proof([create, other.signed()]), Err(ProofError::NoFork));
    let mut bad = two[0].signed();
    bad.signature[3] ^= 1;
    assert!(matches!(document.take_proof([one[0].signed(), bad]), Err(ProofError::BadSignature(_))));
    assert_eq!(document.proofs().count(), 0);
    assert_eq!(document.take_proof([one[0].signed(), two[0].signed()]), Ok(true));
}

#[test]
fn a_create_is_not_taken_back() {
    let (mut document, [ann, bob, _]) = group();
    let first = document.since(&[]).next().unwrap().1.clone();
    let (_, of_bob) = chain(&document, &bob, "bob's", 1);
    // It has a bad form, for Create is in what it stands on; but ann signed it.
    let mut draft = document.draft(&ann.user(), ann.device.device(), ann.hash(), name("x")).unwrap();
    draft.number = 0;
    let error = document.take(SUPPLIER, ann.sign(draft).signed(), known).unwrap_err();
    assert_eq!(error, TakeError::WrongPlace(PlaceError::Number));
    assert_eq!(document.proofs().next().unwrap().pair[0], first);
    let members: Vec<_> = document.view().members.keys().copied().collect();
    assert_eq!(members, [ann.user()]);
    // Bob knew her before, and what he stood on counts again.
    take(&mut document, &of_bob[0]);
    assert_eq!((document.view().members.len(), shown(&mut document).as_str()), (3, "bob's 0"));
}

#[test]
fn a_device_has_so_many_operations_in_any_past() {
    let (document, [_, bob, _]) = group();
    let mut document = Document::load(&document.save()).unwrap();
    let mut last = None;
    for _ in 0..OPERATIONS_PER_DEVICE_MAX {
        let draft = document.draft(&bob.user(), bob.device.device(), bob.hash(), name("x")).unwrap();
        last = Some(draft.clone());
        assert!(matches!(document.take(SUPPLIER, bob.sign(draft).signed(), known), Ok(Taken::Held(_))));
    }
    assert_eq!(document.draft(&bob.user(), bob.device.device(), bob.hash(), name("x")), None);
    // The last number once more: on top of all it has a bad form, beside the last it is the proof of a fork.
    let mut draft = last.unwrap();
    draft.action = name("y");
    let beside = bob.sign(draft.clone());
    draft.parents = document.heads();
    let error = document.take(SUPPLIER, bob.sign(draft).signed(), known).unwrap_err();
    assert_eq!(error, TakeError::WrongPlace(PlaceError::Number));
    assert!(error.is_of_bytes());
    assert!(matches!(document.take(SUPPLIER, beside.signed(), known), Ok(Taken::Held(_))));
    assert_eq!((document.proofs().count(), document.aside()), (1, 1));
}

#[test]
fn an_end_that_somebody_built_on_comes_in_when_there_is_no_room_for_more() {
    let (document, [ann, bob, cat]) = group();
    // Cat learned of one end before anybody knew, and wrote on top.
    let (theirs, end) = chain(&document, &bob, "one", 5);
    let (mut theirs, of_cat) = chain(&theirs, &cat, "cat's", 1);
    let (mut here, _) = chain(&document, &bob, "two", 2);
    here.take(supplier(1), end[0].signed(), known).unwrap();
    // Others fill what room there is, with more ends.
    for number in 2..=ASIDE_SUPPLIERS_MAX {
        let (_, other) = chain(&document, &bob, &format!("end {number}"), 1);
        assert!(matches!(here.take(supplier(number), other[0].signed(), known), Ok(Taken::Held(_))));
    }
    let (_, late) = chain(&document, &bob, "late", 1);
    assert_eq!(here.take(supplier(0x77), late[0].signed(), known), Err(TakeError::NoRoom));
    assert_eq!(here.aside(), ASIDE_SUPPLIERS_MAX);
    let waits = here.take(supplier(0x77), of_cat[0].signed(), known).unwrap();
    let Taken::Waits(Missing::Operation(wanted)) = waits else { panic!("{waits:?}") };
    assert_eq!(here.wanted(), [Missing::Operation(wanted)]);
    // When an exchange is over there is room, and what is wanted is asked for by name.
    for number in 1..=ASIDE_SUPPLIERS_MAX {
        here.forget(&supplier(number));
    }
    assert_eq!(here.aside(), 0);
    let asked: Vec<_> =
        theirs.past_of(&[wanted], &here.landmarks()).map(|(_, signed)| signed.signed()).collect();
    assert_eq!(asked.len(), 5);
    for signed in asked {
        here.take(supplier(0x77), signed, known).unwrap();
    }
    assert_eq!((here.waiting(), here.aside()), (0, 0));
    assert_eq!(shown(&mut here), "cat's 0");
    send(&here, &mut theirs);
    assert_same(&mut here, &mut theirs);
    // All go on from there, but bob.
    let next = ann.next(&here, name("next"));
    take(&mut here, &next);
    take(&mut theirs, &next);
    assert_same(&mut here, &mut theirs);
    assert_eq!(shown(&mut here), "next");
}

#[test]
fn what_holds_by_nothing_goes_with_its_supplier() {
    let (document, [_, bob, _]) = group();
    let (mut here, one) = chain(&document, &bob, "one", 2);
    let (_, two) = chain(&document, &bob, "two", 4);
    for signed in &two {
        here.take(supplier(1), signed.signed(), known).unwrap();
    }
    for signed in &two[..2] {
        assert_eq!(here.take(supplier(2), signed.signed(), known), Ok(Taken::Known));
    }
    assert_eq!((here.len(), here.aside()), (9, 4));
    here.view();
    here.forget(&supplier(1));
    assert_eq!((here.len(), here.aside()), (7, 2));
    assert_eq!(here.save_since(0), None, "what is held aside is not stored");
    // An entry names the first of these: it stays.
    let named = here.past_of(&[], &[]).count();
    assert_eq!(named, 0);
    let first = Document::load(&chain(&document, &bob, "two", 1).0.save()).unwrap().heads();
    assert!(here.keep(&first));
    here.forget(&supplier(2));
    assert_eq!((here.len(), here.aside()), (6, 0));
    assert!(here.get(&first[0]).is_some());
    assert!(here.view_at(&first).is_ok());
    // But no entry names both ends.
    let end = chain(&document, &bob, "one", 1).0.heads();
    assert!(!here.keep(&[first[0], end[0]]));
    // What was held before the fork is held on.
    let saved = Document::load(&here.save()).unwrap();
    assert_eq!((saved.len(), saved.proofs().count()), (6, 1));
    assert_same(&mut here, &mut saved.clone());
    take(&mut here, &one[1]);
    assert_eq!(here.len(), 6);
}

#[test]
fn a_revocation_that_went_with_a_fork_is_carried_again() {
    let (mut document, [ann, bob, cat]) = group();
    let one = bob.next(&document, cat.revocation(&document, None));
    let (_, two) = chain(&document, &bob, "two", 1);
    take(&mut document, &one);
    assert_eq!((document.to_carry().len(), document.view().revoked_devices.len()), (0, 1));
    take(&mut document, &two[0]);
    assert_eq!(document.view().revoked_devices.len(), 0);
    let [again] = <[Action; 1]>::try_from(document.to_carry()).unwrap();
    let next = ann.next(&document, again);
    take(&mut document, &next);
    assert_eq!((document.to_carry().len(), document.view().revoked_devices.len()), (0, 1));
}

#[test]
fn a_draft_stands_on_the_devices_last_however_many_heads_there_are() {
    let (mut document, people) = group();
    let many: Vec<Person> = (20..40).map(person).collect();
    for person in &many {
        let add = people[0].next(&document, Action::Add { user: person.user(), role: Role::Admin });
        take(&mut document, &add);
    }
    let before = document.clone();
    let all = |hash: &crate::ids::CertificateHash| {
        many.iter()
            .chain(&people)
            .find(|person| person.hash() == *hash)
            .map(|person| person.certificate.clone())
    };
    for person in many.iter().chain(&people[..1]) {
        let next = person.next(&before, name("x"));
        document.take(SUPPLIER, next.signed(), all).unwrap();
    }
    assert_eq!(document.heads().len(), 21);
    for person in &many {
        let next = person.next(&document, name("y"));
        assert_eq!(next.operation.parents.len(), 8);
        let mut then = document.clone();
        assert!(matches!(then.take(SUPPLIER, next.signed(), all), Ok(Taken::Held(_))));
        assert_eq!(then.proofs().count(), 0);
    }
}

#[test]
fn there_is_room_for_so_many_that_hold_by_nothing() {
    let hash = |number: usize| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        OperationHash::new(bytes)
    };
    let mut aside = Aside::default();
    for number in 0..ASIDE_OPERATIONS_MAX {
        assert!(aside.has_room(&supplier(1)));
        aside.put(supplier(1), hash(number));
    }
    assert!(!aside.has_room(&supplier(1)) && aside.has_room(&supplier(2)));
    aside.put(supplier(1), hash(ASIDE_OPERATIONS_MAX));
    assert_eq!(aside.len(), ASIDE_OPERATIONS_MAX);
    aside.put(supplier(2), hash(3));
    aside.take(&hash(0));
    assert!(aside.has_room(&supplier(1)));
    assert_eq!(aside.forget(&supplier(1)).len(), ASIDE_OPERATIONS_MAX - 2);
    assert_eq!((aside.len(), aside.contains(&hash(3))), (1, true));
    aside.take(&hash(3));
    for number in 0..ASIDE_SUPPLIERS_MAX {
        aside.put(supplier(number), hash(number));
    }
    assert!(!aside.has_room(&supplier(ASIDE_SUPPLIERS_MAX)));
}
