//! Both stores under the same random operations.

use proptest::collection::vec;
use proptest::prelude::*;
use undertone_protocol::crypto::AccountState;
use undertone_protocol::entry::Content;
use undertone_protocol::ids::EntryId;
use undertone_protocol::receipts::Tick;

use super::compare::assert_same;
use super::fixtures::*;
use super::{MemoryStore, NodeStore, NodeTx, OnDisk, StoreError};
use crate::store::{Contact, CutReason, Delivery, Failure, Member, OutboxState};

/// A method that changes something, and small numbers from which its arguments are made.
#[derive(Debug, Clone, Copy)]
struct Operation {
    method: u8,
    a: u8,
    b: u8,
    c: u8,
}

const METHODS: u8 = 55;

fn operation() -> impl Strategy<Value = Operation> {
    (0..METHODS, 0..COUNT, 0..COUNT, 0..COUNT).prop_map(|(method, a, b, c)| Operation { method, a, b, c })
}

/// Operations of one transaction, and whether it ends well.
fn transaction() -> impl Strategy<Value = (Vec<Operation>, bool)> {
    (vec(operation(), 1..24), prop::bool::weighted(0.7))
}

fn state(n: u8, moment: u8) -> OutboxState {
    match n {
        0 => pending(moment.into()),
        1 => custody(moment.into()),
        2 => OutboxState::Acknowledged,
        3 if moment.is_multiple_of(2) => OutboxState::LeftOut,
        _ => OutboxState::Failed,
    }
}

fn tick(n: u8) -> Tick {
    [Tick::Queued, Tick::Sent, Tick::Delivered, Tick::Read][usize::from(n)]
}

impl Operation {
    fn apply(self, tx: &mut dyn NodeTx) -> Result<u64, StoreError> {
        let Self { a, b, c, .. } = self;
        let called = ["ada", "Ada", "bob", "Zoe"][usize::from(b)];
        match self.method {
            0 => tx.put_account(&account(a))?,
            1 if c == 0 => tx.put_introduced(t(a.into()))?,
            1 => tx.put_olm_account(&AccountState::from_bytes(state_bytes(a)))?,
            2 if c == 0 => tx.delete_home_relay(&relay(a))?,
            2 => tx.put_home_relay(&home_relay(a, b.into()))?,
            3 => {
                let (asks_by, join_by) = ((a == 1).then(|| handle(7)), (a == 2).then(|| handle(8)));
                tx.put_contact(&Contact { asks_by, join_by, ..contact(a, called) })?;
            }
            4 => tx.put_peer_device(&peer_device(a + COUNT * (b % 2)))?,
            54 if c == 0 => tx.delete_group(&conversation(a))?,
            54 => tx.delete_contact(&user(a))?,
            5 => tx.put_invitation(&invitation(a, b.into()))?,
            6 => tx.delete_invitation(&handle(a))?,
            7 => tx.put_olm_session(&olm_session(a, b, c.into()))?,
            8 => tx.delete_olm_session(&device(a), &[b; 32])?,
            9 => tx.put_prekey_base(&[a; 32], t(b.into()))?,
            10 => tx.put_outbound_channel(&device(a), &outbound_channel(b))?,
            11 => {
                let of = (c != 0).then(|| device(c));
                tx.put_inbound_channel(&channel_hash(a), &inbound_channel(b), of.as_ref())?;
            }
            12 => tx.delete_inbound_channel(&channel_hash(a))?,
            13 => tx.put_channel_tags(&channel_hash(a), &[tag(b), tag(c)])?,
            14 => tx.delete_channel_tag(&channel_hash(a), &tag(b))?,
            15 => tx.put_sender_key(&sender_key(a, b.into()))?,
            16 => tx.put_receiver_key(&receiver_key(a, b.into(), c.into()))?,
            17 => tx.put_message_tags(&session_id(a), &[(tag(b), c.into())])?,
            18 => tx.delete_message_tag(&session_id(a), &tag(b))?,
            19 => self.put_entry(tx)?,
            20 => tx.put_frontier(&conversation(a), &device(b), &frontier_item(c.into()))?,
            21 => tx.put_acknowledgement(&acknowledgement(a, b, c.into()))?,
            22 => tx.put_own_receipts(&conversation(a), &own_receipts(b.into(), c % 2 == 0, c / 2 == 0))?,
            23 => self.put_delivery(tx)?,
            24 => return self.put_outbox(tx),
            25 => tx.delete_outbox(a.into())?,
            30 => tx.forget_prekey_bases(t(b.into()))?,
            28 => tx.put_revocation(&revocation(a, b, c == 0))?,
            29 if c == 0 => tx.delete_revocations(&relay(a))?,
            29 => tx.reopen_revocations(&relay(a))?,
            26 => tx.forget_receiver_keys(t(b.into()))?,
            31 => tx.delete_peer_device(&device(a + COUNT * (b % 2)))?,
            32 => self.put_cut(tx)?,
            33 => tx.put_account_change(&user(a % 2), &EntryId::new([b; 32]), &[EntryId::new([c; 32])])?,
            34 => tx.delete_outbound_channel(&device(a))?,
            35 => tx.trim_receiver_keys(&device(a), b.into())?,
            36 => tx.delete_acknowledgement(&conversation(a), &device(b))?,
            37 if c == 0 => tx.trim_seen(b.into())?,
            38 => tx.put_gap(&conversation(a), &device(b), &gap(c.into(), b.into()))?,
            40 => tx.forget_receiver_keys_of(&device(a), t(b.into()))?,
            39 => tx.delete_gap(&conversation(a), &device(b), c.into())?,
            42 => {
                let steps = [(device(b), state(c, b)), (device(c), state(b, c))];
                tx.set_outbox_recipients(a.into(), &steps)?;
            }
            43 => tx.delete_outbox_recipient(a.into(), &device(b))?,
            41 => tx.put_acknowledged(&conversation(a), &device(b), &acknowledged(c.into()))?,
            44 => self.put_annotation(tx)?,
            45 => tx.put_acknowledged_at(&acknowledged_by(a, b), c.into(), t(a.into()))?,
            46 => tx.put_group(&group(a, called))?,
            47 if b == 0 => tx.put_group_document(&conversation(a), &vec![b; usize::from(c)])?,
            47 => tx.add_to_group_document(&conversation(a), &vec![b; usize::from(c)])?,
            48 => tx.put_member(&Member { from_seq: c.into(), ..member(a, b) })?,
            49 => tx.delete_member(&conversation(a), &user(b))?,
            50 => self.put_void(tx)?,
            51 => tx.drop_body(&ENTRIES[usize::from(a * 3 + b.min(2))].id)?,
            53 => {
                let at = (c > 0).then(|| t(c.into()));
                tx.put_expiry(&ENTRIES[usize::from(a * 3 + b.min(2))].id, at)?;
            }
            52 => {
                let entry = expiring(
                    a,
                    u64::from(c) + 1,
                    u64::from(b) + 1,
                    Content::Hidden(vec![EntryId::new([a; 32])]),
                );
                tx.put_entry(&stored(if c == 1 { entry.without_body() } else { entry }, c.into()))?;
            }
            _ => self.put_inbox(tx)?,
        }
        Ok(0)
    }

    fn put_entry(self, tx: &mut dyn NodeTx) -> Result<(), StoreError> {
        let which = usize::from(self.a * 3 + self.b.min(2));
        tx.put_entry(&stored(ENTRIES[which].clone(), self.c.into()))
    }

    fn put_annotation(self, tx: &mut dyn NodeTx) -> Result<(), StoreError> {
        let annotations = &ANNOTATIONS[usize::from(self.a)];
        let which = usize::from(self.b + COUNT * self.c) % annotations.len();
        tx.put_entry(&stored(annotations[which].clone(), self.c.into()))
    }

    /// Of an entry, or of an annotation, held or not.
    fn put_void(self, tx: &mut dyn NodeTx) -> Result<(), StoreError> {
        let Self { a, b, c, .. } = self;
        let annotations = &ANNOTATIONS[usize::from(a)];
        let which = usize::from(a * 3 + b.min(2));
        let entry = if c < 2 { ENTRIES[which].id } else { annotations[which % annotations.len()].id };
        tx.put_void(&entry, !c.is_multiple_of(2))
    }

    fn put_cut(self, tx: &mut dyn NodeTx) -> Result<(), StoreError> {
        let Self { a, b, c, .. } = self;
        let why = if a < 2 { CutReason::Revoked } else { CutReason::Forked };
        tx.put_cut(&conversation(a % 2), &device(b), &cut(c.into(), why))
    }

    fn put_outbox(self, tx: &mut dyn NodeTx) -> Result<u64, StoreError> {
        let Self { a, b, c, .. } = self;
        let purposes = purposes(a);
        let purpose = purposes[usize::from(b + COUNT * c) % purposes.len()];
        tx.put_outbox(&outbox_item(a.into(), purpose, &[state(b, c), state(c, b)]))
    }

    fn put_delivery(self, tx: &mut dyn NodeTx) -> Result<(), StoreError> {
        let Self { a, b, c, .. } = self;
        let failed = (c == 1).then_some(Failure::TooLarge { bytes_max: 9 });
        tx.put_delivery(&Delivery { sealed: c == 0, failed, ..delivery(a, b, c.into(), tick(b)) })
    }

    fn put_inbox(self, tx: &mut dyn NodeTx) -> Result<(), StoreError> {
        let Self { a, b, c, .. } = self;
        match b {
            0 => tx.put_seen(&payload_hash(a), t(c.into())),
            1 => tx.forget_seen(t(c.into())),
            2 => tx.put_quarantine(&quarantined(a, c.into())),
            _ => tx.delete_quarantine(&payload_hash(a)),
        }
    }
}

/// One transaction on both, compared before it ends and when it ended.
fn both(a: &mut impl NodeStore, b: &mut impl NodeStore, operations: &[Operation], ends_well: bool) {
    let ended = a.transaction(|a| {
        b.transaction(|b| {
            for operation in operations {
                assert_eq!(operation.apply(a).unwrap(), operation.apply(b).unwrap(), "{operation:?}");
            }
            assert_same(a, b);
            if ends_well { Ok(()) } else { Err(StoreError::Database("the test says so".to_owned())) }
        })
    });
    assert_eq!(ended.is_ok(), ends_well);
    compare(a, b);
}

fn compare(a: &mut impl NodeStore, b: &mut impl NodeStore) {
    let same = a.transaction(|a| {
        b.transaction(|b| {
            assert_same(a, b);
            Ok(())
        })
    });
    same.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn both_stores_answer_alike(transactions in vec(transaction(), 1..8)) {
        let disk = OnDisk::new();
        let (mut sqlite, mut memory) = (disk.open(), MemoryStore::default());
        for (operations, ends_well) in &transactions {
            both(&mut sqlite, &mut memory, operations, *ends_well);
        }
        drop(sqlite);
        compare(&mut disk.open(), &mut memory);
    }
}
