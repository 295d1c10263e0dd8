//! The outcomes to expect, as the rules list them.

use super::*;

#[test]
fn equal_admins_who_remove_each_other_are_both_out() {
    let mut book = Book::with(&[Admin, Admin]);
    let base = book.last();
    let (a, b) = (book.op(1, &[base], remove(2)), book.op(2, &[base], remove(1)));
    assert_eq!([book.counts(a), book.counts(b)], [Ok(()), Ok(())]);
    assert_eq!(book.members(), [(0, Owner, 0)]);
}

#[test]
fn of_an_equal_three_cycle_all_are_out() {
    let mut book = Book::with(&[Admin, Admin, Admin]);
    let base = book.last();
    for (author, target) in [(1, 2), (2, 3), (3, 1)] {
        book.op(author, &[base], remove(target));
    }
    assert_eq!(book.members(), [(0, Owner, 0)]);
}

#[test]
fn a_promoted_puppet_does_not_topple_its_elder() {
    let mut book = Book::with(&[Member]);
    let promoted = book.then(0, set(1, Owner));
    for kind in [remove(0), set(0, Member), set(0, Owner), add(0, Member)] {
        let turn = book.op(1, &[promoted], kind);
        assert_eq!(book.counts(turn), Err(Rule::Allowed));
    }
    assert_eq!(book.members(), [(0, Owner, 0), (1, Owner, 1)]);
}

/// The elder is an admin whom the creator added; the puppet's own puppet does no better.
#[test]
fn nor_does_the_puppet_of_a_puppet() {
    let mut book = Book::with(&[Admin, Member, Member]);
    book.then(1, set(2, Admin));
    book.then(2, set(3, Admin));
    let turns = [book.then(3, remove(1)), book.then(3, remove(2)), book.then(2, remove(1))];
    assert_eq!(turns.map(|turn| book.counts(turn)), [Err(Rule::Allowed); 3]);
    assert_eq!(book.members(), [(0, Owner, 0), (1, Admin, 1), (2, Admin, 2), (3, Admin, 3)]);
}

#[test]
fn the_removal_stands_if_a_peer_demotes_the_remover() {
    let mut book = Book::with(&[Admin, Admin, Member]);
    let base = book.last();
    let removal = book.op(1, &[base], remove(3));
    book.op(2, &[base], set(1, Member));
    assert_eq!(book.counts(removal), Ok(()));
    assert_eq!(book.members(), [(0, Owner, 0), (1, Member, 2), (2, Admin, 1)]);
}

#[test]
fn the_removal_is_void_if_a_senior_demotes_the_remover() {
    let mut book = Book::with(&[Admin, Admin, Member]);
    let base = book.last();
    let removal = book.op(1, &[base], remove(3));
    book.op(0, &[base], set(1, Member));
    assert_eq!(book.counts(removal), Err(Rule::Killed));
    assert_eq!(book.members(), [(0, Owner, 0), (1, Member, 1), (2, Admin, 1), (3, Member, 1)]);
}

/// So does an Add, as it is no revocation: here a peer is enough.
#[test]
fn what_is_no_revocation_falls_to_a_peer() {
    let mut book = Book::with(&[Admin, Admin]);
    let base = book.last();
    let added = book.op(1, &[base], add(3, Member));
    book.op(2, &[base], remove(1));
    assert_eq!(book.counts(added), Err(Rule::Killed));
    assert_eq!(book.members(), [(0, Owner, 0), (2, Admin, 1)]);
}
