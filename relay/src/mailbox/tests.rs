//! The mailboxes against a reference model, step by step, crashes included.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use undertone_protocol::ids::{MailboxId, PayloadHash};
use undertone_protocol::limits::DEDUP_AFTER_DELETION;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire;

use super::*;
use crate::limits::Limits;
use crate::store::table::Table;
use crate::store::usage::{self, ENTRY_DISK_BYTES, MARK_DISK_BYTES, PAYLOAD_DISK_BYTES};
use crate::store::{MemoryStore, Overlay, Store};

fn limits() -> Limits {
    Limits {
        mailbox_class_0_messages_max: 3,
        mailbox_class_0_bytes_max: 1_000,
        mailbox_class_0_known_messages_max: 4,
        mailbox_class_1_messages_max: 2,
        mailbox_class_1_bytes_max: 250,
        mailbox_class_1_known_messages_max: 3,
        disk_bytes_max: 4_000,
        disk_class_1_percent: 70,
        envelope_ttl_ms_max: 10_000,
        ..Limits::default()
    }
}

type Place = (u8, DurableClass, u64);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mark {
    Held(DurableClass, u64),
    Acked(DurableClass, u64),
}

/// What the store must hold: written as plainly as can be.
#[derive(Debug, Clone, Default)]
struct Model {
    now: u64,
    /// Payload and end of custody.
    entries: BTreeMap<Place, (u8, u64)>,
    last_seq: BTreeMap<(u8, DurableClass), u64>,
    marks: BTreeMap<(u8, u8), Mark>,
}

#[derive(Debug, PartialEq)]
enum Told {
    Stored(u64),
    Duplicate(u64),
    Full,
    NoDisk,
}

impl Model {
    fn publish(&mut self, mailbox: u8, class: DurableClass, payload: u8, life: u64, limits: &Limits) -> Told {
        let until = (self.now + life).min(self.now + limits.envelope_ttl_ms_max);
        match self.marks.get(&(mailbox, payload)).copied() {
            Some(Mark::Acked(_, forget_at)) if forget_at > self.now => return Told::Duplicate(0),
            Some(Mark::Held(class, seq)) => {
                let held = self.entries.get_mut(&(mailbox, class, seq)).unwrap();
                if held.1 > self.now {
                    held.1 = held.1.max(until);
                    return Told::Duplicate(held.1);
                }
                self.entries.remove(&(mailbox, class, seq));
            }
            _ => {}
        }
        self.marks.remove(&(mailbox, payload));
        let size = size_of(payload);
        let held: Vec<u64> = self.queue(mailbox, class).map(|(_, (payload, _))| size_of(*payload)).collect();
        let (messages_max, bytes_max, known_max) = match class {
            DurableClass::Zero => (3, 1_000, 4),
            DurableClass::One => (2, 250, 3),
        };
        let (count, bytes) = (held.len() as u64, held.iter().sum::<u64>());
        if count >= messages_max
            || bytes + size > bytes_max
            || count + self.remembered(mailbox, class) >= known_max
        {
            return Told::Full;
        }
        let share = if class == DurableClass::Zero { 100 } else { u64::from(limits.disk_class_1_percent) };
        let seq = self.last_seq.get(&(mailbox, class)).copied().unwrap_or(0) + 1;
        let mut after = self.clone();
        after.entries.insert((mailbox, class, seq), (payload, until));
        if after.disk() > limits.disk_bytes_max / 100 * share {
            return Told::NoDisk;
        }
        *self = after;
        self.last_seq.insert((mailbox, class), seq);
        self.marks.insert((mailbox, payload), Mark::Held(class, seq));
        Told::Stored(until)
    }

    fn queue(&self, mailbox: u8, class: DurableClass) -> impl Iterator<Item = (&Place, &(u8, u64))> {
        self.entries.iter().filter(move |((to, of, _), _)| (*to, *of) == (mailbox, class))
    }

    fn remembered(&self, mailbox: u8, class: DurableClass) -> u64 {
        let acked = |mark: &Mark| matches!(mark, Mark::Acked(of, _) if *of == class);
        self.marks.iter().filter(|((to, _), mark)| *to == mailbox && acked(mark)).count() as u64
    }

    fn ack(&mut self, mailbox: u8, spans: &AckSpans) -> u64 {
        let gone: Vec<(Place, u8)> = self
            .queue(mailbox, spans.class)
            .filter(|((_, _, seq), _)| covers(spans, *seq))
            .map(|(place, (payload, _))| (*place, *payload))
            .collect();
        let forget_at = self.now + DEDUP_AFTER_DELETION.as_millis() as u64;
        for (place, payload) in &gone {
            self.entries.remove(place);
            self.marks.insert((mailbox, *payload), Mark::Acked(place.1, forget_at));
        }
        gone.len() as u64
    }

    fn sweep(&mut self, budget: usize) {
        let mut due: Vec<(u64, Place, u8)> =
            self.entries.iter().map(|(place, (payload, until))| (*until, *place, *payload)).collect();
        due.retain(|(until, ..)| *until <= self.now);
        due.sort();
        for (_, place, payload) in due.into_iter().take(budget) {
            self.entries.remove(&place);
            self.marks.remove(&(place.0, payload));
        }
        let mut forgotten: Vec<_> = self
            .marks
            .iter()
            .filter_map(|((mailbox, payload), mark)| match mark {
                Mark::Acked(_, at) if *at <= self.now => {
                    Some((*at, *mailbox, hash(*payload).to_hex(), *payload))
                }
                _ => None,
            })
            .collect();
        forgotten.sort();
        for (_, mailbox, _, payload) in forgotten.into_iter().take(budget) {
            self.marks.remove(&(mailbox, payload));
        }
    }

    fn payloads(&self) -> BTreeMap<u8, u64> {
        let mut counts = BTreeMap::new();
        for (payload, _) in self.entries.values() {
            *counts.entry(*payload).or_insert(0) += 1;
        }
        counts
    }

    fn disk(&self) -> u64 {
        let payloads: u64 =
            self.payloads().keys().map(|payload| size_of(*payload) + PAYLOAD_DISK_BYTES).sum();
        let acked = self.marks.values().filter(|mark| matches!(mark, Mark::Acked(..))).count() as u64;
        payloads + self.entries.len() as u64 * ENTRY_DISK_BYTES + acked * MARK_DISK_BYTES
    }
}

fn covers(spans: &AckSpans, seq: u64) -> bool {
    seq <= spans.through || spans.ranges.iter().any(|(first, last)| (*first..=*last).contains(&seq))
}

fn content(payload: u8) -> Bytes {
    vec![payload; usize::from(payload) * 60 + 1].into()
}

fn size_of(payload: u8) -> u64 {
    content(payload).len() as u64
}

fn hash(payload: u8) -> PayloadHash {
    PayloadHash::of(&content(payload))
}

fn mailbox(number: u8) -> MailboxId {
    MailboxId::new([number; 16])
}

#[derive(Debug, Clone)]
enum Op {
    Publish { mailbox: u8, class: DurableClass, payload: u8, life: u64 },
    Ack { mailbox: u8, spans: AckSpans },
    Advance(u64),
    Sweep(usize),
}

fn class() -> impl Strategy<Value = DurableClass> {
    prop_oneof![2 => Just(DurableClass::Zero), 1 => Just(DurableClass::One)]
}

fn op() -> impl Strategy<Value = Op> {
    let seq = || prop_oneof![0u64..12, Just(u64::MAX)];
    let ranges = proptest::collection::vec((1u64..12, 0u64..4), 0..3)
        .prop_map(|ranges| ranges.into_iter().map(|(first, more)| (first, first + more)).collect());
    prop_oneof![
        6 => (0u8..2, class(), 1u8..6, prop_oneof![1u64..3_000, Just(50_000)])
            .prop_map(|(mailbox, class, payload, life)| Op::Publish { mailbox, class, payload, life }),
        2 => (0u8..2, class(), seq(), ranges).prop_map(|(mailbox, class, through, ranges)| {
            Op::Ack { mailbox, spans: AckSpans { class, through, ranges } }
        }),
        2 => prop_oneof![1u64..2_000, Just(DEDUP_AFTER_DELETION.as_millis() as u64)].prop_map(Op::Advance),
        2 => prop_oneof![Just(100usize), 1usize..3].prop_map(Op::Sweep),
    ]
}

fn apply(op: &Op, model: &mut Model, tx: &mut Overlay<'_, MemoryStore>) -> Result<(), TestCaseError> {
    let now = Timestamp::from_ms(model.now);
    match op {
        Op::Publish { mailbox, class, payload, life } => {
            let told = publish(tx, *mailbox, *class, *payload, *life, now);
            prop_assert_eq!(told, model.publish(*mailbox, *class, *payload, *life, &limits()));
        }
        Op::Ack { mailbox: to, spans } => {
            let count = acknowledge(tx, &mailbox(*to), spans, now).unwrap();
            prop_assert_eq!(count, model.ack(*to, spans));
        }
        Op::Advance(ms) => model.now += ms,
        Op::Sweep(budget) => {
            sweep(tx, Timestamp::ZERO, now, *budget).unwrap();
            model.sweep(*budget);
        }
    }
    compare(model, tx)
}

fn publish(
    tx: &mut Overlay<'_, MemoryStore>,
    to: u8,
    class: DurableClass,
    payload: u8,
    life: u64,
    now: Timestamp,
) -> Told {
    let (expiry, content) = (now.after(Duration::from_millis(life)), content(payload));
    match known(tx, &mailbox(to), &hash(payload), now).unwrap() {
        Known::Acknowledged => return Told::Duplicate(0),
        Known::Held(held) => {
            return Told::Duplicate(extend(tx, held, expiry, &limits(), now).unwrap().as_ms());
        }
        Known::No => {}
    }
    let (mailbox, hash) = (mailbox(to), hash(payload));
    let item = Enqueue {
        mailbox,
        class,
        hash,
        payload: &content,
        expiry,
        beside_bytes: 0,
        is_shared: payload.is_multiple_of(2),
    };
    match enqueue(tx, item, &limits(), now).unwrap() {
        Enqueued::Stored(until) => Told::Stored(until.as_ms()),
        Enqueued::Full => Told::Full,
        Enqueued::NoDisk => Told::NoDisk,
    }
}

/// The whole store against the whole model.
fn compare(model: &Model, tx: &Overlay<'_, MemoryStore>) -> Result<(), TestCaseError> {
    for to in 0..2 {
        for class in DurableClass::ALL {
            let found = entries(tx, &mailbox(to), class, 0, u64::MAX, usize::MAX).unwrap();
            let found: Vec<_> =
                found.into_iter().map(|(seq, entry)| (seq, entry.hash, entry.held_until_ms)).collect();
            let expected: Vec<_> = model
                .queue(to, class)
                .map(|((_, _, seq), (payload, until))| (*seq, hash(*payload).to_wire(), *until))
                .collect();
            let queue = queue(tx, &mailbox(to), class).unwrap();
            let bytes: u64 = model.queue(to, class).map(|(_, (payload, _))| size_of(*payload)).sum();
            prop_assert_eq!((queue.messages, queue.bytes), (expected.len() as u64, bytes));
            prop_assert_eq!(queue.remembered, model.remembered(to, class));
            prop_assert_eq!(queue.last_seq, model.last_seq.get(&(to, class)).copied().unwrap_or(0));
            prop_assert!(queue.acked_through <= queue.last_seq);
            prop_assert_eq!(found, expected);
        }
    }
    let count = |table: Table| {
        let prefix = table.key();
        tx.range(prefix.as_ref(), prefix.after_prefix().as_ref(), usize::MAX).unwrap().len()
    };
    let acked = model.marks.values().filter(|mark| matches!(mark, Mark::Acked(..))).count();
    prop_assert_eq!(count(Table::Payload), model.payloads().len());
    let several = model.payloads().values().filter(|count| **count > 1).count();
    prop_assert_eq!(count(Table::References), several);
    prop_assert_eq!(count(Table::Expiry), model.entries.len());
    prop_assert_eq!(count(Table::Mark), model.marks.len());
    prop_assert_eq!(count(Table::Forget), acked);
    for payload in model.payloads().keys() {
        let key = Table::Payload.key().part(hash(*payload).as_bytes());
        prop_assert_eq!(tx.get(key.as_ref()).unwrap(), Some(content(*payload)));
    }
    prop_assert_eq!(usage::usage(tx).unwrap().disk_bytes, model.disk());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn agrees_with_the_model_across_crashes(
        batches in proptest::collection::vec((proptest::collection::vec(op(), 1..8), any::<bool>()), 1..14)
    ) {
        let mut store = MemoryStore::new();
        let mut committed = Model { now: 1_000, ..Model::default() };
        for (ops, commit) in batches {
            let mut model = committed.clone();
            let mut tx = Overlay::new(&store);
            for op in &ops {
                apply(op, &mut model, &mut tx)?;
            }
            if commit {
                let batch = tx.into_batch();
                store.commit(batch).unwrap();
                committed = model;
            } else {
                committed.now = model.now;
            }
            compare(&committed, &Overlay::new(&store))?;
        }
    }
}

#[test]
fn an_acknowledgement_stops_at_what_was_enqueued() {
    let store = MemoryStore::new();
    let mut tx = Overlay::new(&store);
    let now = Timestamp::from_ms(1);
    let spans = AckSpans { class: DurableClass::Zero, through: 50, ranges: vec![(60, u64::MAX)] };
    assert_eq!(acknowledge(&mut tx, &mailbox(0), &spans, now).unwrap(), 0);
    assert!(matches!(publish(&mut tx, 0, DurableClass::Zero, 1, 500, now), Told::Stored(_)));
    assert_eq!(queue(&tx, &mailbox(0), DurableClass::Zero).unwrap().acked_through, 0);
    assert_eq!(entries(&tx, &mailbox(0), DurableClass::Zero, 1, 9, 9).unwrap().len(), 1);
}

#[test]
fn ranges_that_overlap_or_touch_are_one() {
    let of = |ranges: &[(u64, u64)]| {
        let ranges = ranges.iter().map(|(from, through)| wire::Range { from: *from, through: *through });
        AckSpans::from_wire(&wire::Ack { class: 0, through: 1, ranges: ranges.collect() }).unwrap().ranges
    };
    assert_eq!(of(&[(5, 9); 64]), [(5, 9)]);
    assert_eq!(of(&[(20, 30), (4, 4), (5, 9), (8, 12), (6, 7), (14, 15)]), [(4, 12), (14, 15), (20, 30)]);
    assert_eq!(of(&[(9, u64::MAX), (3, u64::MAX), (u64::MAX, u64::MAX)]), [(3, u64::MAX)]);
}

#[test]
fn a_sweep_from_the_last_one_misses_nothing() {
    let store = MemoryStore::new();
    let mut tx = Overlay::new(&store);
    let at = Timestamp::from_ms;
    publish(&mut tx, 0, DurableClass::Zero, 1, 100, at(1_000));
    assert_eq!(sweep(&mut tx, at(0), at(1_099), 10).unwrap().expired, 0);
    assert_eq!(sweep(&mut tx, at(1_099), at(1_100), 10).unwrap().expired, 1);
}
