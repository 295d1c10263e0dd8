//! What is taken, and what is refused.

use prost::Message;

use super::fixtures::{Person, *};
use crate::codec::{BadSignature, Label, Signed, sign};
use crate::ids::{ConversationId, OperationHash};
use crate::membership::*;
use crate::testing::hostile::assert_only_original;
use crate::wire;

fn refused(document: &mut Document, signed: &SignedOperation) -> TakeError {
    document.take(SUPPLIER, signed.signed(), known).unwrap_err()
}

/// Two people, of whom the second is an admin.
fn pair() -> (Document, Person, Person) {
    let (ann, bob) = (person(0), person(1));
    let mut document = founded(&ann.create(1));
    let add = ann.next(&document, Action::Add { user: bob.user(), role: Role::Admin });
    take(&mut document, &add);
    (document, ann, bob)
}

#[test]
fn a_create_begins_the_group_that_is_called_by_its_hash() {
    let create = person(0).create(1);
    let mut document = Document::new(Document::group_of(&create));
    assert!(document.is_empty() && document.landmarks().is_empty());
    assert!(
        document.draft(&person(0).user(), person(0).device.device(), person(0).hash(), name("x")).is_none()
    );
    let hash = OperationHash::new(*document.group().as_bytes());
    assert_eq!(take(&mut document, &create), [hash]);
    assert_eq!(document.heads(), [hash]);
    assert_eq!(document.get(&hash), Some(&create));
    assert_eq!(document.view().role(&person(0).user()), Some(Role::Owner));
    assert_eq!(document.take(SUPPLIER, create.signed(), known), Ok(Taken::Known));
}

#[test]
fn what_is_of_another_group_is_refused() {
    let (mut document, ann, _) = pair();
    let other = ann.create(2);
    let theirs = ann.next(&founded(&other), name("x"));
    for signed in [other, theirs] {
        let error = refused(&mut document, &signed);
        assert_eq!(error, TakeError::WrongGroup);
        assert!(error.is_of_bytes());
    }
    assert_eq!(document.len(), 2);
}

#[test]
fn a_forged_signature_refuses_that_delivery_only() {
    let (mut document, _, bob) = pair();
    let signed = bob.next(&document, name("ours"));
    let forged = Signed { signature: bob.create(1).signature, ..signed.signed() };
    let error = document.take(SUPPLIER, forged, known).unwrap_err();
    assert_eq!(error, TakeError::BadSignature(BadSignature(Label::Operation)));
    assert!(!error.is_of_bytes());
    assert_eq!(document.waiting(), 0);
    assert_eq!(take(&mut document, &signed).len(), 1);
}

#[test]
fn nothing_but_the_original_is_held() {
    let (document, ann, bob) = pair();
    for signed in [bob.next(&document, name("ours")), ann.next(&document, bob.revocation(&document, None))] {
        assert_only_original(&signed.signed(), |signed| {
            let taken = document.clone().take(SUPPLIER, signed, known);
            matches!(taken, Ok(Taken::Held(_)))
        });
    }
}

#[test]
fn a_revocation_within_that_the_identity_did_not_sign_is_of_the_bytes() {
    let (mut document, ann, bob) = pair();
    let signed = ann.next(&document, bob.revocation(&document, None));
    let mut body = wire::Operation::decode(signed.bytes).unwrap();
    if let Some(wire::operation::Action::DeviceRevoke(revoke)) = &mut body.action {
        revoke.signature = ann.create(1).signature.to_vec().into();
    }
    let forged = sign(Label::Operation, ann.device.signing_key(), body.encode_to_vec());
    let error = document.take(SUPPLIER, forged, known).unwrap_err();
    assert!(matches!(error, TakeError::Form(OperationError::BadRevocation(_))) && error.is_of_bytes());
}

#[test]
fn another_devices_certificate_is_refused() {
    let (mut document, ann, bob) = pair();
    let mut draft = document.draft(&bob.user(), bob.device.device(), bob.hash(), name("x")).unwrap();
    draft.certificate = ann.hash();
    let error = refused(&mut document, &bob.sign(draft));
    assert_eq!(error, TakeError::WrongDevice);
    assert!(error.is_of_bytes());
}

#[test]
fn an_unknown_certificate_waits_until_it_comes() {
    let (mut document, _, bob) = pair();
    let first = bob.next(&document, name("first"));
    let taken = document.take(SUPPLIER, first.signed(), unknown);
    assert_eq!(taken, Ok(Taken::Waits(Missing::Certificate(bob.hash()))));
    assert_eq!(document.wanted(), [Missing::Certificate(bob.hash())]);
    // What is no such certificate is not taken for it.
    assert_eq!(document.retry(|_| Some(person(0).certificate)), Released::default());
    assert_eq!(document.retry(unknown), Released::default());
    assert_eq!(document.waiting(), 1);
    let released = document.retry(known);
    assert_eq!((released.held, released.refused), (document.heads(), Vec::new()));
    // From now on the document knows whose it is.
    let second = bob.next(&document, name("second"));
    assert!(matches!(document.take(SUPPLIER, second.signed(), unknown), Ok(Taken::Held(_))));
}

#[test]
fn a_certificate_that_comes_with_one_operation_frees_the_others() {
    let (mut document, _, bob) = pair();
    let first = bob.next(&document, name("first"));
    let mut theirs = document.clone();
    take(&mut theirs, &first);
    let second = bob.next(&theirs, name("second"));
    document.take(SUPPLIER, first.signed(), unknown).unwrap();
    document.take(SUPPLIER, second.signed(), unknown).unwrap();
    assert_eq!(document.wanted().len(), 2);
    assert_eq!(take(&mut document, &first).len(), 2);
    assert_eq!(document.waiting(), 0);
}

#[test]
fn a_missing_parent_is_waited_for() {
    let (mut document, _, bob) = pair();
    let mut theirs = document.clone();
    let mut signed = Vec::new();
    for number in 0..5 {
        let next = bob.next(&theirs, name(&number.to_string()));
        take(&mut theirs, &next);
        signed.push(next);
    }
    for late in signed[1..].iter().rev() {
        let missing = Missing::Operation(late.operation.parents[0]);
        assert_eq!(document.take(SUPPLIER, late.signed(), known), Ok(Taken::Waits(missing)));
    }
    assert_eq!((document.waiting(), document.wanted().len(), document.len()), (4, 4, 2));
    let held = take(&mut document, &signed[0]);
    assert_eq!(held.len(), 5);
    assert_eq!(held.last(), theirs.heads().first());
    assert_eq!((document.waiting(), document.wanted().len()), (0, 0));
    assert_same(&mut document, &mut theirs);
}

#[test]
fn parents_are_an_antichain() {
    let (mut document, ann, bob) = pair();
    let mut draft = document.draft(&bob.user(), bob.device.device(), bob.hash(), name("x")).unwrap();
    draft.parents.push(OperationHash::new(*document.group().as_bytes()));
    draft.parents.sort();
    let signed = bob.sign(draft);
    let error = refused(&mut document, &signed);
    assert_eq!(error, TakeError::WrongPlace(PlaceError::NotAntichain));
    assert!(error.is_of_bytes());
    // The same where the parent came later than the operation.
    let mut other = founded(&ann.create(1));
    other.take(SUPPLIER, signed.signed(), known).unwrap();
    let add = document.since(&[]).nth(1).unwrap().1;
    let Ok(Taken::Held(released)) = other.take(SUPPLIER, add.signed(), known) else { panic!() };
    assert_eq!(released.held, document.heads());
    assert_eq!(released.refused, [(SUPPLIER, TakeError::WrongPlace(PlaceError::NotAntichain))]);
}

#[test]
fn bad_parents_are_of_the_bytes() {
    let (mut document, _, bob) = pair();
    let draft = document.draft(&bob.user(), bob.device.device(), bob.hash(), name("x")).unwrap();
    let head = draft.parents[0];
    let nine: Vec<OperationHash> = (0..9).map(|byte| OperationHash::new([byte; 32])).collect();
    for parents in [vec![], vec![head, head], nine] {
        let mut body = wire::Operation::decode(bob.sign(draft.clone()).bytes).unwrap();
        body.parents = parents.iter().map(OperationHash::to_wire).collect();
        let signed = sign(Label::Operation, bob.device.signing_key(), body.encode_to_vec());
        let error = document.take(SUPPLIER, signed, known).unwrap_err();
        assert!(matches!(error, TakeError::Form(OperationError::Malformed(_))) && error.is_of_bytes());
    }
}

/// Nobody else could do anything, and so nobody fills what all have to hold.
#[test]
fn what_somebody_did_who_was_not_in_is_of_nobody() {
    let (mut document, ann, bob) = pair();
    let eve = person(2);
    let early = eve.next(&document, name("x"));
    assert_eq!(refused(&mut document, &early), TakeError::WrongPlace(PlaceError::NotIn));
    assert_eq!((document.len(), document.waiting(), document.aside()), (2, 0, 0));
    let add = ann.next(&document, Action::Add { user: eve.user(), role: Role::Member });
    take(&mut document, &add);
    let theirs = eve.next(&document, name("y"));
    take(&mut document, &theirs);
    // Who does not know that they are out is in by what they stand on.
    let before = document.clone();
    let remove = ann.next(&document, Action::Remove { user: bob.user(), cut: None });
    take(&mut document, &remove);
    let knowing = bob.next(&document, name("z"));
    assert_eq!(refused(&mut document, &knowing), TakeError::WrongPlace(PlaceError::NotIn));
    assert_eq!(take(&mut document, &bob.next(&before, name("z"))).len(), 1);
}

#[test]
fn what_is_no_operation_is_refused() {
    let mut document = Document::new(ConversationId::new([1; 32]));
    for body in [&b""[..], b"\xff", &[0; 9_000]] {
        let signed = sign(Label::Operation, person(0).device.signing_key(), body.to_vec());
        let error = document.take(SUPPLIER, signed, known).unwrap_err();
        assert!(matches!(error, TakeError::Form(OperationError::Malformed(_))));
    }
}
