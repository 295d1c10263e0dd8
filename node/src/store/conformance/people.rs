use undertone_protocol::ids::EntryId;

use super::Case;
use super::fixtures::*;

pub(super) fn contacts_come_by_name_letter_case_aside() -> Case {
    Case {
        fill: |tx| {
            for (n, called) in [(0, "zoe"), (1, "Ärger"), (2, "adam"), (3, "Berta")] {
                tx.put_contact(&contact(n, called)).unwrap();
            }
        },
        check: |tx| {
            let contacts = tx.contacts().unwrap();
            let names: Vec<&str> = contacts.iter().map(|contact| contact.name.as_str()).collect();
            assert_eq!(names, ["adam", "Berta", "zoe", "Ärger"]);
        },
    }
}

pub(super) fn a_contact_keeps_all_its_fields() -> Case {
    Case {
        fill: |tx| {
            for n in 0..COUNT {
                tx.put_contact(&contact(n, "before")).unwrap();
                tx.put_contact(&contact(n, "after")).unwrap();
            }
        },
        check: |tx| {
            for n in 0..COUNT {
                assert_eq!(tx.contact(&user(n)).unwrap(), Some(contact(n, "after")));
            }
            assert_eq!(tx.contact(&user(COUNT)).unwrap(), None);
        },
    }
}

pub(super) fn a_device_is_found_by_its_id() -> Case {
    Case {
        fill: |tx| {
            for n in 1..COUNT {
                tx.put_peer_device(&peer_device(n)).unwrap();
            }
        },
        check: |tx| {
            assert_eq!(tx.peer_device(&device(1)).unwrap(), Some(peer_device(1)));
            assert_eq!(tx.peer_device(&device(0)).unwrap(), None);
        },
    }
}

pub(super) fn invitations_come_by_handle_and_go() -> Case {
    Case {
        fill: |tx| {
            for n in [3, 1, 2] {
                tx.put_invitation(&invitation(n, 1)).unwrap();
            }
            tx.put_invitation(&invitation(1, 2)).unwrap();
            tx.delete_invitation(&handle(2)).unwrap();
            tx.delete_invitation(&handle(0)).unwrap();
        },
        check: |tx| {
            assert_eq!(tx.invitations().unwrap(), [invitation(1, 2), invitation(3, 1)]);
            assert_eq!(tx.invitation(&handle(3)).unwrap(), Some(invitation(3, 1)));
            assert_eq!(tx.invitation(&handle(2)).unwrap(), None);
        },
    }
}

pub(super) fn revocations_are_due_until_confirmed_and_again_when_forgotten() -> Case {
    Case {
        fill: |tx| {
            for n in [3, 1, 2] {
                tx.put_revocation(&revocation(0, n, n == 2)).unwrap();
                tx.put_revocation(&revocation(1, n, true)).unwrap();
                tx.put_revocation(&revocation(2, n, false)).unwrap();
            }
            tx.put_revocation(&revocation(0, 3, true)).unwrap();
            tx.reopen_revocations(&relay(1)).unwrap();
            tx.delete_revocations(&relay(2)).unwrap();
        },
        check: |tx| {
            let path = |n| revocation(0, n, false).path;
            assert_eq!(tx.revocations_due(&relay(0), 9).unwrap(), [path(1)]);
            assert_eq!(tx.revocations_due(&relay(1), 2).unwrap(), [path(1), path(2)]);
            assert_eq!(tx.revocations_due(&relay(2), 9).unwrap(), [[]; 0]);
        },
    }
}

pub(super) fn a_forgotten_device_is_gone() -> Case {
    Case {
        fill: |tx| {
            tx.put_peer_device(&peer_device(1)).unwrap();
            tx.put_peer_device(&peer_device(2)).unwrap();
            tx.delete_peer_device(&device(1)).unwrap();
        },
        check: |tx| {
            assert_eq!(tx.peer_device(&device(1)).unwrap(), None);
            assert_eq!(tx.peer_device(&device(2)).unwrap(), Some(peer_device(2)));
        },
    }
}

pub(super) fn a_replaced_account_change_does_not_count_whenever_it_comes() -> Case {
    fn change(n: u8) -> EntryId {
        EntryId::new([n; 32])
    }
    Case {
        fill: |tx| {
            tx.put_account_change(&user(1), &change(3), &[change(1), change(2)]).unwrap();
            tx.put_account_change(&user(1), &change(2), &[]).unwrap();
            tx.put_account_change(&user(1), &change(4), &[change(2)]).unwrap();
            tx.put_account_change(&user(1), &change(4), &[change(2)]).unwrap();
            tx.put_account_change(&user(2), &change(5), &[]).unwrap();
        },
        check: |tx| {
            assert_eq!(tx.account_changes(&user(1)).unwrap(), [change(3), change(4)]);
            assert_eq!(tx.account_changes(&user(2)).unwrap(), [change(5)]);
            assert_eq!(tx.account_changes(&user(3)).unwrap(), []);
        },
    }
}
