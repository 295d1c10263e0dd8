use super::Case;
use super::fixtures::*;
use crate::store::{NodeTx, OutboxItem, OutboxState, Purpose};

const ALL: usize = usize::MAX;

fn acknowledging(states: &[OutboxState]) -> OutboxItem {
    outbox_item(0, Purpose::Acknowledgement(conversation(1)), states)
}

fn ids(items: &[OutboxItem]) -> Vec<u64> {
    items.iter().map(|item| item.id).collect()
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
            assert_eq!(ids(&tx.outbox_pending(0, ALL).unwrap()), [1, 3, 5]);
            assert_eq!(ids(&tx.outbox_pending(0, 2).unwrap()), [1, 3]);
            assert_eq!(ids(&tx.outbox_pending(1, ALL).unwrap()), [3, 5]);
            assert_eq!(ids(&tx.outbox_pending(5, ALL).unwrap()), [0; 0]);
            assert_eq!(ids(&tx.outbox_pending(u64::MAX, ALL).unwrap()), [0; 0]);
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
            assert_eq!(ids(&tx.outbox_to(&device(0), 0, ALL).unwrap()), [1, 2, 3, 4]);
            assert_eq!(ids(&tx.outbox_to(&device(0), 1, 2).unwrap()), [2, 3]);
            assert_eq!(ids(&tx.outbox_to(&device(1), 0, ALL).unwrap()), [1, 3]);
            assert_eq!(tx.outbox_to(&device(1), 0, 1).unwrap()[0].recipients.len(), 2);
            assert_eq!(tx.outbox_to(&device(2), 0, ALL).unwrap(), []);
            assert_eq!(tx.outbox_to(&device(0), u64::MAX, ALL).unwrap(), []);
        },
    }
}
