use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use undertone_protocol::ids::EntryId;

use super::fixtures::*;
use super::{Case, MemoryStore, NodeStore, OnDisk};
use crate::store::{NodeTx, StoreError};

fn id(n: u8) -> EntryId {
    EntryId::new([n; 32])
}

fn put(tx: &mut dyn NodeTx, of: u8, entry: u8, replaces: &[u8]) {
    let replaces: Vec<EntryId> = replaces.iter().copied().map(id).collect();
    tx.put_account_change(&user(of), &id(entry), &replaces).unwrap();
}

fn standing(tx: &dyn NodeTx, of: u8) -> Vec<EntryId> {
    tx.account_changes(&user(of)).unwrap()
}

pub(super) fn a_replaced_change_does_not_stand() -> Case {
    Case {
        fill: |tx| {
            put(tx, 1, 3, &[]);
            put(tx, 1, 1, &[]);
            put(tx, 1, 5, &[]);
            assert_eq!(standing(tx, 1), [id(1), id(3), id(5)]);
            put(tx, 1, 2, &[3, 1]);
        },
        check: |tx| assert_eq!(standing(tx, 1), [id(2), id(5)]),
    }
}

pub(super) fn what_is_replaced_may_come_later() -> Case {
    Case {
        fill: |tx| {
            put(tx, 1, 2, &[1]);
            assert_eq!(standing(tx, 1), [id(2)]);
            put(tx, 1, 1, &[0]);
            // Again.
            put(tx, 1, 2, &[1]);
            put(tx, 1, 1, &[0]);
        },
        check: |tx| assert_eq!(standing(tx, 1), [id(2)]),
    }
}

pub(super) fn users_have_changes_of_their_own() -> Case {
    Case {
        fill: |tx| {
            put(tx, 1, 1, &[]);
            put(tx, 2, 2, &[1]);
        },
        check: |tx| {
            assert_eq!(standing(tx, 1), [id(1)]);
            assert_eq!(standing(tx, 2), [id(2)]);
            assert_eq!(standing(tx, 3), []);
        },
    }
}

type Change = (u8, Vec<u8>);

/// Changes of one user, and the same in another order with some of them repeated.
fn orders() -> impl Strategy<Value = (Vec<Change>, Vec<Change>)> {
    let change = (0..8_u8, vec(0..8_u8, 0..3));
    vec(change, 0..10).prop_flat_map(|changes| {
        let repeated = [changes.as_slice(), &changes[changes.len() / 2..]].concat();
        (Just(changes), Just(repeated).prop_shuffle())
    })
}

fn after(store: &mut impl NodeStore, changes: &[Change]) -> Vec<EntryId> {
    let standing = store.transaction(|tx| {
        for (entry, replaces) in changes {
            put(tx, 1, *entry, replaces);
        }
        Ok::<_, StoreError>(standing(tx, 1))
    });
    standing.unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn any_order_comes_to_the_same((changes, otherwise) in orders()) {
        let replaced: BTreeSet<u8> = changes.iter().flat_map(|(_, replaces)| replaces).copied().collect();
        let put: BTreeSet<u8> = changes.iter().map(|(entry, _)| *entry).collect();
        let expected: Vec<EntryId> = put.difference(&replaced).copied().map(id).collect();
        prop_assert_eq!(&after(&mut MemoryStore::default(), &changes), &expected);
        prop_assert_eq!(&after(&mut MemoryStore::default(), &otherwise), &expected);
        prop_assert_eq!(&after(&mut OnDisk::new().open(), &otherwise), &expected);
    }
}
