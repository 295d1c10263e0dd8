use undertone_protocol::ids::{ConversationId, EntryId};

use super::Case;
use super::fixtures::*;
use crate::store::{CutReason, Member, NodeTx, Standing};

const ALL: usize = usize::MAX;

pub(super) fn groups_come_by_id_and_are_replaced() -> Case {
    Case {
        fill: |tx| {
            for (n, called) in [(2, "choir"), (0, "Ärger"), (1, "choir"), (2, "")] {
                tx.put_group(&group(n, called)).unwrap();
            }
        },
        check: |tx| {
            let all = [(0, "Ärger"), (1, "choir"), (2, "")].map(|(n, called)| group(n, called));
            assert_eq!(tx.groups().unwrap(), all);
            assert_eq!(all.map(|group| group.standing), [Standing::Out, Standing::In, Standing::Out]);
            assert_eq!(tx.group(&conversation(1)).unwrap(), Some(group(1, "choir")));
            assert_eq!(tx.group(&conversation(3)).unwrap(), None);
        },
    }
}

/// It may be there without its group, and its bytes are nobody's business here.
pub(super) fn a_groups_document_is_kept_as_it_was_put() -> Case {
    Case {
        fill: |tx| {
            tx.put_group(&group(1, "choir")).unwrap();
            tx.put_group_document(&conversation(1), b"before").unwrap();
            tx.add_to_group_document(&conversation(1), b"too").unwrap();
            tx.put_group_document(&conversation(1), &[0xff; 100_000]).unwrap();
            tx.add_to_group_document(&conversation(1), b"one more").unwrap();
            tx.add_to_group_document(&conversation(1), b"").unwrap();
            tx.put_group_document(&conversation(2), b"").unwrap();
        },
        check: |tx| {
            let document = |n| tx.group_document(&conversation(n)).unwrap();
            assert_eq!(document(1), [vec![0xff; 100_000], b"one more".to_vec(), Vec::new()]);
            assert_eq!(document(2), [Vec::<u8>::new()]);
            assert_eq!(document(0), Vec::<Vec<u8>>::new());
            assert_eq!(tx.groups().unwrap(), [group(1, "choir")]);
        },
    }
}

pub(super) fn a_member_keeps_all_its_fields() -> Case {
    Case {
        fill: |tx| {
            for n in 0..COUNT {
                tx.put_member(&Member { removed: Some(t(1)), from_seq: 3, ..member(1, n) }).unwrap();
                tx.put_member(&member(1, n)).unwrap();
            }
        },
        check: |tx| {
            for n in 0..COUNT {
                assert_eq!(tx.member(&conversation(1), &user(n)).unwrap(), Some(member(1, n)));
            }
            assert_eq!(tx.member(&conversation(1), &user(COUNT)).unwrap(), None);
            assert_eq!(tx.member(&conversation(2), &user(1)).unwrap(), None);
        },
    }
}

fn by_user(mut members: Vec<Member>) -> Vec<Member> {
    members.sort_by_key(|member| member.user);
    members
}

/// Those who are gone are kept until somebody forgets them.
pub(super) fn members_come_by_user_and_go() -> Case {
    Case {
        fill: |tx| {
            for n in [3, 0, 2, 1] {
                tx.put_member(&member(1, n)).unwrap();
            }
            tx.put_member(&member(2, 2)).unwrap();
            tx.delete_member(&conversation(1), &user(2)).unwrap();
            tx.delete_member(&conversation(0), &user(1)).unwrap();
            tx.delete_member(&conversation(2), &user(3)).unwrap();
        },
        check: |tx| {
            let of = |n| tx.members(&conversation(n)).unwrap();
            assert_eq!(of(1), by_user(vec![member(1, 0), member(1, 1), member(1, 3)]));
            assert_eq!(of(1).iter().filter(|member| !member.is_in()).count(), 1);
            assert_eq!(of(2), [member(2, 2)]);
            assert_eq!(of(0), []);
        },
    }
}

pub(super) fn a_users_groups_come_by_id() -> Case {
    Case {
        fill: |tx| {
            for n in [3, 0, 2] {
                tx.put_member(&member(n, 1)).unwrap();
                tx.put_member(&member(n, 3)).unwrap();
            }
            tx.put_group(&group(1, "nobody's")).unwrap();
            tx.delete_member(&conversation(2), &user(1)).unwrap();
        },
        check: |tx| {
            let of = |n| tx.groups_of(&user(n)).unwrap();
            assert_eq!(of(1), [0, 3].map(conversation));
            assert_eq!(of(3), [0, 2, 3].map(conversation));
            assert_eq!(of(2), [] as [ConversationId; 0]);
        },
    }
}

pub(super) fn a_group_is_forgotten_with_what_is_kept_of_it() -> Case {
    Case {
        fill: |tx| {
            for n in 0..COUNT {
                tx.put_group(&group(n, "choir")).unwrap();
                tx.put_group_document(&conversation(n), b"document").unwrap();
                tx.add_to_group_document(&conversation(n), b"part").unwrap();
                tx.put_member(&member(n, 1)).unwrap();
                tx.put_frontier(&conversation(n), &device(1), &frontier_item(2)).unwrap();
                tx.put_gap(&conversation(n), &device(1), &gap(1, 0)).unwrap();
                tx.put_cut(&conversation(n), &device(1), &cut(1, CutReason::Revoked)).unwrap();
                tx.put_acknowledgement(&acknowledgement(n, 1, 1)).unwrap();
                tx.put_acknowledged(&conversation(n), &device(1), &acknowledged(1)).unwrap();
                tx.put_acknowledged_at(&acknowledged_by(n, 1), 1, t(1)).unwrap();
                tx.put_own_receipts(&conversation(n), &own_receipts(1, true, true)).unwrap();
            }
            tx.delete_group(&conversation(2)).unwrap();
            tx.delete_group(&conversation(COUNT)).unwrap();
        },
        check: |tx| {
            for n in 0..COUNT {
                let (id, is_there) = (conversation(n), n != 2);
                assert_eq!(tx.group(&id).unwrap().is_some(), is_there);
                assert_eq!(tx.group_document(&id).unwrap().is_empty(), !is_there);
                assert_eq!(tx.members(&id).unwrap().is_empty(), !is_there);
                assert_eq!(tx.frontier(&id).unwrap().is_empty(), !is_there);
                assert_eq!(tx.gaps(&id).unwrap().is_empty(), !is_there);
                assert_eq!(tx.cuts(&id).unwrap().is_empty(), !is_there);
                assert_eq!(tx.acknowledgement(&id, &device(1)).unwrap().is_some(), is_there);
                assert_eq!(tx.acknowledged(&id, &device(1)).unwrap().is_some(), is_there);
                assert_eq!(tx.acknowledged_at(&acknowledged_by(n, 1), 1).unwrap().is_some(), is_there);
                assert_eq!(tx.receipts_due().unwrap().contains(&id), is_there);
            }
            assert_eq!(tx.groups_of(&user(1)).unwrap(), [0, 1, 3].map(conversation));
        },
    }
}

/// Times of what shows.
fn shown(tx: &dyn NodeTx, limit: usize) -> Vec<u64> {
    let history = tx.history(&conversation(1), None, limit).unwrap();
    history.iter().map(|stored| stored.effective.as_ms()).collect()
}

/// Device 1 wrote numbers 1 to 6, each a millisecond after the other.
fn written(seq: u64) -> crate::store::StoredEntry {
    stored(entry(1, 1, seq, &[], "text"), seq)
}

fn fill_log(tx: &mut dyn NodeTx) {
    for seq in 1..7 {
        tx.put_entry(&written(seq)).unwrap();
    }
}

pub(super) fn history_leaves_out_what_is_void() -> Case {
    Case {
        fill: |tx| {
            fill_log(tx);
            for seq in [2, 5, 6] {
                tx.put_void(&written(seq).entry.id, true).unwrap();
                tx.put_void(&written(seq).entry.id, true).unwrap();
            }
            tx.put_void(&written(6).entry.id, false).unwrap();
            tx.put_void(&written(1).entry.id, false).unwrap();
        },
        check: |tx| {
            assert_eq!(shown(tx, ALL), [1, 3, 4, 6]);
            // A page is filled with what counts.
            assert_eq!(shown(tx, 3), [3, 4, 6]);
            let is_void = |seq| tx.is_void(&written(seq).entry.id).unwrap();
            assert_eq!([1, 2, 3, 5, 6].map(is_void), [false, true, false, true, false]);
            // All other reads give it.
            assert_eq!(tx.entries_of(&conversation(1), &device(1), 1, ALL).unwrap().len(), 6);
            assert_eq!(tx.entry(&written(2).entry.id).unwrap(), Some(written(2)));
            assert_eq!(tx.heads(&conversation(1), ALL).unwrap().len(), 6);
        },
    }
}

/// What is judged may come later, and go again.
pub(super) fn what_is_not_held_may_be_void() -> Case {
    Case {
        fill: |tx| {
            tx.put_void(&written(2).entry.id, true).unwrap();
            tx.put_void(&EntryId::new([1; 32]), true).unwrap();
            fill_log(tx);
        },
        check: |tx| {
            assert_eq!(shown(tx, ALL), [1, 3, 4, 5, 6]);
            assert!(tx.is_void(&EntryId::new([1; 32])).unwrap());
            assert!(!tx.is_void(&EntryId::new([2; 32])).unwrap());
        },
    }
}

/// Whoever is put out says nothing of what others wrote: of their annotations those before count, or none.
pub(super) fn annotations_that_are_void_count_nowhere() -> Case {
    const TARGET: EntryId = EntryId::new([5; 32]);
    Case {
        fill: |tx| {
            for annotation in annotations(TARGET) {
                let header = &annotation.header;
                // Of device 1 the later reaction and both deletions, of device 2 the reaction and what hides.
                let is_void = header.seq >= 3;
                tx.put_void(&annotation.id, is_void).unwrap();
                tx.put_entry(&stored(annotation, 5)).unwrap();
            }
        },
        check: |tx| {
            let counting = tx.annotations(&conversation(1), &TARGET, ALL).unwrap();
            let mut numbers: Vec<_> = counting
                .iter()
                .map(|stored| (stored.entry.header.device == device(1), stored.entry.header.seq))
                .collect();
            numbers.sort_unstable();
            assert_eq!(numbers, [(false, 2), (true, 1), (true, 2)]);
            assert!(!tx.is_hidden(&conversation(1), &TARGET).unwrap());
        },
    }
}
