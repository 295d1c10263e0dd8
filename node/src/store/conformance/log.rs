use undertone_protocol::entry::{Content, SignedEntry, Text};
use undertone_protocol::ids::EntryId;
use undertone_protocol::log::OrderKey;

use super::Case;
use super::fixtures::*;
use crate::store::{NodeTx, StoredEntry};

const ALL: usize = usize::MAX;

fn single(author: u8, text: &str) -> SignedEntry {
    entry(1, author, 1, &[], text)
}

fn texts(entries: &[StoredEntry]) -> Vec<u64> {
    entries.iter().map(|stored| stored.effective.as_ms()).collect()
}

fn place(stored: &StoredEntry) -> OrderKey {
    OrderKey { effective: stored.effective, device: stored.entry.header.device, entry: stored.entry.id }
}

pub(super) fn entries_of_one_number_come_by_id() -> Case {
    Case {
        fill: |tx| {
            for text in ["a", "b", "c"] {
                tx.put_entry(&stored(single(1, text), 5)).unwrap();
            }
            tx.put_entry(&stored(single(2, "another device"), 5)).unwrap();
            tx.put_entry(&stored(entry(1, 1, 2, &[], "another number"), 5)).unwrap();
            tx.put_entry(&stored(entry(2, 1, 1, &[], "another conversation"), 5)).unwrap();
        },
        check: |tx| {
            let mut fork = ["a", "b", "c"].map(|text| stored(single(1, text), 5));
            fork.sort_by_key(|stored| stored.entry.id);
            assert_eq!(tx.entries_at(&conversation(1), &device(1), 1).unwrap(), fork);
            assert_eq!(tx.entries_at(&conversation(1), &device(1), 3).unwrap(), []);
            assert_eq!(tx.entry(&single(1, "b").id).unwrap(), Some(stored(single(1, "b"), 5)));
            assert_eq!(tx.entry(&EntryId::new([1; 32])).unwrap(), None);
        },
    }
}

pub(super) fn entries_of_a_device_come_by_number_then_id() -> Case {
    Case {
        fill: |tx| {
            for (seq, text) in [(9, "i"), (2, "b"), (1, "a"), (2, "c"), (u64::MAX, "z")] {
                tx.put_entry(&stored(entry(1, 1, seq, &[], text), 5)).unwrap();
            }
            tx.put_entry(&stored(entry(1, 2, 2, &[], "another device"), 5)).unwrap();
            tx.put_entry(&stored(entry(2, 1, 2, &[], "another conversation"), 5)).unwrap();
        },
        check: |tx| {
            let mut all = [(1, "a"), (2, "b"), (2, "c"), (9, "i"), (u64::MAX, "z")]
                .map(|(seq, text)| stored(entry(1, 1, seq, &[], text), 5));
            all.sort_by_key(|stored| (stored.entry.header.seq, stored.entry.id));
            let from = |from, limit| tx.entries_of(&conversation(1), &device(1), from, limit).unwrap();
            assert_eq!(from(0, ALL), all);
            assert_eq!(from(2, ALL), all[1..]);
            assert_eq!(from(2, 3), all[1..4]);
            assert_eq!(from(3, 1), all[3..4]);
            assert_eq!(from(u64::MAX, ALL), all[4..]);
            assert_eq!(from(1, 0), []);
            assert_eq!(tx.entries_of(&conversation(1), &device(3), 0, ALL).unwrap(), []);
        },
    }
}

/// Ties of time are broken by device, then by id.
fn tied() -> Vec<StoredEntry> {
    let mut entries = Vec::new();
    for effective in [3, 1, 2] {
        for author in [2, 0, 1] {
            for text in ["a", "b"] {
                entries.push(stored(single(author, &format!("{text}{effective}")), effective));
            }
        }
    }
    entries
}

pub(super) fn history_is_in_order_and_paged() -> Case {
    Case {
        fill: |tx| {
            for stored in tied() {
                tx.put_entry(&stored).unwrap();
            }
            tx.put_entry(&stored(entry(2, 1, 1, &[], "another conversation"), 2)).unwrap();
        },
        check: |tx| {
            let mut all = tied();
            all.sort_by_key(place);
            let page =
                |before: Option<&OrderKey>, limit| tx.history(&conversation(1), before, limit).unwrap();
            assert_eq!(page(None, ALL), all);
            assert_eq!(page(None, 5), all[13..]);
            assert_eq!(page(Some(&place(&all[13])), 5), all[8..13]);
            assert_eq!(page(Some(&place(&all[3])), 5), all[..3]);
            assert_eq!(page(Some(&place(&all[0])), 5), []);
            assert_eq!(page(None, 0), []);
        },
    }
}

pub(super) fn the_largest_times_keep_their_place() -> Case {
    const TIMES: [u64; 5] = [0, 1, (1 << 63) - 1, 1 << 63, u64::MAX];
    Case {
        fill: |tx| {
            for effective in TIMES {
                tx.put_entry(&stored(single(1, &effective.to_string()), effective)).unwrap();
            }
        },
        check: |tx| {
            assert_eq!(texts(&tx.history(&conversation(1), None, ALL).unwrap()), TIMES);
            let last = OrderKey { effective: t(u64::MAX), device: device(1), entry: EntryId::new([0; 32]) };
            assert_eq!(texts(&tx.history(&conversation(1), Some(&last), ALL).unwrap()), TIMES[..4]);
        },
    }
}

/// `root` ← `left`, `right` ← `merge`.
fn diamond() -> [SignedEntry; 4] {
    let root = single(0, "root");
    let left = entry(1, 1, 1, &[root.id], "left");
    let right = entry(1, 2, 1, &[root.id, root.id], "right");
    let merge = entry(1, 3, 1, &[left.id, right.id], "merge");
    [root, left, right, merge]
}

fn heads(tx: &dyn NodeTx, limit: usize) -> Vec<EntryId> {
    tx.heads(&conversation(1), limit).unwrap()
}

pub(super) fn heads_are_what_no_held_entry_follows() -> Case {
    Case {
        fill: |tx| {
            let [root, left, right, merge] = diamond();
            tx.put_entry(&stored(left.clone(), 2)).unwrap();
            assert_eq!(heads(tx, ALL), [left.id]);
            // It came after its child.
            tx.put_entry(&stored(root, 1)).unwrap();
            assert_eq!(heads(tx, ALL), [left.id]);
            tx.put_entry(&stored(right.clone(), 3)).unwrap();
            assert_eq!(heads(tx, ALL), [right.id, left.id]);
            assert_eq!(heads(tx, 1), [right.id]);
            tx.put_entry(&stored(merge.clone(), 4)).unwrap();
            assert_eq!(heads(tx, ALL), [merge.id]);
            tx.put_entry(&stored(single(2, "beside"), 0)).unwrap();
        },
        check: |tx| {
            let [root, left, right, merge] = diamond();
            assert_eq!(heads(tx, ALL), [merge.id, single(2, "beside").id]);
            let mut of_root = [left.id, right.id];
            of_root.sort();
            assert_eq!(tx.children(&root.id).unwrap(), of_root);
            assert_eq!(tx.children(&merge.id).unwrap(), []);
        },
    }
}

pub(super) fn a_moved_entry_stands_elsewhere() -> Case {
    Case {
        fill: |tx| {
            let [root, left, right, _] = diamond();
            for (entry, effective) in [(root, 1), (left.clone(), 2), (right, 3)] {
                tx.put_entry(&stored(entry, effective)).unwrap();
            }
            tx.put_entry(&stored(left, 9)).unwrap();
        },
        check: |tx| {
            let [root, left, right, _] = diamond();
            let history = tx.history(&conversation(1), None, ALL).unwrap();
            assert_eq!(history, [stored(root.clone(), 1), stored(right.clone(), 3), stored(left.clone(), 9)]);
            assert_eq!(heads(tx, ALL), [left.id, right.id]);
            assert_eq!(tx.children(&root.id).unwrap().len(), 2);
        },
    }
}

fn text(n: u64) -> Content {
    Content::Text(Text::plain(&n.to_string()))
}

/// Entries of one device, with when they expire.
fn vanishing() -> [SignedEntry; 5] {
    [(1, 7), (2, u64::MAX), (3, 3), (4, 7), (5, 5)].map(|(seq, at)| expiring(1, seq, at, text(seq)))
}

/// What expires is found by when it does, until it is dropped; the entry stays.
pub(super) fn what_expires_comes_in_time_and_is_dropped() -> Case {
    Case {
        fill: |tx| {
            let all = vanishing();
            for entry in all.clone() {
                tx.put_entry(&stored(entry, 1)).unwrap();
            }
            tx.put_entry(&stored(expiring(2, 1, 1, text(9)).without_body(), 1)).unwrap();
            tx.drop_body(&all[4].id).unwrap();
            tx.drop_body(&EntryId::new([0xee; 32])).unwrap();
            // It stays dropped, whoever brings it again.
            tx.put_entry(&stored(all[4].clone(), 2)).unwrap();
        },
        check: |tx| {
            let all = vanishing();
            let mut due = [all[0].id, all[3].id];
            due.sort();
            assert_eq!(tx.next_expiry().unwrap(), Some(t(3)));
            assert_eq!(tx.expired(t(2), ALL).unwrap(), []);
            assert_eq!(tx.expired(t(6), ALL).unwrap(), [all[2].id]);
            assert_eq!(tx.expired(t(7), ALL).unwrap(), [all[2].id, due[0], due[1]]);
            assert_eq!(tx.expired(t(u64::MAX), 1).unwrap(), [all[2].id]);
            assert_eq!(tx.expired(t(u64::MAX), ALL).unwrap().len(), 4);
            let dropped = stored(all[4].clone().without_body(), 2);
            assert_eq!(tx.entry(&dropped.entry.id).unwrap(), Some(dropped.clone()));
            assert_eq!(tx.entries_at(&conversation(1), &device(1), 5).unwrap(), [dropped]);
        },
    }
}

pub(super) fn frontiers_come_by_device() -> Case {
    Case {
        fill: |tx| {
            for (n, seq) in [(2, 4), (0, 0), (1, u64::MAX - 3), (2, 5)] {
                tx.put_frontier(&conversation(1), &device(n), &frontier_item(seq)).unwrap();
            }
        },
        check: |tx| {
            let mut frontier =
                [(0, 0), (1, u64::MAX - 3), (2, 5)].map(|(n, seq)| (device(n), frontier_item(seq)));
            frontier.sort_by_key(|(device, _)| *device);
            assert_eq!(tx.frontier(&conversation(1)).unwrap(), frontier);
            assert_eq!(tx.frontier(&conversation(2)).unwrap(), []);
        },
    }
}

pub(super) fn gaps_come_by_device_then_number() -> Case {
    Case {
        fill: |tx| {
            for (n, from, days) in [(2, 9, 1), (1, u64::MAX, 0), (1, 1, 0), (2, 3, 1), (1, 1, u32::MAX)] {
                tx.put_gap(&conversation(1), &device(n), &gap(from, days)).unwrap();
            }
            tx.delete_gap(&conversation(1), &device(2), 9).unwrap();
            tx.delete_gap(&conversation(1), &device(2), 4).unwrap();
            tx.delete_gap(&conversation(2), &device(2), 3).unwrap();
        },
        check: |tx| {
            let mut gaps = [(1, 1, u32::MAX), (1, u64::MAX, 0), (2, 3, 1)]
                .map(|(n, from, days)| (device(n), gap(from, days)));
            gaps.sort_by_key(|(device, gap)| (*device, gap.from));
            assert_eq!(tx.gaps(&conversation(1)).unwrap(), gaps);
            assert_eq!(tx.gaps(&conversation(2)).unwrap(), []);
        },
    }
}
