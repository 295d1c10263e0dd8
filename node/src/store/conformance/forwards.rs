use undertone_protocol::federation::AnswerKey;
use undertone_protocol::ids::{PublishId, Secret};
use undertone_protocol::token::{CLASS_0, DELIVER, Step, TokenGrant};

use super::Case;
use super::fixtures::*;
use crate::store::{SentItem, StoredForward};

fn id(n: u8) -> PublishId {
    PublishId::new([n; 16])
}

fn forward(n: u8, devices: u8) -> StoredForward {
    let step = Step { handle: handle(n), rights: DELIVER, classes: CLASS_0, not_after: None, per_minute: 0 };
    let token = |n: u8| TokenGrant::issue(&Secret::new([n; 32]), step.clone());
    let item = |outbox: u64| SentItem {
        outbox,
        payload_hash: payload_hash(n),
        devices: (0..devices).map(device).collect(),
        tokens: (0..devices).map(token).collect(),
    };
    StoredForward {
        answer: AnswerKey {
            relay: relay(n),
            forward_id: id(n),
            counter: u64::MAX - u64::from(n),
            key: Secret::new([n; 32]),
        },
        via: relay(n + 1),
        made: t(u64::from(n)),
        not_after: t(u64::MAX),
        waits_until: None,
        items: vec![item(1), item(u64::MAX)],
    }
}

pub(super) fn forwards_are_kept_until_they_are_answered() -> Case {
    Case {
        fill: |tx| {
            for n in [3, 1, 2] {
                tx.put_forward(&forward(n, n)).unwrap();
            }
            tx.put_forward(&StoredForward { waits_until: Some(t(9)), ..forward(2, 0) }).unwrap();
            tx.delete_forward(&id(3)).unwrap();
            tx.delete_forward(&id(4)).unwrap();
        },
        check: |tx| {
            let second = StoredForward { waits_until: Some(t(9)), ..forward(2, 0) };
            assert_eq!(tx.forwards().unwrap(), [forward(1, 1), second.clone()]);
            assert_eq!(tx.forward(&id(2)).unwrap(), Some(second));
            assert_eq!(tx.forward(&id(3)).unwrap(), None);
        },
    }
}
