//! Rule 15.

use super::super::entries::{Entry, entries_count};
use super::super::op::EntryId;
use super::*;

fn entry(id: u32, device: u32, parents: &[u32], head: OpId) -> Entry {
    let parents = parents.iter().copied().map(EntryId).collect();
    Entry { id: EntryId(id), author: User(device / 10), device: Device(device), parents, heads: vec![head] }
}

fn through(device: u32, head: u32) -> Cut {
    Cut::from([(Device(device), (None, Some(EntryId(head))))])
}

fn counting(book: &Book, entries: &[Entry]) -> Vec<u32> {
    let counts = entries_count(book.group, &book.ops, entries);
    counts.into_iter().filter(|(_, counts)| *counts).map(|(id, _)| id.0).collect()
}

/// Four in a row, and one that stands on the first alone.
fn log(head: OpId) -> Vec<Entry> {
    let mut log = vec![entry(0, 10, &[], head)];
    log.extend((1..4).map(|id| entry(id, 10, &[id - 1], head)));
    log.push(entry(4, 10, &[0], head));
    log
}

#[test]
fn the_author_is_in_where_the_heads_are() {
    let book = Book::with(&[Member]);
    let entries = [entry(0, 10, &[], OpId(1)), entry(1, 10, &[], OpId(0)), entry(2, 10, &[], OpId(9))];
    assert_eq!(counting(&book, &entries), [0]);
}

#[test]
fn of_removals_that_the_heads_do_not_know_some_cut_covers_it() {
    let mut book = Book::with(&[Member]);
    let base = book.last();
    let with = |head| Kind::Remove { user: User(1), cut: Some(through(10, head)) };
    let first = book.op(0, &[base], with(1));
    assert_eq!(counting(&book, &log(base)), [0, 1]);
    book.op(0, &[base], with(2));
    book.op(0, &[base], remove_all(1));
    assert_eq!(counting(&book, &log(base)), [0, 1, 2], "the union");
    let again = book.op(0, &[first], add(1, Member));
    assert_eq!(
        counting(&book, &[entry(7, 10, &[], again)]),
        [] as [u32; 0],
        "the other two are not known to it"
    );
}

#[test]
fn a_removal_in_the_past_of_the_heads_is_no_matter() {
    let mut book = Book::with(&[Member]);
    let gone = book.then(0, remove_all(1));
    let again = book.then(0, add(1, Member));
    assert_eq!(counting(&book, &[entry(0, 10, &[], gone), entry(1, 10, &[], again)]), [1]);
}

#[test]
fn removals_that_do_not_count_and_leaves_are_no_matter() {
    let mut book = Book::with(&[Member, Member]);
    let base = book.last();
    book.op(2, &[base], remove_all(1));
    book.op(1, &[base], leave());
    assert_eq!(counting(&book, &log(base)), [0, 1, 2, 3, 4]);
    book.op(0, &[base], remove(1));
    assert_eq!(counting(&book, &log(base)), [] as [u32; 0], "no cut covers no entry");
}

#[test]
fn of_revocations_of_the_device_every_cut_covers_it() {
    let mut book = Book::with(&[Member]);
    let base = book.last();
    book.op(0, &[base], revoke(10, Some(through(10, 2))));
    assert_eq!(counting(&book, &log(base)), [0, 1, 2]);
    book.op(0, &[base], revoke(10, Some(through(10, 1))));
    book.op(0, &[base], revoke(11, None));
    assert_eq!(counting(&book, &log(base)), [0, 1]);
    book.op(0, &[base], Kind::Remove { user: User(1), cut: Some(through(10, 4)) });
    assert_eq!(counting(&book, &log(base)), [0], "both kinds");
    assert_eq!(counting(&book, &[entry(0, 10, &[], book.last())]), [] as [u32; 0]);
}
