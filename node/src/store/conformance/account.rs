use undertone_protocol::crypto::AccountState;

use super::Case;
use super::fixtures::*;

pub(super) fn the_account_is_kept_with_its_secrets() -> Case {
    Case {
        fill: |tx| {
            assert_eq!(tx.account().unwrap(), None);
            tx.put_account(&account(0)).unwrap();
            tx.put_account(&account(1)).unwrap();
            tx.put_olm_account(&AccountState::from_bytes(state_bytes(1))).unwrap();
            tx.put_olm_account(&AccountState::from_bytes(state_bytes(2))).unwrap();
            tx.put_introduced(t(u64::MAX)).unwrap();
            tx.put_introduced(t(8)).unwrap();
        },
        check: |tx| {
            assert_eq!(tx.account().unwrap(), Some(account(1)));
            assert_eq!(tx.olm_account().unwrap(), Some(AccountState::from_bytes(state_bytes(2))));
            assert_eq!(tx.introduced().unwrap(), Some(t(8)));
        },
    }
}

pub(super) fn a_code_that_waits_is_kept() -> Case {
    Case {
        fill: |tx| {
            tx.put_account(&account(0)).unwrap();
            tx.put_account(&account(2)).unwrap();
        },
        check: |tx| {
            let kept = tx.account().unwrap().unwrap();
            assert_eq!(kept.linking, Some(secret(7)));
            assert_eq!(kept, account(2));
        },
    }
}

pub(super) fn home_relays_come_by_priority_then_key() -> Case {
    Case {
        fill: |tx| {
            for (n, priority) in [(3, 1), (2, 0), (1, 1), (0, u32::MAX)] {
                tx.put_home_relay(&home_relay(n, priority)).unwrap();
            }
        },
        check: |tx| {
            let relays = [home_relay(2, 0), home_relay(1, 1), home_relay(3, 1), home_relay(0, u32::MAX)];
            assert_eq!(tx.home_relays().unwrap(), relays);
        },
    }
}

pub(super) fn a_home_relay_is_forgotten() -> Case {
    Case {
        fill: |tx| {
            for n in 0..4 {
                tx.put_home_relay(&home_relay(n, 1)).unwrap();
            }
            for n in [1, 1, 9] {
                tx.delete_home_relay(&relay(n)).unwrap();
            }
        },
        check: |tx| {
            assert_eq!(tx.home_relay(&relay(1)).unwrap(), None);
            assert_eq!(tx.home_relays().unwrap(), [0, 2, 3].map(|n| home_relay(n, 1)));
        },
    }
}

pub(super) fn a_home_relay_is_replaced() -> Case {
    Case {
        fill: |tx| {
            tx.put_home_relay(&home_relay(1, 5)).unwrap();
            tx.put_home_relay(&home_relay(1, 6)).unwrap();
        },
        check: |tx| {
            assert_eq!(tx.home_relay(&relay(1)).unwrap(), Some(home_relay(1, 6)));
            assert_eq!(tx.home_relay(&relay(2)).unwrap(), None);
            assert_eq!(tx.home_relays().unwrap().len(), 1);
        },
    }
}
