use super::Case;
use super::fixtures::*;

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
