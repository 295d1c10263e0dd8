use super::Case;
use super::fixtures::*;

pub(super) fn sessions_come_by_last_use_then_id() -> Case {
    Case {
        fill: |tx| {
            for (id, used) in [(1, 5), (2, 9), (3, 5), (4, 1), (5, 7)] {
                tx.put_olm_session(&olm_session(1, id, used)).unwrap();
            }
            tx.put_olm_session(&olm_session(2, 9, 99)).unwrap();
            tx.put_olm_session(&olm_session(1, 4, u64::MAX)).unwrap();
            tx.delete_olm_session(&device(1), &[5; 32]).unwrap();
        },
        check: |tx| {
            let sessions = [
                olm_session(1, 4, u64::MAX),
                olm_session(1, 2, 9),
                olm_session(1, 1, 5),
                olm_session(1, 3, 5),
            ];
            assert_eq!(tx.olm_sessions(&device(1)).unwrap(), sessions);
            assert_eq!(tx.olm_sessions(&device(3)).unwrap(), []);
        },
    }
}

pub(super) fn base_keys_are_remembered() -> Case {
    Case {
        fill: |tx| {
            tx.put_prekey_base(&[1; 32], t(10)).unwrap();
            tx.put_prekey_base(&[2; 32], t(11)).unwrap();
            tx.forget_prekey_bases(t(11)).unwrap();
        },
        check: |tx| {
            let seen = [0, 1, 2].map(|n| tx.prekey_base_seen(&[n; 32]).unwrap());
            assert_eq!(seen, [false, false, true]);
        },
    }
}

pub(super) fn an_outbound_channel_takes_the_place_of_the_older() -> Case {
    Case {
        fill: |tx| {
            tx.put_outbound_channel(&device(1), &outbound_channel(0)).unwrap();
            tx.put_outbound_channel(&device(1), &outbound_channel(1)).unwrap();
        },
        check: |tx| {
            assert_eq!(tx.outbound_channel(&device(1)).unwrap(), Some(outbound_channel(1)));
            assert_eq!(tx.outbound_channel(&device(0)).unwrap(), None);
        },
    }
}

pub(super) fn inbound_channels_come_newest_first() -> Case {
    Case {
        fill: |tx| {
            for n in [2, 0, 3, 1] {
                let of = (n != 3).then(|| device(1));
                tx.put_inbound_channel(&channel_hash(n), &inbound_channel(n), of.as_ref()).unwrap();
            }
            // Putting again does not make it newer; its device becomes known.
            tx.put_inbound_channel(&channel_hash(3), &inbound_channel(2), Some(&device(1))).unwrap();
            tx.put_inbound_channel(&channel_hash(2), &inbound_channel(2), Some(&device(1))).unwrap();
        },
        check: |tx| {
            let newest_first = [1, 3, 0, 2].map(channel_hash);
            assert_eq!(tx.inbound_channels_of(&device(1)).unwrap(), newest_first);
            let replaced = Some((inbound_channel(2), Some(device(1))));
            assert_eq!(tx.inbound_channel(&channel_hash(3)).unwrap(), replaced);
            assert_eq!(tx.inbound_channel(&channel_hash(9)).unwrap(), None);
        },
    }
}

pub(super) fn a_deleted_channel_takes_its_tags_along() -> Case {
    Case {
        fill: |tx| {
            for n in [1, 0] {
                tx.put_inbound_channel(&channel_hash(n), &inbound_channel(n), None).unwrap();
                tx.put_channel_tags(&channel_hash(n), &[tag(1), tag(2)]).unwrap();
            }
            tx.put_inbound_channel(&channel_hash(2), &inbound_channel(2), None).unwrap();
            tx.put_channel_tags(&channel_hash(2), &[tag(1), tag(2), tag(3)]).unwrap();
            tx.put_channel_tags(&channel_hash(0), &[tag(2), tag(3)]).unwrap();
            tx.delete_channel_tag(&channel_hash(0), &tag(2)).unwrap();
            tx.delete_inbound_channel(&channel_hash(2)).unwrap();
        },
        check: |tx| {
            let by_tag = |n| tx.channels_by_tag(&tag(n)).unwrap();
            assert_eq!(by_tag(1), [channel_hash(0), channel_hash(1)]);
            assert_eq!(by_tag(2), [channel_hash(1)]);
            assert_eq!(by_tag(3), [channel_hash(0)]);
            assert_eq!(tx.inbound_channel(&channel_hash(2)).unwrap(), None);
        },
    }
}
