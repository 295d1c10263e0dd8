use super::Case;
use super::fixtures::*;
use crate::store::{NodeTx, OutboxItem, OutboxRecipient, OutboxState, PendingRecipient, Purpose};

const ALL: usize = usize::MAX;

fn acknowledging(states: &[OutboxState]) -> OutboxItem {
    outbox_item(0, Purpose::Acknowledgement(conversation(1)), states)
}

fn ids(items: &[OutboxItem]) -> Vec<u64> {
    items.iter().map(|item| item.id).collect()
}

fn pending_ids(tx: &dyn NodeTx, after_id: u64, limit: usize) -> Vec<u64> {
    tx.outbox_pending(after_id, limit).unwrap().iter().map(|item| item.id).collect()
}

fn ids_to(tx: &dyn NodeTx, n: u8, after_id: u64, limit: usize) -> Vec<u64> {
    tx.outbox_to(&device(n), after_id, limit).unwrap().iter().map(|(head, _)| head.id).collect()
}

fn counts(tx: &dyn NodeTx, id: u64) -> [usize; 5] {
    let counts = tx.outbox_head(id).unwrap().unwrap().counts;
    [counts.pending, counts.custody, counts.acknowledged, counts.failed, counts.left_out]
}

fn put(tx: &mut dyn NodeTx, item: &OutboxItem) -> u64 {
    tx.put_outbox(item).unwrap()
}

pub(super) fn items_are_numbered_ascending() -> Case {
    Case {
        fill: |tx| {
            assert_eq!(put(tx, &acknowledging(&[pending(1), custody(2)])), 1);
            assert_eq!(put(tx, &acknowledging(&[])), 2);
            // An item that has a number is replaced.
            let replaced = outbox_item(
                1,
                Purpose::Introduction(user(1)),
                &[OutboxState::Acknowledged, OutboxState::Failed, pending(u64::MAX)],
            );
            assert_eq!(put(tx, &replaced), 1);
            assert_eq!(put(tx, &acknowledging(&[])), 3);
            assert!(tx.put_outbox(&OutboxItem { id: u64::MAX, ..replaced }).is_err());
        },
        check: |tx| {
            let states = [OutboxState::Acknowledged, OutboxState::Failed, pending(u64::MAX)];
            let replaced = outbox_item(1, Purpose::Introduction(user(1)), &states);
            assert_eq!(tx.outbox(1).unwrap(), Some(replaced));
            assert_eq!(tx.outbox(3).unwrap(), Some(OutboxItem { id: 3, ..acknowledging(&[]) }));
            assert_eq!(tx.outbox(4).unwrap(), None);
            assert_eq!(tx.outbox(u64::MAX).unwrap(), None);
            assert_eq!((tx.outbox_len().unwrap(), tx.outbox_last().unwrap()), (3, 3));
        },
    }
}

pub(super) fn numbers_are_not_given_twice() -> Case {
    Case {
        fill: |tx| {
            assert_eq!(tx.outbox_last().unwrap(), 0);
            put(tx, &acknowledging(&[pending(1)]));
            let last = put(tx, &acknowledging(&[pending(1)]));
            tx.delete_outbox(last).unwrap();
            assert_eq!(tx.outbox_last().unwrap(), last);
            tx.delete_outbox(u64::MAX).unwrap();
            assert_eq!(put(tx, &acknowledging(&[])), last + 1);
        },
        check: |tx| {
            assert_eq!(tx.outbox(2).unwrap(), None);
            assert_eq!((tx.outbox_len().unwrap(), tx.outbox_last().unwrap()), (2, 3));
        },
    }
}

pub(super) fn pending_items_come_by_id() -> Case {
    Case {
        fill: |tx| {
            put(tx, &acknowledging(&[pending(9)]));
            put(tx, &acknowledging(&[custody(9), OutboxState::Failed, OutboxState::Acknowledged]));
            put(tx, &acknowledging(&[custody(9), pending(1)]));
            put(tx, &acknowledging(&[pending(5)]));
            put(tx, &acknowledging(&[pending(5)]));
            put(tx, &OutboxItem { id: 4, ..acknowledging(&[custody(1)]) });
        },
        check: |tx| {
            assert_eq!(pending_ids(tx, 0, ALL), [1, 3, 5]);
            assert_eq!(pending_ids(tx, 0, 2), [1, 3]);
            assert_eq!(pending_ids(tx, 1, ALL), [3, 5]);
            assert_eq!(pending_ids(tx, 5, ALL), [0; 0]);
            assert_eq!(pending_ids(tx, u64::MAX, ALL), [0; 0]);
            // Only those that it must go to come along.
            let third = &tx.outbox_pending(1, 1).unwrap()[0];
            let to = PendingRecipient { device: device(1), user: user(1), not_before: t(1) };
            assert_eq!(
                (third.recipients.as_slice(), third.payload.clone()),
                ([to].as_slice(), bytes::Bytes::from(vec![7; 300]))
            );
            assert_eq!([1, 3, 9].map(|limit| tx.outbox_pending_len(limit).unwrap()), [1, 3, 3]);
        },
    }
}

pub(super) fn expired_items_come_by_the_end_of_custody() -> Case {
    Case {
        fill: |tx| {
            put(tx, &acknowledging(&[custody(8), custody(3)]));
            put(tx, &acknowledging(&[custody(5)]));
            put(tx, &acknowledging(&[OutboxState::Acknowledged, OutboxState::Failed]));
            put(tx, &acknowledging(&[pending(1)]));
            put(tx, &acknowledging(&[custody(4), pending(1)]));
            // User 0 has acknowledged, so the custody of their other device says nothing.
            let mut siblings = acknowledging(&[OutboxState::Acknowledged, custody(2)]);
            siblings.recipients[1].user = user(0);
            put(tx, &siblings);
            // User 1 has not.
            put(tx, &acknowledging(&[OutboxState::Acknowledged, custody(4)]));
        },
        check: |tx| {
            assert_eq!(ids(&tx.outbox_expired(t(u64::MAX), ALL).unwrap()), [5, 7, 2, 1]);
            assert_eq!(ids(&tx.outbox_expired(t(8), ALL).unwrap()), [5, 7, 2]);
            assert_eq!(ids(&tx.outbox_expired(t(9), 2).unwrap()), [5, 7]);
            assert_eq!(ids(&tx.outbox_expired(t(4), ALL).unwrap()), [0; 0]);
        },
    }
}

pub(super) fn items_come_by_purpose() -> Case {
    Case {
        fill: |tx| {
            // The same bytes name an entry, a conversation, a user and a device.
            for purpose in purposes(1) {
                put(tx, &outbox_item(0, purpose, &[pending(1)]));
            }
            put(tx, &outbox_item(0, purposes(1)[0], &[]));
        },
        check: |tx| {
            let last = u64::try_from(purposes(1).len()).unwrap() + 1;
            for (purpose, id) in purposes(1).into_iter().zip(1..) {
                let items = tx.outbox_of(&purpose).unwrap();
                assert_eq!(items[0], outbox_item(id, purpose, &[pending(1)]));
                assert_eq!(ids(&items), if id == 1 { vec![1, last] } else { vec![id] });
            }
            for purpose in purposes(2) {
                assert_eq!(tx.outbox_of(&purpose).unwrap(), []);
            }
        },
    }
}

pub(super) fn items_for_a_device_come_by_id() -> Case {
    Case {
        fill: |tx| {
            put(tx, &acknowledging(&[pending(1), custody(2)]));
            put(tx, &acknowledging(&[pending(1)]));
            put(tx, &acknowledging(&[OutboxState::Acknowledged, OutboxState::Failed]));
            put(tx, &acknowledging(&[pending(1), pending(1)]));
            // It is for one device less from now on.
            put(tx, &OutboxItem { id: 4, ..acknowledging(&[pending(1)]) });
            put(tx, &acknowledging(&[pending(1), custody(2)]));
            tx.delete_outbox(5).unwrap();
        },
        check: |tx| {
            assert_eq!(ids_to(tx, 0, 0, ALL), [1, 2, 3, 4]);
            assert_eq!(ids_to(tx, 0, 1, 2), [2, 3]);
            assert_eq!(ids_to(tx, 1, 0, ALL), [1, 3]);
            let states: Vec<_> = tx.outbox_to(&device(1), 0, ALL).unwrap();
            let states: Vec<_> = states.into_iter().map(|(_, state)| state).collect();
            assert_eq!(states, [custody(2), OutboxState::Failed]);
            assert_eq!(ids_to(tx, 2, 0, ALL), [0; 0]);
            assert_eq!(ids_to(tx, 0, u64::MAX, ALL), [0; 0]);
        },
    }
}

/// Four devices of two users: 0 and 1 are user 0's, 2 and 3 user 1's.
fn pairs(states: &[OutboxState]) -> OutboxItem {
    let mut item = outbox_item(0, purposes(1)[0], states);
    for (recipient, owner) in item.recipients.iter_mut().zip([0, 0, 1, 1]) {
        recipient.user = user(owner);
    }
    item
}

pub(super) fn one_recipient_takes_a_step() -> Case {
    Case {
        fill: |tx| {
            put(tx, &pairs(&[pending(1), pending(2), pending(3), pending(4)]));
            put(tx, &pairs(&[pending(1), pending(2), pending(3), pending(4)]));
            let steps = [(device(2), custody(7)), (device(9), custody(8)), (device(0), OutboxState::Failed)];
            tx.set_outbox_recipients(1, &steps).unwrap();
            tx.set_outbox_recipients(1, &[]).unwrap();
            tx.set_outbox_recipients(9, &steps).unwrap();
            tx.set_outbox_recipients(u64::MAX, &steps).unwrap();
        },
        check: |tx| {
            let stepped = pairs(&[OutboxState::Failed, pending(2), custody(7), pending(4)]);
            assert_eq!(tx.outbox(1).unwrap(), Some(OutboxItem { id: 1, ..stepped }));
            assert_eq!((counts(tx, 1), counts(tx, 2)), ([2, 1, 0, 1, 0], [4, 0, 0, 0, 0]));
            assert_eq!(tx.outbox_head(1).unwrap().unwrap().custody_ends, Some(t(7)));
            let recipient = OutboxRecipient { device: device(2), user: user(1), state: custody(7) };
            assert_eq!(tx.outbox_recipient(1, &device(2)).unwrap(), Some(recipient));
            assert_eq!(tx.outbox_recipient(1, &device(9)).unwrap(), None);
            assert_eq!(tx.outbox_recipient(u64::MAX, &device(2)).unwrap(), None);
            assert_eq!((tx.outbox_head(3).unwrap(), tx.outbox_head(u64::MAX).unwrap()), (None, None));
        },
    }
}

pub(super) fn steps_move_the_end_of_custody() -> Case {
    Case {
        fill: |tx| {
            let all = [custody(8), custody(3), custody(5), custody(4)];
            for _ in 0..4 {
                put(tx, &pairs(&all));
            }
            tx.set_outbox_recipients(2, &[(device(1), OutboxState::Acknowledged)]).unwrap();
            let both = [(device(3), OutboxState::Acknowledged), (device(0), OutboxState::Acknowledged)];
            tx.set_outbox_recipients(3, &both).unwrap();
            // It was not acknowledged after all, and is held for longer.
            tx.set_outbox_recipients(4, &both).unwrap();
            tx.set_outbox_recipients(4, &[(device(3), custody(9))]).unwrap();
        },
        check: |tx| {
            let ends = [1, 2, 3, 4].map(|id| tx.outbox_head(id).unwrap().unwrap().custody_ends);
            assert_eq!(ends, [Some(t(8)), Some(t(5)), None, Some(t(9))]);
            assert_eq!(ids(&tx.outbox_expired(t(u64::MAX), ALL).unwrap()), [2, 1, 4]);
        },
    }
}

pub(super) fn a_recipient_is_taken_out() -> Case {
    Case {
        fill: |tx| {
            put(tx, &pairs(&[OutboxState::Acknowledged, custody(6), pending(1), custody(5)]));
            tx.delete_outbox_recipient(1, &device(0)).unwrap();
            tx.delete_outbox_recipient(1, &device(2)).unwrap();
            tx.delete_outbox_recipient(1, &device(9)).unwrap();
            tx.delete_outbox_recipient(u64::MAX, &device(1)).unwrap();
        },
        check: |tx| {
            let item = tx.outbox(1).unwrap().unwrap();
            assert_eq!(
                item.recipients.iter().map(|to| to.device).collect::<Vec<_>>(),
                [device(1), device(3)]
            );
            assert_eq!((counts(tx, 1), item.custody_ends()), ([0, 2, 0, 0, 0], Some(t(6))));
            assert_eq!(ids(&tx.outbox_expired(t(7), ALL).unwrap()), [1]);
            assert_eq!((ids_to(tx, 0, 0, ALL), pending_ids(tx, 0, ALL)), (vec![], vec![]));
        },
    }
}

pub(super) fn items_of_a_purpose_come_by_device() -> Case {
    Case {
        fill: |tx| {
            let [entry, key, ..] = &purposes(1);
            let to = |purpose, n: u8, state| {
                let mut item = outbox_item(0, purpose, &[state]);
                item.recipients[0].device = device(n);
                item
            };
            put(tx, &to(*key, 1, pending(1)));
            put(tx, &to(*key, 2, custody(1)));
            put(tx, &to(*entry, 1, pending(1)));
            put(tx, &to(*key, 1, custody(4)));
            put(tx, &to(*key, 3, OutboxState::LeftOut));
            put(tx, &to(purposes(2)[0], 1, OutboxState::Failed));
        },
        check: |tx| {
            let [entry, key, ..] = &purposes(1);
            let of = |purpose, n| {
                let found = tx.outbox_of_to(purpose, &device(n)).unwrap();
                found.into_iter().map(|(head, state)| (head.id, state)).collect::<Vec<_>>()
            };
            assert_eq!(of(key, 1), [(1, pending(1)), (4, custody(4))]);
            assert_eq!((of(key, 2), of(key, 9)), (vec![(2, custody(1))], vec![]));
            assert_eq!((of(entry, 1), of(entry, 2)), (vec![(3, pending(1))], vec![]));
            let heads = tx.outbox_heads_of(key).unwrap();
            assert_eq!(heads.iter().map(|head| head.id).collect::<Vec<_>>(), [1, 2, 4, 5]);
            assert_eq!(heads[1], tx.outbox(2).unwrap().unwrap().head());
            assert_eq!(tx.outbox_heads(2, 2).unwrap().iter().map(|head| head.id).collect::<Vec<_>>(), [3, 4]);
        },
    }
}

pub(super) fn what_is_there_is_told() -> Case {
    Case {
        fill: |tx| {
            let states = [
                vec![custody(1), OutboxState::Acknowledged, OutboxState::LeftOut],
                vec![custody(1), pending(1)],
                vec![OutboxState::Failed],
                vec![pending(1), OutboxState::Failed],
            ];
            for (n, states) in (0..).zip(states) {
                put(tx, &outbox_item(0, purposes(n)[0], &[custody(1)]));
                put(tx, &outbox_item(0, purposes(n)[0], &states));
            }
            // The last one gets there.
            let steps = [(device(0), custody(1)), (device(1), OutboxState::Acknowledged)];
            tx.set_outbox_recipients(8, &steps).unwrap();
        },
        check: |tx| {
            let is_there = |n: u8| tx.outbox_is_there(&purposes(n)[0], false).unwrap();
            assert_eq!([0, 1, 2, 3, 9].map(is_there), [true, false, false, true, true]);
        },
    }
}
