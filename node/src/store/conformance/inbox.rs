use bytes::Bytes;
use undertone_protocol::ids::PayloadHash;
use undertone_protocol::limits::QUARANTINE_ITEMS_MAX;

use super::Case;
use super::fixtures::*;
use crate::store::Quarantined;

pub(super) fn handled_payloads_are_forgotten_in_time() -> Case {
    Case {
        fill: |tx| {
            for (n, at) in [(1, 10), (2, 11), (3, 10), (3, 12)] {
                tx.put_seen(&payload_hash(n), t(at)).unwrap();
            }
            assert!(tx.seen(&payload_hash(1)).unwrap());
            tx.forget_seen(t(11)).unwrap();
        },
        check: |tx| {
            let seen = [0, 1, 2, 3].map(|n| tx.seen(&payload_hash(n)).unwrap());
            assert_eq!(seen, [false, false, true, true]);
        },
    }
}

pub(super) fn handled_payloads_are_bounded() -> Case {
    Case {
        fill: |tx| {
            for (n, at) in [(1, 10), (2, 12), (3, 11)] {
                tx.put_seen(&payload_hash(n), t(at)).unwrap();
            }
            tx.trim_seen(3).unwrap();
            assert!(tx.seen(&payload_hash(1)).unwrap());
            tx.trim_seen(1).unwrap();
        },
        check: |tx| {
            let seen = [1, 2, 3].map(|n| tx.seen(&payload_hash(n)).unwrap());
            assert_eq!(seen, [false, true, false]);
        },
    }
}

fn numbered(n: usize) -> Quarantined {
    let n = n as u64;
    let payload = Bytes::copy_from_slice(&n.to_be_bytes());
    Quarantined { hash: PayloadHash::of(&payload), payload, received: t(n) }
}

pub(super) fn quarantine_is_bounded() -> Case {
    Case {
        fill: |tx| {
            for n in (1..=QUARANTINE_ITEMS_MAX).rev() {
                tx.put_quarantine(&numbered(n)).unwrap();
            }
            assert_eq!(tx.quarantine(usize::MAX).unwrap().len(), QUARANTINE_ITEMS_MAX);
            // One too many: the oldest goes, which may be the newcomer.
            tx.put_quarantine(&numbered(QUARANTINE_ITEMS_MAX + 1)).unwrap();
            tx.put_quarantine(&numbered(0)).unwrap();
            // One that is held already takes nobody's place.
            tx.put_quarantine(&numbered(3)).unwrap();
            tx.delete_quarantine(&numbered(4).hash).unwrap();
        },
        check: |tx| {
            assert_eq!(tx.quarantine(usize::MAX).unwrap().len(), QUARANTINE_ITEMS_MAX - 1);
            assert_eq!(tx.quarantine(3).unwrap(), [numbered(2), numbered(3), numbered(5)]);
        },
    }
}
