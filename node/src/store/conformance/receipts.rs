use undertone_protocol::ids::{DeviceId, EntryId};
use undertone_protocol::limits::FRONTIER_DEVICES_MAX;
use undertone_protocol::log::{Frontier, FrontierItem, SeqRange};
use undertone_protocol::receipts::{Acknowledgement, AcknowledgementFields, Denial, Tick};

use super::Case;
use super::fixtures::*;
use crate::store::{Delivery, Failure, OwnReceipts};

pub(super) fn the_newest_acknowledgement_is_kept() -> Case {
    Case {
        fill: |tx| {
            tx.put_acknowledgement(&acknowledgement(1, 1, 1)).unwrap();
            tx.put_acknowledgement(&acknowledgement(1, 1, 2)).unwrap();
            tx.put_acknowledgement(&acknowledgement(2, 1, 9)).unwrap();
            tx.put_acknowledged(&conversation(1), &device(1), &acknowledged(1)).unwrap();
            tx.put_acknowledged(&conversation(1), &device(1), &acknowledged(u64::MAX)).unwrap();
        },
        check: |tx| {
            let of =
                |conversation_n, n| tx.acknowledgement(&conversation(conversation_n), &device(n)).unwrap();
            assert_eq!(of(1, 1), Some(acknowledgement(1, 1, 2)));
            assert_eq!(of(2, 1), Some(acknowledgement(2, 1, 9)));
            assert_eq!(of(1, 2), None);
            let ever = |n| tx.acknowledged(&conversation(1), &device(n)).unwrap();
            assert_eq!((ever(1), ever(2)), (Some(acknowledged(u64::MAX)), None));
        },
    }
}

/// More than would fit an envelope.
pub(super) fn what_is_told_in_a_large_group_is_kept() -> Case {
    Case {
        fill: |tx| tx.put_acknowledgement(&acknowledgement_of(FRONTIER_DEVICES_MAX)).unwrap(),
        check: |tx| {
            let kept = tx.acknowledgement(&conversation(1), &device(1)).unwrap();
            assert_eq!(kept, Some(acknowledgement_of(FRONTIER_DEVICES_MAX)));
        },
    }
}

/// Of what so many devices wrote.
fn acknowledgement_of(devices: usize) -> Acknowledgement {
    let nothing = Frontier::default();
    let mut fields = AcknowledgementFields {
        delivered: nothing.clone(),
        read: nothing,
        ..acknowledgement(1, 1, 1).fields
    };
    for n in 0..devices {
        let id = *blake3::hash(&n.to_be_bytes()).as_bytes();
        let item =
            FrontierItem { seq: 1 + n as u64, head: Some(EntryId::new(id)), ..FrontierItem::default() };
        fields.delivered.set(DeviceId::new(id), item.clone());
        fields.read.set(DeviceId::new(id), item);
    }
    Acknowledgement::issue(&device_key(1), fields)
}

pub(super) fn own_receipts_start_at_the_default() -> Case {
    Case {
        fill: |tx| {
            for (n, due) in [(3, true), (2, false), (1, true), (2, true), (1, false)] {
                tx.put_own_receipts(&conversation(n), &own_receipts(u64::from(n), due, false)).unwrap();
            }
            tx.put_own_receipts(&conversation(5), &own_receipts(5, true, true)).unwrap();
            tx.put_own_receipts(&conversation(4), &own_receipts(4, false, true)).unwrap();
        },
        check: |tx| {
            assert_eq!(tx.own_receipts(&conversation(0)).unwrap(), OwnReceipts::default());
            assert_eq!(tx.own_receipts(&conversation(1)).unwrap(), own_receipts(1, false, false));
            assert_eq!(tx.own_receipts(&conversation(4)).unwrap(), own_receipts(4, false, true));
            assert_eq!(tx.receipts_due().unwrap(), [2, 3, 4, 5].map(conversation));
        },
    }
}

const FAILURES: [Failure; 11] = [
    Failure::Expired,
    Failure::Denied(Denial::UnknownMailbox),
    Failure::Denied(Denial::Epoch),
    Failure::Denied(Denial::Proof),
    Failure::Denied(Denial::Revoked),
    Failure::Denied(Denial::Expired),
    Failure::Denied(Denial::UsedUp),
    Failure::Denied(Denial::Rights),
    Failure::TooLarge { bytes_max: u32::MAX },
    Failure::Copied,
    Failure::Unreachable,
];

/// Numbers 1 to 5 by tick, all sealed; 6 to 16 by failure, 17 and 18 whole, all not sealed.
fn deliveries() -> Vec<Delivery> {
    let ticks = [Tick::Queued, Tick::Waiting, Tick::Sent, Tick::Delivered, Tick::Read];
    let mut deliveries: Vec<Delivery> =
        (1..).zip(ticks).map(|(n, tick)| delivery(n, 1, u64::from(n), tick)).collect();
    for (n, failure) in (6..).zip(FAILURES.map(Some).into_iter().chain([None, None])) {
        let queued = delivery(n, 1, u64::from(n), Tick::Queued);
        deliveries.push(Delivery { sealed: false, failed: failure, ..queued });
    }
    deliveries
}

pub(super) fn deliveries_are_told_apart() -> Case {
    Case {
        fill: |tx| {
            for delivery in deliveries().iter().rev() {
                tx.put_delivery(&Delivery { tick: Tick::Queued, ..delivery.clone() }).unwrap();
                tx.put_delivery(delivery).unwrap();
            }
            tx.put_delivery(&Delivery { sealed: false, ..delivery(99, 2, 1, Tick::Queued) }).unwrap();
        },
        check: |tx| {
            let all = deliveries();
            for delivery in &all {
                assert_eq!(tx.delivery(&delivery.entry).unwrap().as_ref(), Some(delivery));
            }
            let unread: Vec<Delivery> = all.iter().filter(|one| one.tick != Tick::Read).cloned().collect();
            assert_eq!(tx.deliveries_unread(&conversation(1)).unwrap(), unread);
            let waiting = [(1, 2), (6, 18)].map(|(from, through)| SeqRange { from, through });
            assert_eq!(tx.deliveries_waiting(&conversation(1), 9).unwrap(), waiting);
            assert_eq!(tx.deliveries_waiting(&conversation(1), 1).unwrap(), waiting[..1]);
            assert_eq!(tx.deliveries_waiting(&conversation(9), 9).unwrap(), []);
            assert_eq!(tx.deliveries_unsealed(&conversation(1), 9).unwrap(), all[16..]);
            assert_eq!(tx.deliveries_unsealed(&conversation(1), 1).unwrap(), all[16..17]);
            assert_eq!(tx.deliveries_between(&conversation(1), 3, 6, 9).unwrap(), all[2..6]);
            assert_eq!(tx.deliveries_between(&conversation(1), 15, u64::MAX, 9).unwrap(), all[14..]);
            assert_eq!(tx.deliveries_between(&conversation(1), 3, 6, 2).unwrap(), all[2..4]);
            assert_eq!(tx.deliveries_between(&conversation(1), 2, 1, 9).unwrap(), []);
        },
    }
}
