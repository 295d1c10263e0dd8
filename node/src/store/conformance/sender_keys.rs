use super::Case;
use super::fixtures::*;
use crate::store::ReceiverKey;

pub(super) fn keys_are_kept_whole() -> Case {
    Case {
        fill: |tx| {
            tx.put_sender_key(&sender_key(1, 1)).unwrap();
            tx.put_sender_key(&sender_key(3, 0)).unwrap();
            tx.put_sender_key(&sender_key(1, 2)).unwrap();
            tx.put_receiver_key(&receiver_key(2, 0, 2)).unwrap();
            tx.put_receiver_key(&receiver_key(2, u32::MAX, 2)).unwrap();
        },
        check: |tx| {
            assert_eq!(tx.sender_key(&conversation(1)).unwrap(), Some(sender_key(1, 2)));
            assert_eq!(tx.sender_key(&conversation(3)).unwrap(), Some(sender_key(3, 0)));
            assert_eq!(tx.sender_key(&conversation(2)).unwrap(), None);
            assert_eq!(tx.receiver_key(&session_id(2)).unwrap(), Some(receiver_key(2, u32::MAX, 2)));
            assert_eq!(tx.receiver_key(&session_id(1)).unwrap(), None);
        },
    }
}

pub(super) fn known_message_tags_stay() -> Case {
    Case {
        fill: |tx| {
            tx.put_message_tags(&session_id(2), &[(tag(1), 10), (tag(2), 11)]).unwrap();
            tx.put_message_tags(&session_id(1), &[(tag(1), u32::MAX), (tag(3), 4)]).unwrap();
            tx.put_message_tags(&session_id(2), &[(tag(1), 99), (tag(4), 12)]).unwrap();
            tx.delete_message_tag(&session_id(1), &tag(3)).unwrap();
            tx.delete_message_tag(&session_id(1), &tag(2)).unwrap();
        },
        check: |tx| {
            let by_tag = |n| tx.sessions_by_tag(&tag(n)).unwrap();
            assert_eq!(by_tag(1), [(session_id(1), u32::MAX), (session_id(2), 10)]);
            assert_eq!(by_tag(2), [(session_id(2), 11)]);
            assert_eq!(by_tag(3), []);
            assert_eq!(by_tag(4), [(session_id(2), 12)]);
        },
    }
}

pub(super) fn old_receiver_keys_go() -> Case {
    Case {
        fill: |tx| {
            // 0, 1 and 2 are of one device, 3 and 4 of another, which has no newer ones.
            for (n, received) in [(0, 5), (1, 9), (2, 7), (3, 1), (4, 1)] {
                tx.put_receiver_key(&receiver_key(n, 0, received)).unwrap();
                tx.put_message_tags(&session_id(n), &[(tag(1), 3)]).unwrap();
            }
            tx.forget_receiver_keys(t(7)).unwrap();
            let kept: Vec<u8> =
                (0..5).filter(|n| tx.receiver_key(&session_id(*n)).unwrap().is_some()).collect();
            assert_eq!(kept, [1, 2]);
            tx.forget_receiver_keys(t(9)).unwrap();
        },
        check: |tx| {
            let kept: Vec<u8> =
                (0..5).filter(|n| tx.receiver_key(&session_id(*n)).unwrap().is_some()).collect();
            assert_eq!(kept, [1]);
            assert_eq!(tx.sessions_by_tag(&tag(1)).unwrap(), [(session_id(1), 3)]);
        },
    }
}

pub(super) fn keys_of_one_device_are_bounded() -> Case {
    Case {
        fill: |tx| {
            // 0, 1 and 2 are of one device, 3 and 4 of another.
            for (n, received) in [(0, 5), (1, 9), (2, 7), (3, 1), (4, 1)] {
                tx.put_receiver_key(&receiver_key(n, 0, received)).unwrap();
                tx.put_message_tags(&session_id(n), &[(tag(1), 3)]).unwrap();
            }
            let (one, other) = (receiver_key(0, 0, 0).device, receiver_key(3, 0, 0).device);
            tx.trim_receiver_keys(&one, 3).unwrap();
            tx.trim_receiver_keys(&one, 2).unwrap();
            tx.trim_receiver_keys(&other, 1).unwrap();
            tx.forget_receiver_keys_of(&one, t(9)).unwrap();
        },
        check: |tx| {
            let kept: Vec<u8> =
                (0..5).filter(|n| tx.receiver_key(&session_id(*n)).unwrap().is_some()).collect();
            assert_eq!(kept, [1, 4]);
            assert_eq!(tx.sessions_by_tag(&tag(1)).unwrap(), [1, 4].map(|n| (session_id(n), 3)));
        },
    }
}

pub(super) fn the_lowest_number_that_a_device_named_is_found() -> Case {
    Case {
        fill: |tx| {
            // 0, 1 and 2 are of one device, 3 and 4 of another.
            for (n, next_seq) in [(0, 8), (1, 1 << 40), (2, 9), (3, u64::MAX), (4, 1)] {
                let of = conversation(if n == 4 { 2 } else { 1 });
                tx.put_receiver_key(&ReceiverKey { conversation: of, next_seq, ..receiver_key(n, 0, 1) })
                    .unwrap();
            }
        },
        check: |tx| {
            let [one, other] = [0, 3].map(|n| receiver_key(n, 0, 1).device);
            assert_eq!(tx.next_seqs(&conversation(1)).unwrap(), [(one, 8), (other, u64::MAX)]);
            assert_eq!(tx.next_seqs(&conversation(2)).unwrap(), [(other, 1)]);
            assert_eq!(tx.next_seqs(&conversation(3)).unwrap(), []);
        },
    }
}
