//! Rule 14, and whom the policy lets add members.

use super::*;
use crate::model::{Field, POLICY_MEMBERS_ADD, POLICY_OWNERS_ADD};

fn name(value: u32) -> Kind {
    Kind::Settings { field: Field::Name, value }
}

fn policy(value: u32) -> Kind {
    Kind::Settings { field: Field::Policy, value }
}

fn named(book: &Book) -> Option<u32> {
    book.resolve().settings.get(&Field::Name).copied()
}

#[test]
fn the_later_one_holds_then_the_senior_then_the_greater_hash() {
    let mut book = Book::with(&[Admin, Admin]);
    let base = book.last();
    let first = book.op(0, &[base], name(1));
    let (a, b) = (book.op(1, &[first], name(2)), book.op(2, &[first], name(3)));
    assert_eq!(named(&book), Some(3));
    book.edit(a).hash = 100;
    assert_eq!(named(&book), Some(2));
    book.op(0, &[first], name(4));
    assert_eq!(named(&book), Some(4), "the senior's, beside the others");
    book.op(2, &[a, b], name(5));
    assert_eq!(named(&book), Some(4));
    book.then(2, policy(0));
    assert_eq!(book.resolve().settings.len(), 2, "admins set everything");
}

#[test]
fn fields_do_not_compete_and_what_is_killed_sets_nothing() {
    let mut book = Book::with(&[Admin]);
    let base = book.then(0, name(1));
    book.op(1, &[base], Kind::Settings { field: Field::Timer, value: 7 });
    let late = book.op(1, &[base], name(2));
    assert_eq!(book.resolve().settings, BTreeMap::from([(Field::Name, 2), (Field::Timer, 7)]));
    book.op(0, &[late], remove_after(1, late));
    assert_eq!(named(&book), Some(2));
    book.op(0, &[base], remove(1));
    assert_eq!(book.resolve().settings, BTreeMap::from([(Field::Name, 1)]));
}

#[test]
fn the_policy_says_who_adds_members() {
    let mut book = Book::with(&[Admin, Member]);
    let base = book.last();
    for (bits, admins, members) in [
        (0, true, false),
        (POLICY_MEMBERS_ADD, true, true),
        (POLICY_OWNERS_ADD, false, false),
        (3, true, true),
    ] {
        let set = book.op(0, &[base], policy(bits));
        let acts = [
            book.op(1, &[set], add(3, Member)),
            book.op(2, &[set], add(3, Member)),
            book.op(2, &[set], add(4, Admin)),
            book.op(2, &[set], name(9)),
        ];
        assert_eq!(acts.map(|id| book.counts(id).is_ok()), [admins, members, false, false], "{bits}");
    }
}
