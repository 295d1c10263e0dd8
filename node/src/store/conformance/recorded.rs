//! A database that an earlier build wrote (`node/recorded/README.md`) is opened, migrated and read whole.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tempfile::TempDir;
use undertone_protocol::crypto::AccountState;
use undertone_protocol::ids::{EntryId, Secret};
use undertone_protocol::receipts::Tick;

use super::compare::assert_same;
use super::fixtures::*;
use crate::store::{
    Contact, CutReason, HomeRelay, Member, MemoryStore, NodeStore, NodeTx, OutboxState, Purpose, ReceiverKey,
    SqliteStore, StoreError,
};

#[test]
fn a_database_of_schema_1_is_read_whole() {
    is_read_whole("schema-1", fill);
}

/// Among its entries are some of a later version, which it kept without knowing what they say: today's knows it.
#[test]
fn a_database_of_schema_2_is_read_whole() {
    is_read_whole("schema-2", fill_2);
}

/// Its membership documents were in one piece.
#[test]
fn a_database_of_schema_3_is_read_whole() {
    is_read_whole("schema-3", fill_3);
}

/// What schema 4 brought can be written, and nothing is lost by it.
#[test]
fn earlier_documents_take_parts() {
    let copy = copy("schema-3");
    let [whole, part] = [b"document".to_vec(), b"what came since".to_vec()];
    let before = copy.open().transaction(|tx| {
        let before = tx.group_document(&conversation(1))?;
        tx.add_to_group_document(&conversation(1), &part)?;
        Ok(before)
    });
    assert_eq!(before.unwrap(), std::slice::from_ref(&whole));
    copy.open()
        .transaction(|tx| {
            assert_eq!(tx.group_document(&conversation(1)).unwrap(), [whole, part]);
            assert_eq!(tx.group_document(&conversation(2)).unwrap(), [vec![0xff; 9_000]]);
            assert!(tx.group_document(&conversation(3)).unwrap().is_empty());
            Ok(())
        })
        .unwrap();
}

/// What schema 3 brought is there, holds nothing, and can be written; who was a contact stays one.
#[test]
fn earlier_databases_have_room_for_groups() {
    for recorded in ["schema-1", "schema-2"] {
        let copy = copy(recorded);
        let contacts = copy.open().transaction(|tx| {
            assert_eq!(tx.groups().unwrap(), []);
            for n in 0..COUNT {
                assert!(tx.group_document(&conversation(n)).unwrap().is_empty());
                assert_eq!(tx.members(&conversation(n)).unwrap(), []);
                assert_eq!(tx.groups_of(&user(n)).unwrap(), []);
                assert!(ENTRIES.iter().all(|entry| !tx.is_void(&entry.id).unwrap()));
            }
            tx.put_group(&group(1, "choir")).unwrap();
            tx.put_group_document(&conversation(1), b"document").unwrap();
            tx.put_member(&member(1, 2)).unwrap();
            tx.put_void(&ENTRIES[1].id, true).unwrap();
            tx.contacts()
        });
        let contacts = contacts.unwrap();
        assert_eq!(contacts.len(), usize::from(COUNT));
        let again = copy.open().transaction(|tx| {
            assert_eq!(tx.groups().unwrap(), [group(1, "choir")]);
            assert_eq!(tx.group_document(&conversation(1)).unwrap(), [b"document".to_vec()]);
            assert_eq!(tx.members(&conversation(1)).unwrap(), [member(1, 2)]);
            assert!(tx.is_void(&ENTRIES[1].id).unwrap());
            tx.contacts()
        });
        assert_eq!(again.unwrap(), contacts);
    }
}

/// A recorded database, to be written.
struct Restored {
    _directory: TempDir,
    path: PathBuf,
}

impl Restored {
    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path, &Secret::new([7; 32])).unwrap()
    }
}

fn copy(recorded: &str) -> Restored {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("node.db");
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded").join(recorded).join("node.db");
    fs::write(&path, fs::read(recorded).unwrap()).unwrap();
    Restored { _directory: directory, path }
}

fn is_read_whole(recorded: &str, fill: fn(&mut dyn NodeTx)) {
    let copy = copy(recorded);
    for _ in 0..2 {
        compare(&mut copy.open(), fill);
    }
}

fn compare(opened: &mut SqliteStore, fill: fn(&mut dyn NodeTx)) {
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
        // To add and give up relays came with schema 5, to be invited by their operators with 6, to forget with 7,
        // to do so again soon with 8.
        let home = home_relay(n, (9 - n).into());
        let home = HomeRelay { announced: true, retired: None, invitation: Bytes::new(), ..home };
        let home = HomeRelay { renewed: None, lost_due: None, moved_due: None, ..home };
        tx.put_home_relay(&home).unwrap();
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
        // With which number entries begin came with schema 10.
        tx.put_receiver_key(&ReceiverKey { next_seq: 1, ..receiver_key(n, n.into(), n.into()) }).unwrap();
        tx.put_message_tags(&session_id(n), &[(tag(n), 3)]).unwrap();
        tx.put_frontier(&conversation(1), &device(n), &frontier_item(n.into())).unwrap();
        tx.put_acknowledgement(&acknowledgement(1, n, 3)).unwrap();
        tx.put_own_receipts(&conversation(n), &own_receipts(n.into(), n == 1, n == 2)).unwrap();
        tx.put_delivery(&delivery(n, 1, n.into(), Tick::Sent)).unwrap();
        tx.put_seen(&payload_hash(n), t(n.into())).unwrap();
        tx.put_quarantine(&quarantined(n, n.into())).unwrap();
    }
    // Updates of groups came with schema 3.
    let known = purposes(1).into_iter().filter(|purpose| !matches!(purpose, Purpose::Group(_)));
    for (n, purpose) in (0..).zip(known) {
        let states = [pending(n), custody(n), OutboxState::Acknowledged, OutboxState::Failed];
        tx.put_outbox(&outbox_item(0, purpose, &states)).unwrap();
    }
    for entry in ENTRIES.iter() {
        tx.put_entry(&stored(entry.clone(), entry.header.seq)).unwrap();
    }
    tx.put_cut(&conversation(1), &device(1), &cut(2, CutReason::Forked)).unwrap();
    put_sender_keys(tx);
}

/// What a build of schema 2 put besides: what schema 1 had no place for, and entries that it could not read.
fn fill_2(tx: &mut dyn NodeTx) {
    fill(tx);
    tx.put_sender_key(&sender_key(2, 3)).unwrap();
    for n in 0..COUNT {
        tx.put_gap(&conversation(1), &device(n), &gap(n.into(), n.into())).unwrap();
        tx.put_acknowledged(&conversation(1), &device(n), &acknowledged(n.into())).unwrap();
    }
    for (seq, entry) in (1..).zip(annotations(ENTRIES[1].id)) {
        tx.put_entry(&stored(entry, 20 + seq)).unwrap();
    }
}

/// What a build of schema 3 put besides: groups, what belongs to them, and what expires.
fn fill_3(tx: &mut dyn NodeTx) {
    fill_2(tx);
    tx.put_contact(&Contact { asks_by: Some(handle(7)), join_by: Some(handle(8)), ..contact(2, "eve") })
        .unwrap();
    for n in 0..COUNT {
        tx.put_group(&group(n, ["choir", "Club", "", "Ärger"][usize::from(n)])).unwrap();
        // Nobody was told then up to where others wrote.
        tx.put_member(&Member { written: Vec::new(), ..member(1, n) }).unwrap();
        tx.put_acknowledged_at(&acknowledged_by(1, n), 2, t(n.into())).unwrap();
    }
    tx.put_group_document(&conversation(1), b"document").unwrap();
    tx.put_group_document(&conversation(2), &[0xff; 9_000]).unwrap();
    tx.put_void(&ENTRIES[1].id, true).unwrap();
    tx.put_expiry(&ENTRIES[2].id, Some(t(2))).unwrap();
    let states = [pending(1), custody(1), OutboxState::Acknowledged, OutboxState::Failed];
    tx.put_outbox(&outbox_item(0, Purpose::Group(conversation(1)), &states)).unwrap();
}

/// It did not know when a sender key was made.
fn put_sender_keys(tx: &mut dyn NodeTx) {
    let key = sender_key(1, 3);
    tx.put_sender_key(&crate::store::SenderKey { made: t(0), ..key }).unwrap();
}
