//! The bounds of the table of what waits.

use super::super::waiting::Waiting;
use super::fixtures::*;
use crate::ids::{DeviceId, OperationHash};
use crate::limits::{OPERATION_BYTES_MAX, WAITING_BYTES_MAX, WAITING_OPERATIONS_MAX, WAITING_SUPPLIERS_MAX};
use crate::membership::*;

const MISSING: Missing = Missing::Operation(OperationHash::new([3; 32]));

/// Something of so many bytes that is not yet there. Nothing here looks at its form.
fn item(number: usize, length: usize) -> SignedOperation {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(length.max(bytes.len()), 0);
    SignedOperation { bytes: bytes.into(), ..person(0).create(1) }
}

fn supplier(number: usize) -> DeviceId {
    DeviceId::new([u8::try_from(number).unwrap(); 32])
}

#[test]
fn a_supplier_has_room_for_so_many() {
    let mut waiting = Waiting::default();
    for number in 0..WAITING_OPERATIONS_MAX {
        assert!(waiting.put(supplier(1), item(number, 8), MISSING));
    }
    assert!(!waiting.put(supplier(1), item(WAITING_OPERATIONS_MAX, 8), MISSING));
    // What waits already waits on, and others have their own room.
    assert!(waiting.put(supplier(1), item(5, 8), MISSING));
    assert!(waiting.put(supplier(2), item(WAITING_OPERATIONS_MAX, 8), MISSING));
    assert_eq!(waiting.len(), WAITING_OPERATIONS_MAX + 1);
    waiting.forget(&supplier(1));
    assert_eq!(waiting.len(), 1);
    assert!(waiting.put(supplier(1), item(0, 8), MISSING));
}

#[test]
fn a_supplier_has_room_for_so_many_bytes() {
    let mut waiting = Waiting::default();
    let most = WAITING_BYTES_MAX / OPERATION_BYTES_MAX;
    for number in 0..most {
        assert!(waiting.put(supplier(1), item(number, OPERATION_BYTES_MAX), MISSING));
    }
    assert!(!waiting.put(supplier(1), item(most, 8), MISSING));
    assert_eq!(waiting.take(&MISSING).len(), most);
    assert_eq!((waiting.len(), waiting.missing().count()), (0, 0));
    assert!(waiting.put(supplier(1), item(most, 8), MISSING));
}

#[test]
fn there_is_room_for_so_many_suppliers() {
    let mut waiting = Waiting::default();
    for number in 0..WAITING_SUPPLIERS_MAX {
        assert!(waiting.put(supplier(number), item(0, 8), MISSING));
    }
    assert!(!waiting.put(supplier(WAITING_SUPPLIERS_MAX), item(0, 8), MISSING));
    waiting.forget(&supplier(0));
    assert!(waiting.put(supplier(WAITING_SUPPLIERS_MAX), item(0, 8), MISSING));
    assert_eq!(waiting.take(&MISSING).len(), WAITING_SUPPLIERS_MAX);
}

#[test]
fn what_is_forgotten_is_no_longer_asked_for() {
    let mut waiting = Waiting::default();
    let other = Missing::Operation(OperationHash::new([4; 32]));
    waiting.put(supplier(1), item(0, 8), MISSING);
    waiting.put(supplier(2), item(1, 8), MISSING);
    waiting.put(supplier(1), item(2, 8), other);
    waiting.forget(&supplier(1));
    assert_eq!(waiting.missing().collect::<Vec<_>>(), [MISSING]);
    waiting.forget(&supplier(2));
    assert_eq!(waiting.missing().count(), 0);
}

#[test]
fn without_room_it_has_to_come_again() {
    let (ann, bob) = (person(0), person(1));
    let mut document = founded(&ann.create(1));
    let mut theirs = document.clone();
    let add = ann.next(&theirs, Action::Add { user: bob.user(), role: Role::Admin });
    take(&mut theirs, &add);
    let of = |number: usize| {
        let draft =
            theirs.draft(&bob.user(), bob.device.device(), bob.hash(), name(&number.to_string())).unwrap();
        bob.sign(draft)
    };
    let missing = Missing::Operation(theirs.heads()[0]);
    for number in 0..WAITING_OPERATIONS_MAX {
        assert_eq!(document.take(SUPPLIER, of(number).signed(), known), Ok(Taken::Waits(missing)));
    }
    let late = of(WAITING_OPERATIONS_MAX);
    assert_eq!(document.take(SUPPLIER, late.signed(), known), Ok(Taken::Dropped(missing)));
    assert_eq!(document.waiting(), WAITING_OPERATIONS_MAX);
    assert_eq!(take(&mut document, &add).len(), WAITING_OPERATIONS_MAX + 1);
    assert_eq!(document.waiting(), 0);
    assert_eq!(take(&mut document, &late).len(), 1);
}
