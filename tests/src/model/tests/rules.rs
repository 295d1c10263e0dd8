//! One small example for each rule: form, what is allowed, what is killed, who is in.

use super::*;

#[test]
fn rule_1_form() {
    let mut book = Book::with(&[Admin, Admin]);
    let base = book.last();
    let nine: Vec<OpId> = (0..9).map(|_| book.op(0, &[base], leave_to(1))).collect();
    let bad = [
        book.op(0, &[], Kind::Create),
        book.op(0, &[base], Kind::Create),
        book.op(0, &[], add(5, Member)),
        book.op(0, &[base, OpId(0)], add(5, Member)),
        book.op(0, &[base, base], add(5, Member)),
        book.op(0, &nine, add(5, Member)),
        book.op(0, &[OpId(99)], add(5, Member)),
    ];
    let eight = book.op(0, &nine[1..], add(6, Member));
    let on_top = book.op(0, &[bad[0]], add(5, Member));
    assert!(bad.iter().all(|id| book.counts(*id) == Err(Rule::Form)));
    assert_eq!(book.counts(on_top), Err(Rule::Form));
    assert_eq!(book.counts(eight), Err(Rule::Allowed), "its form is good, and its author has left");
}

#[test]
fn rule_1_signature_and_number() {
    let mut book = Book::with(&[Admin]);
    let (unsigned, numbered) = (book.then(0, add(2, Member)), book.op(0, &[OpId(1)], add(3, Member)));
    book.edit(unsigned).signed = false;
    book.edit(numbered).number = super::super::NUMBER_MAX + 1;
    assert_eq!([book.counts(unsigned), book.counts(numbered)], [Err(Rule::Form); 2]);
    let good = Op { signed: true, ..book.edit(unsigned).clone() };
    book.ops.push(good);
    assert_eq!(book.counts(unsigned), Ok(()), "a bad signature refuses that delivery only");
}

#[test]
fn rule_5_roles() {
    let book = Book::with(&[Admin, Member]);
    let base = book.last();
    let tries = [
        (1, add(3, Admin), Ok(())),
        (1, add(3, Owner), Err(Rule::Allowed)),
        (1, add(2, Member), Err(Rule::Allowed)),
        (1, set(2, Admin), Ok(())),
        (1, set(2, Owner), Err(Rule::Allowed)),
        (1, set(2, Member), Ok(())),
        (2, set(2, Member), Err(Rule::Allowed)),
        (1, set(3, Member), Err(Rule::Allowed)),
        (1, set(1, Member), Ok(())),
        (1, remove(0), Err(Rule::Allowed)),
        (1, remove(1), Err(Rule::Allowed)),
        (1, remove(2), Ok(())),
        (2, remove(1), Err(Rule::Allowed)),
        (2, add(3, Member), Err(Rule::Allowed)),
        (2, set(2, Admin), Err(Rule::Allowed)),
        (2, leave(), Ok(())),
        (3, add(4, Member), Err(Rule::Allowed)),
    ];
    for (author, kind, expected) in tries {
        let mut book = Book { group: book.group, ops: book.ops.clone() };
        let id = book.op(author, &[base], kind.clone());
        assert_eq!(book.counts(id), expected, "{author}: {kind:?}");
    }
}

#[test]
fn rule_6_the_last_owner_stays_or_names_a_successor() {
    let mut book = Book::with(&[Admin]);
    let base = book.last();
    let (left, lowered) = (book.op(0, &[base], leave()), book.op(0, &[base], set(0, Admin)));
    assert_eq!([book.counts(left), book.counts(lowered)], [Err(Rule::LastOwner); 2]);
    let left = book.op(0, &[base], leave_to(1));
    assert_eq!(book.counts(left), Ok(()));
    assert_eq!(book.members(), [(1, Owner, 1)]);
}

#[test]
fn rule_6_who_is_alone_may_go() {
    let mut book = Book::with(&[]);
    let base = book.last();
    let left = book.op(0, &[base], leave());
    assert_eq!(book.counts(left), Ok(()));
    assert_eq!(book.members(), []);
    // Beside somebody who comes, the one who goes leaves them in charge.
    book.op(0, &[base], add(1, Member));
    assert_eq!(book.members(), [(1, Member, 1)]);
}

#[test]
fn rule_6_one_of_two_owners_may_go() {
    let mut book = Book::with(&[Owner, Member]);
    book.then(0, leave());
    assert_eq!(book.members(), [(1, Owner, 1), (2, Member, 1)]);
}

#[test]
fn rule_7_a_fence_needs_a_lower_rank() {
    let mut book = Book::with(&[Admin, Admin]);
    let gone = book.then(0, remove(1));
    let peer = book.op(2, &[gone], remove(1));
    let senior = book.op(0, &[gone], remove(1));
    let nobody = book.op(0, &[gone], remove(7));
    assert_eq!(book.counts(peer), Err(Rule::Fence));
    assert_eq!(book.counts(senior), Ok(()));
    assert_eq!(book.counts(nobody), Err(Rule::Fence));
}

/// The fence ends a concurrent Add of the same user.
#[test]
fn rule_7_a_fence_works() {
    let mut book = Book::with(&[Admin, Member]);
    let gone = book.then(0, remove(2));
    book.op(1, &[gone], add(2, Member));
    assert_eq!(book.members().len(), 3);
    book.op(0, &[gone], remove(2));
    assert_eq!(book.members(), [(0, Owner, 0), (1, Admin, 1)]);
}

/// User 2 is an admin by user 1's grace, which the creator takes back to where it was none.
#[test]
fn rule_8_what_no_grant_supports_falls() {
    let mut book = Book::with(&[Admin]);
    let base = book.last();
    let grant = book.op(1, &[base], add(2, Admin));
    let act = book.op(2, &[grant], add(3, Member));
    book.op(0, &[base], remove_all(1));
    assert_eq!([book.counts(grant), book.counts(act)], [Err(Rule::Killed), Err(Rule::Supported)]);
    assert_eq!(book.members(), [(0, Owner, 0)]);
}

#[test]
fn rule_8_one_of_two_grants_supports() {
    let mut book = Book::with(&[Admin, Admin]);
    let base = book.last();
    let grants = [book.op(1, &[base], add(3, Admin)), book.op(2, &[base], add(3, Admin))];
    let act = book.op(3, &grants, add(4, Member));
    book.op(0, &[base], remove(1));
    assert_eq!([book.counts(grants[0]), book.counts(act)], [Err(Rule::Killed), Ok(())]);
}

#[test]
fn rule_9_a_cut_spares_what_it_names() {
    let mut book = Book::with(&[Admin]);
    let base = book.last();
    let first = book.op(1, &[base], add(2, Member));
    let second = book.op(1, &[first], add(3, Member));
    book.op(0, &[first], remove_after(1, first));
    assert_eq!([book.counts(first), book.counts(second)], [Ok(()), Err(Rule::Killed)]);
    assert_eq!(book.members(), [(0, Owner, 0), (2, Member, 2)]);
}

/// What another device's head covers does not spare a device that the cut does not name.
#[test]
fn rule_9_a_cut_spares_only_the_devices_that_it_names() {
    let mut book = Book::with(&[Admin]);
    let base = book.last();
    let other = book.by_device(11, &[base], add(2, Member));
    let head = book.op(1, &[other], add(3, Member));
    book.op(0, &[head], remove_after(1, head));
    assert_eq!([book.counts(other), book.counts(head)], [Err(Rule::Killed), Ok(())]);
}

/// Beside a peer's removal of its author.
#[test]
fn rule_3_a_set_role_is_a_revocation_only_if_it_lowers() {
    let mut book = Book::with(&[Admin, Admin, Member, Admin]);
    let base = book.last();
    let (raised, lowered) = (book.op(1, &[base], set(3, Admin)), book.op(1, &[base], set(4, Member)));
    book.op(2, &[base], remove(1));
    assert_eq!([book.counts(raised), book.counts(lowered)], [Err(Rule::Killed), Ok(())]);
}

/// Else what it covers would not be known where it is taken in.
#[test]
fn rule_15_a_cut_knows_what_it_cuts_at() {
    let mut book = Book::with(&[Admin]);
    let base = book.last();
    let first = book.op(1, &[base], add(2, Member));
    let unknown =
        [book.op(0, &[base], remove_after(1, OpId(9))), book.op(0, &[base], remove_after(1, first))];
    let through = Cut::from([(Device(10), (Some(first), None))]);
    let revoked = book.op(0, &[base], revoke(10, Some(through)));
    assert_eq!(unknown.map(|id| book.counts(id)), [Err(Rule::Cut); 2]);
    assert_eq!([book.counts(revoked), book.counts(first)], [Err(Rule::Cut), Ok(())]);
    let knows = book.op(0, &[first], remove_after(1, first));
    assert_eq!([book.counts(knows), book.counts(first)], [Ok(()); 2]);
}

#[test]
fn rule_9_a_cut_takes_back_what_was_known() {
    let mut book = Book::with(&[Admin]);
    let first = book.then(1, add(2, Member));
    let removal = book.op(0, &[first], remove(1));
    assert_eq!([book.counts(first), book.counts(removal)], [Ok(()); 2]);
    book.edit(removal).kind = remove_all(1);
    assert_eq!([book.counts(first), book.counts(removal)], [Err(Rule::Killed), Ok(())]);
}

#[test]
fn rule_9_what_knows_the_revocation_is_not_killed() {
    let mut book = Book::with(&[Admin]);
    book.then(0, remove_all(1));
    book.then(0, add(1, Admin));
    let act = book.then(1, add(2, Member));
    assert_eq!(book.counts(act), Ok(()));
}

/// A lowering takes only what the lower role could not do.
#[test]
fn rule_9_the_right_that_it_needs() {
    let mut book = Book::with(&[Owner]);
    let base = book.last();
    let (small, great) = (book.op(1, &[base], add(2, Member)), book.op(1, &[base], add(3, Owner)));
    let lowering = book.op(0, &[base], set(1, Admin));
    assert_eq!(
        [small, great, lowering].map(|id| book.counts(id)),
        [Ok(()), Err(Rule::Killed), Ok(())],
        "an admin could add a member"
    );
}

#[test]
fn rule_9_leave_kills_nothing() {
    let mut book = Book::with(&[Admin]);
    let base = book.last();
    let added = book.by_device(11, &[base], add(2, Member));
    book.op(1, &[base], leave());
    assert_eq!(book.counts(added), Ok(()));
    assert_eq!(book.members(), [(0, Owner, 0), (2, Member, 2)]);
}

#[test]
fn rule_9_a_revoked_device_is_cut_whatever_it_does() {
    let mut book = Book::with(&[Owner]);
    let base = book.last();
    let before = book.op(0, &[base], add(2, Member));
    let after = book.op(0, &[before], remove(1));
    let other = book.by_device(1, &[base], add(3, Member));
    let cut = Cut::from([(Device(0), (Some(before), None))]);
    let revoked = book.op(7, &[before], revoke(0, Some(cut)));
    let on_top = book.op(0, &[revoked], add(4, Member));
    let ids = [before, after, other, revoked, on_top];
    let expected = [Ok(()), Err(Rule::Killed), Ok(()), Ok(()), Err(Rule::Allowed)];
    assert_eq!(ids.map(|id| book.counts(id)), expected);
    assert_eq!(book.members().len(), 4, "the Create stands, though it is beyond no cut");
}
