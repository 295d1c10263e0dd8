use undertone_protocol::entry::{Act, Content, SignedEntry};
use undertone_protocol::ids::EntryId;

use super::Case;
use super::fixtures::*;
use crate::store::{CutReason, NodeTx};

const ALL: usize = usize::MAX;
const TARGET: EntryId = EntryId::new([5; 32]);

fn fill(tx: &mut dyn NodeTx) {
    // The last one first.
    for entry in annotations(TARGET).into_iter().rev() {
        tx.put_entry(&stored(entry, 5)).unwrap();
    }
    tx.put_entry(&stored(annotation(2, 5, TARGET, Act::Drop), 5)).unwrap();
    tx.put_entry(&stored(annotation(1, 9, EntryId::new([6; 32]), reaction("of another entry")), 5)).unwrap();
}

/// Author, number and act of what counts.
fn counting(tx: &dyn NodeTx, limit: usize) -> Vec<(u8, u64, Act)> {
    let describe = |entry: SignedEntry| {
        let author = if entry.header.device == device(1) { 1 } else { 2 };
        match entry.body.content {
            Content::Annotation(annotation) => (author, entry.header.seq, annotation.act),
            other => panic!("{other:?}"),
        }
    };
    let counting = tx.annotations(&conversation(1), &TARGET, limit).unwrap();
    counting.into_iter().map(|stored| describe(stored.entry)).collect()
}

fn edit() -> Act {
    Act::Edit(undertone_protocol::entry::Text::plain("b"))
}

/// Reactions of devices 1 and 2, in the order of the devices.
fn reactions(of_1: u64) -> Vec<(u8, u64, Act)> {
    let mut all = [
        (device(1), (1, of_1, reaction(if of_1 == 1 { "a" } else { "c" }))),
        (device(2), (2, 3, reaction(""))),
    ];
    all.sort_by_key(|(device, _)| *device);
    all.map(|(_, one)| one).into()
}

pub(super) fn of_each_act_and_device_one_counts() -> Case {
    Case {
        fill,
        check: |tx| {
            let first = vec![(1, 4, Act::Delete), (1, 2, edit()), (2, 2, Act::Pin(false))];
            let all = [first, reactions(3), vec![(2, 5, Act::Drop)]].concat();
            assert_eq!(counting(tx, ALL), all);
            assert_eq!(counting(tx, 2), all[..2]);
            let edits = tx.edits(&conversation(1), &TARGET, ALL).unwrap();
            assert_eq!(edits, [annotation(1, 2, TARGET, edit()).id]);
            assert_eq!(tx.edits(&conversation(2), &TARGET, ALL).unwrap(), []);
            assert_eq!(tx.annotations(&conversation(2), &TARGET, ALL).unwrap(), []);
            assert_eq!(tx.annotations(&conversation(1), &EntryId::new([7; 32]), ALL).unwrap(), []);
        },
    }
}

pub(super) fn what_is_beyond_a_cut_counts_nowhere() -> Case {
    Case {
        fill: |tx| {
            fill(tx);
            tx.put_cut(&conversation(1), &device(1), &cut(2, CutReason::Revoked)).unwrap();
            tx.put_cut(&conversation(1), &device(2), &cut(3, CutReason::Forked)).unwrap();
        },
        check: |tx| {
            let all = [vec![(1, 2, edit()), (2, 2, Act::Pin(false))], reactions(1)].concat();
            assert_eq!(counting(tx, ALL), all);
            assert_eq!(counting(tx, 1), all[..1], "what does not count takes no room");
            assert!(!tx.is_hidden(&conversation(1), &TARGET).unwrap());
        },
    }
}

pub(super) fn they_may_come_before_what_they_are_of() -> Case {
    Case {
        fill: |tx| {
            let target = entry(1, 1, 1, &[], "the text");
            tx.put_entry(&stored(annotation(2, 1, target.id, Act::Pin(true)), 5)).unwrap();
            tx.put_entry(&stored(target.clone(), 6)).unwrap();
            // It moves, and stays one.
            tx.put_entry(&stored(annotation(2, 1, target.id, Act::Pin(true)), 7)).unwrap();
        },
        check: |tx| {
            let target = entry(1, 1, 1, &[], "the text");
            let pin = stored(annotation(2, 1, target.id, Act::Pin(true)), 7);
            assert_eq!(tx.annotations(&conversation(1), &target.id, ALL).unwrap(), [pin]);
        },
    }
}

pub(super) fn hidden_is_what_an_entry_of_the_conversation_hides() -> Case {
    Case {
        fill,
        check: |tx| {
            let is_hidden = |n, id| tx.is_hidden(&conversation(n), &EntryId::new([id; 32])).unwrap();
            assert!(is_hidden(1, 5) && is_hidden(1, 9));
            assert!(!is_hidden(2, 5) && !is_hidden(1, 6) && !is_hidden(1, 8));
        },
    }
}

pub(super) fn entries_are_found_by_the_beginning_of_their_id() -> Case {
    Case {
        fill: |tx| {
            for (n, entry) in (1..).zip(ENTRIES.iter()) {
                tx.put_entry(&stored(entry.clone(), n)).unwrap();
            }
        },
        check: |tx| {
            for wanted in ENTRIES.iter().filter(|entry| entry.header.conversation == conversation(1)) {
                let (mut first, mut last) = ([0; 32], [0xff; 32]);
                first[..3].copy_from_slice(&wanted.id.as_bytes()[..3]);
                last[..3].copy_from_slice(&wanted.id.as_bytes()[..3]);
                let within = |n, first: [u8; 32]| {
                    let (first, last) = (EntryId::new(first), EntryId::new(last));
                    tx.entries_within(&conversation(n), &first, &last, ALL).unwrap()
                };
                assert_eq!(
                    within(1, first).iter().map(|stored| stored.entry.id).collect::<Vec<_>>(),
                    [wanted.id]
                );
                assert_eq!(within(0, first), []);
                assert_eq!(within(1, [0xff; 32]), [], "the wrong way round");
            }
            let all = |limit| {
                let bounds = (EntryId::new([0; 32]), EntryId::new([0xff; 32]));
                tx.entries_within(&conversation(1), &bounds.0, &bounds.1, limit).unwrap()
            };
            assert!(all(ALL).is_sorted_by_key(|stored| stored.entry.id));
            assert_eq!((all(ALL).len(), all(2).len()), (6, 2));
        },
    }
}

pub(super) fn the_first_moment_of_an_acknowledgement_is_kept() -> Case {
    Case {
        fill: |tx| {
            let which = acknowledged_by(1, 2);
            for (through, at) in [(3, 30), (7, 70), (3, 99), (u64::MAX, 100)] {
                tx.put_acknowledged_at(&which, through, t(at)).unwrap();
            }
            tx.put_acknowledged_at(&acknowledged_by(1, 3), 3, t(1)).unwrap();
            tx.delete_acknowledgement(&conversation(1), &device(3)).unwrap();
        },
        check: |tx| {
            let which = acknowledged_by(1, 2);
            let at = |seq| tx.acknowledged_at(&which, seq).unwrap().map(|at| at.as_ms());
            assert_eq!([1, 3, 4, 7, 8].map(at), [30, 30, 70, 70, 100].map(Some));
            let other = crate::store::AcknowledgedBy { read: !which.read, ..which };
            assert_eq!(tx.acknowledged_at(&other, 1).unwrap(), None);
            assert_eq!(tx.acknowledged_at(&acknowledged_by(1, 3), 1).unwrap(), None);
        },
    }
}
