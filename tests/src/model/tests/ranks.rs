//! Rules 10 to 13 and 16: live grants, roles, generations, acting owners, the cap.

use super::*;

#[test]
fn rule_10_a_killer_that_is_killed_kills_nothing() {
    let mut book = Book::with(&[Admin, Member]);
    let promoted = book.then(1, set(2, Admin));
    let added = book.op(2, &[promoted], add(3, Member));
    let by_admin = book.op(1, &[promoted], remove(2));
    assert_eq!(book.counts(added), Err(Rule::Killed));
    book.op(0, &[promoted], remove(1));
    assert_eq!([book.counts(by_admin), book.counts(added)], [Err(Rule::Killed), Ok(())]);
    assert_eq!(book.members(), [(0, Owner, 0), (2, Admin, 2), (3, Member, 3)]);
}

#[test]
fn rule_11_a_removal_ends_grants_before_and_beside_it() {
    let mut book = Book::with(&[Admin, Member]);
    let base = book.last();
    let removal = book.op(0, &[base], remove(2));
    book.op(1, &[base], set(2, Admin));
    assert_eq!(book.members(), [(0, Owner, 0), (1, Admin, 1)]);
    book.op(0, &[removal], add(2, Member));
    assert_eq!(book.members(), [(0, Owner, 0), (1, Admin, 1), (2, Member, 1)]);
}

/// One admin was removed, and pretends not to know it, to keep out whom the other adds.
#[test]
fn rule_11_who_was_already_removed_ends_no_later_grant() {
    let mut book = Book::with(&[Admin, Admin, Member]);
    let base = book.last();
    let gone = book.op(2, &[base], remove(1));
    let out = book.op(2, &[gone], remove(3));
    let again = book.op(2, &[out], add(3, Member));
    let late = book.op(1, &[base], remove(3));
    assert_eq!([book.counts(late), book.counts(again)], [Ok(()); 2]);
    assert_eq!(book.members(), [(0, Owner, 0), (2, Admin, 1), (3, Member, 2)]);
}

/// A Leave of the stay before does not end the one after.
#[test]
fn rule_11_nor_does_an_older_leave() {
    let mut book = Book::with(&[Member]);
    let base = book.last();
    let gone = book.op(0, &[base], remove(1));
    book.op(0, &[gone], add(1, Member));
    book.by_device(11, &[base], leave());
    assert_eq!(book.members(), [(0, Owner, 0), (1, Member, 1)]);
}

/// Unknown is not removed: user 2 was added where the new grant does not look.
#[test]
fn rule_11_who_is_unknown_there_does_end_a_grant() {
    let mut book = Book::with(&[Member]);
    let base = book.last();
    let newcomer = book.op(0, &[base], add(2, Admin));
    book.op(2, &[newcomer], remove(1));
    book.by_device(1, &[base], set(1, Admin));
    assert_eq!(book.members(), [(0, Owner, 0), (2, Admin, 1)]);
}

#[test]
fn rule_12_the_lowest_of_the_maximal_and_its_least_generation() {
    let mut book = Book::with(&[Admin, Member, Admin]);
    let base = book.last();
    let three = [book.op(0, &[base], set(2, Owner)), book.op(1, &[base], set(2, Admin))];
    assert_eq!(book.members()[2], (2, Owner, 1), "the admin stood below that");
    let third = book.op(0, &[base], set(2, Admin));
    assert_eq!(book.members()[2], (2, Admin, 1));
    book.op(3, &[three[0], three[1], third], set(2, Member));
    assert_eq!(book.members()[2], (2, Member, 2));
}

/// An admin who does not know an owner, or pretends not to, does not lower them by adding them.
#[test]
fn rule_12_an_add_beside_the_elders_grant_takes_nothing_from_it() {
    let mut book = Book::with(&[Admin]);
    let base = book.last();
    book.op(0, &[base], add(2, Owner));
    assert_eq!(book.members()[2], (2, Owner, 1));
    book.op(1, &[base], add(2, Member));
    assert_eq!(book.members()[2], (2, Owner, 1));
    book.op(0, &[base], add(2, Admin));
    assert_eq!(book.members()[2], (2, Admin, 1), "an equal's or elder's does");
}

#[test]
fn rule_12_without_the_promotion_that_fell_the_older_grant_holds() {
    let mut book = Book::with(&[Admin, Member]);
    let base = book.last();
    book.op(1, &[base], set(2, Admin));
    book.op(0, &[base], remove(1));
    assert_eq!(book.members(), [(0, Owner, 0), (2, Member, 1)]);
}

/// Two owners of one generation remove each other, once the creator is gone.
#[test]
fn rule_13_the_first_of_the_rest_acts() {
    let mut book = Book::with(&[Owner, Owner, Member, Admin, Admin]);
    let base = book.then(0, leave());
    book.op(1, &[base], remove(2));
    let both = [book.last(), book.op(2, &[base], remove(1))];
    let resolved = book.resolve();
    assert_eq!(book.members(), [(3, Member, 1), (4, Admin, 1), (5, Admin, 1)]);
    assert_eq!(resolved.acting, Some(User(4)), "the grant with the lesser hash");
    let only_owners = Kind::Settings { field: super::super::Field::Policy, value: 2 };
    let both = [book.op(4, &both, only_owners)];
    let acts = [book.op(4, &both, add(6, Member)), book.op(5, &both, add(7, Member))];
    assert_eq!(acts.map(|id| book.counts(id)), [Ok(()), Err(Rule::Allowed)]);
    let raised = book.op(4, &both, set(3, Owner));
    assert_eq!(book.counts(raised), Err(Rule::Allowed), "above its own recorded role");
    book.edit(OpId(4)).hash = 100;
    assert_eq!(book.resolve().acting, Some(User(5)));
}

/// The removal of one owner turns out to be void; what the acting owner did stands.
#[test]
fn rule_13_what_was_done_stands_if_an_owner_returns() {
    let mut book = Book::with(&[Owner, Owner, Admin]);
    let base = book.last();
    let left = book.op(0, &[base], leave());
    let both = [book.op(1, &[left], remove(2)), book.op(2, &[left], remove(1))];
    let policy = Kind::Settings { field: super::super::Field::Policy, value: 1 };
    let acted = book.op(3, &both, policy);
    assert_eq!(book.resolve().acting, Some(User(3)));
    book.by_device(1, &[base], remove(1));
    assert_eq!(book.members(), [(2, Owner, 1), (3, Admin, 1)]);
    assert_eq!((book.counts(acted), book.resolve().acting), (Ok(()), None));
}

#[test]
fn rule_4_the_granting_authors_generation_counts() {
    let mut book = Book::with(&[Owner]);
    book.then(1, set(0, Admin));
    assert_eq!(book.members(), [(0, Owner, 0), (1, Owner, 1)], "nobody lowers an elder");
    book.op(0, &[OpId(1)], set(0, Admin));
    assert_eq!(book.members(), [(0, Admin, 1), (1, Owner, 1)]);
    book.then(1, set(0, Owner));
    assert_eq!(book.members(), [(0, Owner, 2), (1, Owner, 1)], "the creator came back as a junior");
}

#[test]
fn rule_16_above_the_cap_nobody_is_added() {
    let mut book = Book::with(&[Admin]);
    book.group.cap = 3;
    let base = book.last();
    let beside = [book.op(0, &[base], add(2, Member)), book.op(1, &[base], add(3, Member))];
    assert_eq!(book.members().len(), 4, "concurrent Adds may exceed it");
    let above = book.op(0, &beside, add(4, Member));
    let full = book.op(0, &beside[..1], add(4, Member));
    assert_eq!([book.counts(above), book.counts(full)], [Err(Rule::Cap); 2]);
}
