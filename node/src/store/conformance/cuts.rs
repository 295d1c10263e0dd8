use super::Case;
use super::fixtures::*;
use crate::store::{CutReason, NodeTx, StoredEntry};

const ALL: usize = usize::MAX;

/// The number `seq` of device `author`, at time `effective`.
fn numbered(author: u8, seq: u64, effective: u64) -> StoredEntry {
    stored(entry(1, author, seq, &[], "text"), effective)
}

/// Two devices that take turns, numbers 1 to 4.
fn turns() -> Vec<StoredEntry> {
    (1..5).flat_map(|seq| [numbered(1, seq, 2 * seq), numbered(2, seq, 2 * seq + 1)]).collect()
}

fn fill(tx: &mut dyn NodeTx) {
    for stored in turns() {
        tx.put_entry(&stored).unwrap();
    }
}

/// Device and number of the last entries.
fn shown(tx: &dyn NodeTx, limit: usize) -> Vec<(u8, u64)> {
    let author = |stored: &StoredEntry| if stored.entry.header.device == device(1) { 1 } else { 2 };
    let history = tx.history(&conversation(1), None, limit).unwrap();
    history.iter().map(|stored| (author(stored), stored.entry.header.seq)).collect()
}

pub(super) fn cuts_come_by_device_the_newest_of_each() -> Case {
    Case {
        fill: |tx| {
            for (n, through) in [(2, 7), (0, 0), (1, u64::MAX), (2, 3)] {
                tx.put_cut(&conversation(1), &device(n), &cut(through, CutReason::Revoked)).unwrap();
            }
            tx.put_cut(&conversation(1), &device(2), &cut(4, CutReason::Forked)).unwrap();
        },
        check: |tx| {
            let mut cuts = [
                (device(0), cut(0, CutReason::Revoked)),
                (device(1), cut(u64::MAX, CutReason::Revoked)),
                (device(2), cut(4, CutReason::Forked)),
            ];
            cuts.sort_by_key(|(device, _)| *device);
            assert_eq!(tx.cuts(&conversation(1)).unwrap(), cuts);
            for (device, cut) in cuts {
                assert_eq!(tx.cut(&conversation(1), &device).unwrap(), Some(cut));
            }
            assert_eq!(tx.cut(&conversation(1), &device(3)).unwrap(), None);
            assert_eq!(tx.cut(&conversation(2), &device(1)).unwrap(), None);
            assert_eq!(tx.cuts(&conversation(2)).unwrap(), []);
        },
    }
}

pub(super) fn history_leaves_out_what_is_beyond_a_cut() -> Case {
    Case {
        fill: |tx| {
            fill(tx);
            tx.put_cut(&conversation(1), &device(1), &cut(2, CutReason::Forked)).unwrap();
            tx.put_cut(&conversation(2), &device(2), &cut(0, CutReason::Revoked)).unwrap();
        },
        check: |tx| {
            assert_eq!(shown(tx, ALL), [(1, 1), (2, 1), (1, 2), (2, 2), (2, 3), (2, 4)]);
            // All other reads give them.
            let beyond = numbered(1, 4, 8);
            assert_eq!(tx.entry(&beyond.entry.id).unwrap().as_ref(), Some(&beyond));
            assert_eq!(tx.entries_at(&conversation(1), &device(1), 4).unwrap(), [beyond]);
            assert_eq!(tx.entries_of(&conversation(1), &device(1), 1, ALL).unwrap().len(), 4);
            assert_eq!(tx.heads(&conversation(1), ALL).unwrap().len(), 8);
        },
    }
}

pub(super) fn a_page_is_filled_with_what_counts() -> Case {
    Case {
        fill: |tx| {
            fill(tx);
            tx.put_cut(&conversation(1), &device(2), &cut(1, CutReason::Revoked)).unwrap();
        },
        check: |tx| {
            assert_eq!(shown(tx, 3), [(1, 2), (1, 3), (1, 4)]);
            let before = turns()[5].entry.clone();
            let place = undertone_protocol::log::OrderKey {
                effective: t(7),
                device: before.header.device,
                entry: before.id,
            };
            let page = tx.history(&conversation(1), Some(&place), 3).unwrap();
            assert_eq!(page, [numbered(2, 1, 3), numbered(1, 2, 4), numbered(1, 3, 6)]);
        },
    }
}

pub(super) fn a_cut_that_moves_brings_entries_back() -> Case {
    Case {
        fill: |tx| {
            fill(tx);
            tx.put_cut(&conversation(1), &device(1), &cut(0, CutReason::Forked)).unwrap();
            assert_eq!(shown(tx, ALL), [(2, 1), (2, 2), (2, 3), (2, 4)]);
            tx.put_cut(&conversation(1), &device(1), &cut(3, CutReason::Revoked)).unwrap();
            // What comes later is measured by the cut, too.
            tx.put_entry(&numbered(1, 5, 20)).unwrap();
            tx.put_entry(&stored(entry(1, 1, 3, &[], "the other of a fork"), 21)).unwrap();
        },
        check: |tx| {
            assert_eq!(shown(tx, 4), [(1, 3), (2, 3), (2, 4), (1, 3)]);
            assert_eq!(shown(tx, ALL).len(), 8);
        },
    }
}
