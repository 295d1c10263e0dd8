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
            let called = |name: &str| tx.contacts_called(name).unwrap();
            assert_eq!(called("ärger"), [user(1)]);
            assert_eq!(called("Ärger"), []);
            assert_eq!(called("ad"), []);
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

pub(super) fn a_contact_is_forgotten_alone() -> Case {
    Case {
        fill: |tx| {
            for n in 0..COUNT {
                tx.put_contact(&contact(n, "ada")).unwrap();
                tx.put_peer_device(&peer_device(n)).unwrap();
            }
            tx.delete_contact(&user(2)).unwrap();
            tx.delete_contact(&user(COUNT)).unwrap();
        },
        check: |tx| {
            assert_eq!(tx.contact(&user(2)).unwrap(), None);
            assert_eq!(tx.contact(&user(1)).unwrap(), Some(contact(1, "ada")));
            assert_eq!(tx.contacts().unwrap().len(), usize::from(COUNT) - 1);
            assert_eq!(tx.contacts_called("ada").unwrap().len(), usize::from(COUNT) - 1);
            assert_eq!(tx.peer_device(&device(2)).unwrap(), Some(peer_device(2)));
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
            assert_eq!(tx.peer_fetched(&device(1)).unwrap(), Some(peer_device(1).fetched));
            assert_eq!(tx.peer_fetched(&device(0)).unwrap(), None);
        },
    }
}

pub(super) fn devices_come_by_id_and_go() -> Case {
    Case {
        fill: |tx| {
            for n in 0..2 * COUNT {
                tx.put_peer_device(&peer_device(n)).unwrap();
            }
            tx.delete_peer_device(&device(2)).unwrap();
            tx.delete_peer_device(&device(2 * COUNT)).unwrap();
        },
        check: |tx| {
            for n in [1, 1 + COUNT, 2 + COUNT] {
                assert_eq!(tx.peer_device(&device(n)).unwrap(), Some(peer_device(n)));
            }
            assert_eq!(tx.peer_device(&device(2)).unwrap(), None);
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
            let due = |n, limit| tx.revocations_due(&relay(n), limit).unwrap();
            assert_eq!(due(0, 9), [path(1)]);
            assert_eq!(due(1, 9), [path(1), path(3), path(2)]);
            assert_eq!(due(1, 2), [path(1), path(3)]);
            assert!(due(2, 9).is_empty());
        },
    }
}
