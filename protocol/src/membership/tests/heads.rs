//! What is named by who writes, where more happened side by side than can be named.

use super::worlds::*;
use crate::ids::OperationHash;
use crate::limits::{MEMBERSHIP_HEADS_MAX, OPERATION_PARENTS_MAX};
use crate::membership::*;

/// More than can be named.
const MANY: usize = 40;
const CREATE: usize = 1;

fn op(id: usize, by: (usize, usize), parents: &[usize], action: Action) -> Placed {
    let parents = parents.iter().copied().map(hash).collect();
    Placed { hash: hash(id), user: user(by.0), device: device(by.1), parents, action }
}

fn settings() -> Action {
    Action::Settings(SettingsChange { history: Some(true), ..SettingsChange::default() })
}

/// The group of user 0.
fn founded() -> Anchored {
    let mut group = Anchored::default();
    let create = Create { salt: [0; 16], cap: 1_024, settings: SettingsChange::default() };
    group.place(op(CREATE, (0, 0), &[], Action::Create(create)), None).unwrap();
    group
}

/// The owner's many devices each let somebody in, and know nothing of each other.
#[test]
fn who_is_let_in_beside_many_others_names_that_they_are() {
    let mut group = founded();
    for number in 1..=MANY {
        let add = Action::Add { user: user(number), role: Role::Member };
        group.place(op(100 + number, (0, number), &[CREATE], add), None).unwrap();
    }
    assert_eq!(group.heads().len(), MANY);
    for number in 1..=MANY {
        let (who, device) = (user(number), device(200 + number));
        let (parents, first) = group.place_for(&who, &device).unwrap();
        assert_eq!((parents.len(), first), (OPERATION_PARENTS_MAX, 0));
        assert!(group.view_at(&parents).unwrap().is_in(&who));
        let heads = group.heads_for(&who);
        assert_eq!(heads.len(), MEMBERSHIP_HEADS_MAX);
        assert!(heads.is_sorted());
        assert!(group.view_at(&heads).unwrap().is_in(&who));
    }
}

/// User 1 let in as a member by the owner, and very much of strangers beside that.
fn crowded() -> (Anchored, OperationHash) {
    let mut group = founded();
    let add = Action::Add { user: user(1), role: Role::Member };
    group.place(op(100, (0, 0), &[CREATE], add), None).unwrap();
    for number in 1..=MANY {
        let by = (10 + number, 10 + number);
        group.place(op(100 + number, by, &[CREATE], settings()), None).unwrap();
    }
    (group, hash(100))
}

#[test]
fn what_does_not_count_takes_the_place_of_nothing_that_does() {
    let (mut group, add) = crowded();
    assert_eq!(group.heads().len(), MANY + 1);
    assert_eq!(group.heads_for(&user(1)), [add]);
    assert_eq!(*group.view_at(&[add]).unwrap(), *group.view());
}

/// Or its number would not be the right one.
#[test]
fn an_operation_stands_on_its_devices_last_one_though_that_does_not_count() {
    let (mut group, add) = crowded();
    group.place(op(300, (1, 1), &[100], settings()), None).unwrap();
    assert!(matches!(group.verdict(&hash(300)), Some(Verdict::Forbidden(_))));
    let (parents, number) = group.place_for(&user(1), &device(1)).unwrap();
    assert_eq!((parents, number), (vec![hash(300)], 1));
    assert_eq!(group.heads_for(&user(1)), [add]);
}

#[test]
fn what_somebody_did_who_was_not_in_has_no_place() {
    let mut group = founded();
    let strangers = op(100, (1, 1), &[CREATE], settings());
    assert_eq!(group.place_of_member(strangers.clone(), None), Err(PlaceError::NotIn));
    assert_eq!(group.heads(), [hash(CREATE)]);
    let add = Action::Add { user: user(1), role: Role::Member };
    group.place_of_member(op(101, (0, 0), &[CREATE], add), None).unwrap();
    // By what it stands on they still were not.
    assert_eq!(group.place_of_member(strangers, None), Err(PlaceError::NotIn));
    let theirs = op(102, (1, 1), &[101], settings());
    assert_eq!(group.place_of_member(theirs, None), Ok(vec![hash(102)]));
}
