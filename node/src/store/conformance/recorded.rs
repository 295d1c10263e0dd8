//! A database that an earlier build wrote (`node/recorded/README.md`) is opened, migrated and read whole.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use undertone_protocol::crypto::AccountState;
use undertone_protocol::ids::{EntryId, Secret};
use undertone_protocol::receipts::Tick;

use super::compare::assert_same;
use super::fixtures::*;
use crate::store::{CutReason, MemoryStore, NodeStore, NodeTx, OutboxState, SqliteStore, StoreError};

#[test]
fn a_database_of_schema_1_is_read_whole() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("node.db");
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded/schema-1/node.db");
    fs::write(&path, fs::read(recorded).unwrap()).unwrap();
    for _ in 0..2 {
        let mut opened = SqliteStore::open(&path, &Secret::new([7; 32])).unwrap();
        compare(&mut opened);
    }
}

fn compare(opened: &mut SqliteStore) {
    let mut expected = MemoryStore::default();
    let same = expected.transaction(|expected| {
        fill(expected);
        opened.transaction(|opened| {
            assert_same(opened, expected);
            assert_eq!(opened.account().unwrap().map(|account| account.name), Some(name("Robin")));
            // What was counted of the recipients shows in the next step of one.
            step(expected);
            step(opened);
            assert_same(opened, expected);
            Err::<(), _>(StoreError::Database("nothing of that is kept".to_owned()))
        })
    });
    assert!(same.is_err());
}

/// A recipient of each of some items takes a step.
fn step(tx: &mut dyn NodeTx) {
    for id in 1..=u64::from(COUNT) {
        tx.set_outbox_recipients(id, &[(device(0), OutboxState::Failed)]).unwrap();
    }
}

/// What the earlier build put: a row or more of each table of schema 1.
fn fill(tx: &mut dyn NodeTx) {
    tx.put_account(&crate::store::Account { fault: None, ..account(2) }).unwrap();
    tx.put_olm_account(&AccountState::from_bytes(state_bytes(1))).unwrap();
    for n in 0..COUNT {
        tx.put_home_relay(&home_relay(n, (9 - n).into())).unwrap();
        tx.put_contact(&contact(n, ["ada", "Bob", "eve", "Zoe"][usize::from(n)])).unwrap();
        tx.put_peer_device(&peer_device(n)).unwrap();
        tx.put_invitation(&invitation(n, n.into())).unwrap();
        tx.put_revocation(&revocation(1, n, n == 2)).unwrap();
        tx.put_account_change(&user(1), &EntryId::new([n; 32]), &[EntryId::new([n + 1; 32])]).unwrap();
        tx.put_olm_session(&olm_session(n, 1, n.into())).unwrap();
        tx.put_prekey_base(&[n; 32], t(n.into())).unwrap();
        tx.put_outbound_channel(&device(n), &outbound_channel(n)).unwrap();
        tx.put_inbound_channel(&channel_hash(n), &inbound_channel(n), Some(&device(1))).unwrap();
        tx.put_channel_tags(&channel_hash(n), &[tag(n), tag(1)]).unwrap();
        tx.put_receiver_key(&receiver_key(n, n.into(), n.into())).unwrap();
        tx.put_message_tags(&session_id(n), &[(tag(n), 3)]).unwrap();
        tx.put_frontier(&conversation(1), &device(n), &frontier_item(n.into())).unwrap();
        tx.put_acknowledgement(&acknowledgement(1, n, 3)).unwrap();
        tx.put_own_receipts(&conversation(n), &own_receipts(n.into(), n == 1, n == 2)).unwrap();
        tx.put_delivery(&delivery(n, 1, n.into(), Tick::Sent)).unwrap();
        tx.put_seen(&payload_hash(n), t(n.into())).unwrap();
        tx.put_quarantine(&quarantined(n, n.into())).unwrap();
    }
    for (n, purpose) in (0..).zip(purposes(1)) {
        let states = [pending(n), custody(n), OutboxState::Acknowledged, OutboxState::Failed];
        tx.put_outbox(&outbox_item(0, purpose, &states)).unwrap();
    }
    for entry in ENTRIES.iter() {
        tx.put_entry(&stored(entry.clone(), entry.header.seq)).unwrap();
    }
    tx.put_cut(&conversation(1), &device(1), &cut(2, CutReason::Forked)).unwrap();
    put_sender_keys(tx);
}

/// It did not know when a sender key was made.
fn put_sender_keys(tx: &mut dyn NodeTx) {
    let key = sender_key(1, 3);
    tx.put_sender_key(&crate::store::SenderKey { made: t(0), ..key }).unwrap();
}
