//! One payload for as many mailboxes as an item takes: it is stored once, and what a recipient costs does not grow.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use undertone_protocol::ids::{MailboxId, PayloadHash, PublishId};
use undertone_protocol::limits::{DEDUP_AFTER_DELETION, PUBLISH_RECIPIENTS_MAX, TOKEN_STEPS_MAX};
use undertone_protocol::token::{ProofInput, TokenGrant};
use undertone_protocol::wire::{self, DenialReason, RefusalCode, ResultCode, frame::Body};

use super::world::*;
use crate::core::{ConnId, Input, Output};
use crate::limits::Limits;
use crate::store::table::Table;
use crate::store::{Batch, MemoryStore, Overlay, Store, StoreError};

const ALL: usize = PUBLISH_RECIPIENTS_MAX;
const HOUR: Duration = Duration::from_secs(3_600);
const PAYLOAD: &[u8] = &[b'x'; 60_000];

fn mailbox_of(member: usize) -> MailboxId {
    let mut id = [0xee; MailboxId::LEN];
    id[..8].copy_from_slice(&member.to_be_bytes());
    MailboxId::new(id)
}

/// A world with so many mailboxes, all of A.
fn world_of(members: usize, limits: Limits) -> World {
    let mut world = World::ready(Limits {
        mailboxes_per_device_max: u32::MAX,
        registrations_per_minute: u32::MAX,
        requests_per_minute: u32::MAX,
        silence_ms_max: u64::MAX,
        ..limits
    });
    for member in 0..members {
        let secret = Bytes::copy_from_slice(secret().expose());
        let register = wire::Register {
            mailbox: mailbox_of(member).to_wire(),
            secret,
            epoch: 1,
            invitation: Bytes::new(),
        };
        let out = world.send(A, Body::Register(register));
        assert!(matches!(answer(&out), Body::Registered(_)), "{out:?}");
    }
    world
}

/// A publish of the payload to some of them.
fn publish(world: &World, number: u8, members: impl Iterator<Item = usize>, grant: &TokenGrant) -> Body {
    let (publish_id, expiry) = (PublishId::new([number; 16]), world.now.after(HOUR));
    let payload_hash = PayloadHash::of(PAYLOAD);
    let proof = grant.prove(&ProofInput { publish_id, payload_hash, relay: world.relay.id(), expiry });
    let recipients = members.map(|member| proof.to_recipient(mailbox_of(member), 1, grant.path())).collect();
    let route = wire::Route { kind: Some(wire::route::Kind::Open(wire::OpenRoute { recipients })) };
    let (payload, expiry_ms) = (Bytes::from_static(PAYLOAD), expiry.as_ms());
    let item = wire::PublishItem { payload, class: 0, expiry_ms, route: Some(route) };
    Body::Publish(wire::Publish { publish_id: publish_id.to_wire(), items: vec![item] })
}

/// How many keys a store has in each table.
fn keys(store: &MemoryStore) -> BTreeMap<u8, usize> {
    let mut keys = BTreeMap::new();
    for (key, _) in store.range(&[], &[255], usize::MAX).unwrap() {
        *keys.entry(key[0]).or_default() += 1;
    }
    keys
}

fn count(world: &World, table: Table) -> usize {
    keys(&world.store).get(&(table as u8)).copied().unwrap_or_default()
}

/// The one number of references.
fn references(world: &World) -> Option<Bytes> {
    let key = [&[Table::References as u8], PayloadHash::of(PAYLOAD).as_bytes().as_slice()].concat();
    world.store.get(&key).unwrap()
}

/// A member fetches and acknowledges all that waits.
fn fetch(world: &mut World, member: usize) -> usize {
    let conn = ConnId::new(1_000 + u64::try_from(member).unwrap());
    world.hello(conn, 1);
    let credits = vec![credit(0, 10, 1_000_000)];
    let attach = wire::Attach { mailbox: mailbox_of(member).to_wire(), credits, ..Default::default() };
    let out = world.send(conn, Body::Attach(attach));
    let delivered = deliveries(&out, conn);
    assert!(delivered.iter().all(|(_, _, payload)| payload == PAYLOAD));
    world.tell(conn, Body::Ack(ack(0, delivered.len().try_into().unwrap(), &[])));
    world.drain(vec![Input::Disconnected { conn }]);
    delivered.len()
}

#[test]
fn a_payload_for_a_full_group_is_kept_once_and_goes_with_the_last_reference() {
    let mut world = world_of(ALL, Limits::default());
    let before = keys(&world.store);
    let out = world.send(B, publish(&world, 1, 0..ALL, &grant(1)));
    let results = world.results(&out);
    assert_eq!(results.len(), ALL);
    assert!(results.iter().all(|result| code(result) == ResultCode::Stored && result.held_until_ms > 0));
    let of = |world: &World| {
        [Table::Payload, Table::References, Table::Entry, Table::Mark].map(|table| count(world, table))
    };
    assert_eq!(of(&world), [1, 1, ALL, ALL]);
    // Field 1, a number of two bytes: 1,024.
    assert_eq!(references(&world).unwrap(), [8, 0x80, 8].as_slice());
    let payloads: u64 = 60_000 + u64::try_from(ALL).unwrap() * 256 + 96;
    assert_eq!(world.disk(), payloads);

    for member in 0..ALL - 1 {
        assert_eq!(fetch(&mut world, member), 1);
    }
    assert_eq!(of(&world), [1, 0, 1, ALL], "one is left");
    assert_eq!(fetch(&mut world, ALL - 1), 1);
    assert_eq!(of(&world), [0, 0, 0, ALL], "only that it came is remembered, for a day");
    world.pass(DEDUP_AFTER_DELETION);
    while world.relay.next_tick().is_some_and(|at| at <= world.now) {
        world.tick();
    }
    // What stays is where each sequence goes on.
    let mut after = keys(&world.store);
    assert_eq!(after.remove(&(Table::Queue as u8)), Some(ALL));
    assert_eq!((after, world.disk()), (before, 0));
}

#[test]
fn one_recipient_more_than_an_item_takes_is_refused_whole() {
    let mut world = world_of(2, Limits::default());
    let before = keys(&world.store);
    let out = world.send(B, publish(&world, 1, (0..=ALL).map(|n| n % 2), &grant(1)));
    let Body::Refusal(refusal) = answer(&out) else { panic!("{out:?}") };
    assert_eq!((refusal.code(), refusal.text.as_str()), (RefusalCode::Limit, "recipients of an item: 1024"));
    assert_eq!(keys(&world.store), before);
}

#[test]
fn each_recipient_has_an_answer_of_its_own() {
    let limits = Limits { mailbox_class_0_messages_max: 1, ..Limits::default() };
    let mut world = world_of(ALL / 2, limits);
    // The mailbox of each tenth is full of something else, and each seventh has it already.
    let (expiry, grant) = (world.now.after(HOUR), grant(1));
    for member in (0..ALL / 2).step_by(10) {
        let mut other = world.make(&[1], b"other", 0, expiry, &grant);
        let route = other.items[0].route.as_mut().unwrap().kind.as_mut().unwrap();
        let wire::route::Kind::Open(open) = route;
        open.recipients[0].mailbox = mailbox_of(member).to_wire();
        world.send(B, Body::Publish(other));
    }
    let sevenths = (0..ALL / 2).step_by(7).filter(|member| !member.is_multiple_of(10));
    let out = world.send(B, publish(&world, 1, sevenths, &grant));
    assert!(world.results(&out).iter().all(|result| code(result) == ResultCode::Stored));

    // The second half is of mailboxes that nobody has.
    let out = world.send(B, publish(&world, 2, 0..ALL, &grant));
    for (member, result) in world.results(&out).into_iter().enumerate() {
        let expected = match member {
            _ if member >= ALL / 2 => ResultCode::Denied,
            _ if member.is_multiple_of(10) => ResultCode::Full,
            _ if member.is_multiple_of(7) => ResultCode::Duplicate,
            _ => ResultCode::Stored,
        };
        assert_eq!(code(&result), expected, "{member}");
        if expected == ResultCode::Denied {
            assert_eq!(result.reason(), DenialReason::UnknownMailbox);
        }
    }
}

/// What was asked of a store.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Asked {
    reads: usize,
    read_bytes: usize,
}

/// A store that counts what it is asked.
struct Counting<'a> {
    store: &'a MemoryStore,
    asked: RefCell<Asked>,
}

impl Store for Counting<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let value = self.store.get(key)?;
        let mut asked = self.asked.borrow_mut();
        asked.reads += 1;
        asked.read_bytes += value.as_ref().map_or(0, Bytes::len);
        Ok(value)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        let pairs = self.store.range(from, to, limit)?;
        let mut asked = self.asked.borrow_mut();
        asked.reads += 1 + pairs.len();
        asked.read_bytes += pairs.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        Ok(pairs)
    }

    fn commit(&mut self, _: Batch) -> Result<(), StoreError> {
        unreachable!("the test commits")
    }
}

/// Publishes, and says what that asked of the store and how many keys it wrote.
fn cost(
    world: &mut World,
    number: u8,
    members: std::ops::Range<usize>,
    grant: &TokenGrant,
) -> (Asked, usize) {
    let body = publish(world, number, members, grant);
    let store = Counting { store: &world.store, asked: RefCell::default() };
    let (mut tx, mut out) = (Overlay::new(&store), Vec::new());
    let frame = wire::Frame { request: 7, body: Some(body) };
    world.relay.handle(Input::Frame { conn: B, frame }, world.now, &mut tx, &mut out).unwrap();
    let (written, batch) = (tx.pending(), tx.into_batch());
    let asked = *store.asked.borrow();
    world.store.commit(batch).unwrap();
    assert!(world.results(&out).iter().all(|result| code(result) == ResultCode::Stored));
    (asked, written)
}

#[test]
fn what_a_recipient_costs_does_not_grow_with_their_number() {
    let mut world = world_of(2 * ALL + 8, Limits::default());
    // A token as long as they get.
    let token = (2..=u8::try_from(TOKEN_STEPS_MAX).unwrap())
        .fold(grant(1), |token, number| token.extend(step(number)).unwrap());
    let (few, few_written) = cost(&mut world, 1, 2 * ALL..2 * ALL + 8, &token);
    let (first, first_written) = cost(&mut world, 2, 0..ALL, &token);
    let (second, second_written) = cost(&mut world, 3, ALL..2 * ALL, &token);
    let times = ALL / 8;
    assert!(first_written <= few_written * times && second_written <= few_written * times);
    for asked in [first, second] {
        assert!(asked.reads <= few.reads * times, "{few:?} {asked:?}");
        // Nor is the payload that is held already read for each.
        assert!(asked.read_bytes <= few.read_bytes * times + 1_000, "{few:?} {asked:?}");
        assert!(asked.read_bytes < ALL * 500, "{asked:?}");
    }
}

#[test]
fn the_answer_to_the_largest_publish_fits_a_frame() {
    let mut world = world_of(1, Limits::default());
    let out = world.send(B, publish(&world, 1, (0..ALL).map(|_| 0), &grant(1)));
    let Output::Send { frame, .. } = &out[0] else { panic!("{out:?}") };
    // A result each, of some 10 bytes.
    assert!((ALL * 8..ALL * 16).contains(&frame.encoded_len()), "{}", frame.encoded_len());
}
