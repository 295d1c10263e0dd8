//! The disk quota against the bytes that are really stored, over whatever devices and senders do.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use undertone_protocol::ids::{Handle, Locator};
use undertone_protocol::limits::{DEDUP_AFTER_DELETION, ENVELOPE_TTL_MAX};
use undertone_protocol::token::{Step, TokenGrant};
use undertone_protocol::wire::{self, RefusalCode, ResultCode, frame::Body};

use super::world::*;
use crate::limits::{DAY_MS, Limits};
use crate::migration::{count, migrate};
use crate::store::table::{KeyReader, Table};
use crate::store::usage::{self, MAILBOX_DISK_BYTES, MARK_DISK_BYTES, Usage};
use crate::store::{Batch, Overlay, Store, format, walk};

const DISK_BYTES_MAX: u64 = 12_000;
const KNOWN_MESSAGES_MAX: u64 = 12;

fn limits() -> Limits {
    Limits {
        disk_bytes_max: DISK_BYTES_MAX,
        mailboxes_per_device_max: 3,
        mailbox_class_0_known_messages_max: KNOWN_MESSAGES_MAX,
        mailbox_class_1_known_messages_max: KNOWN_MESSAGES_MAX,
        sweep_entries_per_tick: 7,
        silence_ms_max: u64::MAX,
        ..Limits::default()
    }
}

/// What somebody does.
#[derive(Debug, Clone)]
enum Op {
    /// A device takes a mailbox, or starts an epoch of it.
    Register(u8, u8, u32),
    /// A payload of so many bytes, from one of several tokens, to mailboxes 1 to 3.
    Publish {
        payload: u8,
        class: u32,
        life_ms: u64,
        token: u8,
        joiner: Option<u8>,
        to: u8,
    },
    Ack(u32, u64),
    Introduce {
        handle: u8,
        uses: u32,
        life_ms: u64,
    },
    Revoke(Vec<u8>),
    Bundle(u8, usize),
    Prekeys(u8, u64, usize),
    Fetch(u8),
    Pass(u64),
    Tick,
    Restart,
}

fn op() -> impl Strategy<Value = Op> {
    let life = || prop_oneof![1u64..5_000, Just(DAY_MS * 2)];
    prop_oneof![
        2 => (1u8..3, 1u8..4, 1u32..5).prop_map(|(by, mailbox, epoch)| Op::Register(by, mailbox, epoch)),
        9 => (1u8..30, 0u32..3, life(), 1u8..4, proptest::option::of(0u8..6), 1u8..8).prop_map(
            |(payload, class, life_ms, token, joiner, to)| {
                Op::Publish { payload, class, life_ms, token, joiner, to }
            }
        ),
        4 => (0u32..2, 0u64..12).prop_map(|(class, through)| Op::Ack(class, through)),
        2 => (1u8..4, 1u32..4, life())
            .prop_map(|(handle, uses, life_ms)| Op::Introduce { handle, uses, life_ms }),
        1 => proptest::collection::vec(1u8..5, 1..5).prop_map(Op::Revoke),
        1 => (1u8..3, 1usize..900).prop_map(|(locator, size)| Op::Bundle(locator, size)),
        1 => (1u8..3, 0u64..4, 0usize..6).prop_map(|(locator, batch, many)| Op::Prekeys(locator, batch, many)),
        1 => (1u8..3).prop_map(Op::Fetch),
        2 => prop_oneof![1u64..3_000, Just(DEDUP_AFTER_DELETION.as_millis() as u64)].prop_map(Op::Pass),
        2 => Just(Op::Tick),
        1 => Just(Op::Restart),
    ]
}

fn locator(number: u8) -> Bytes {
    Locator::new([number; 32]).to_wire()
}

fn apply(world: &mut World, op: &Op) {
    let owner = |by: u8| if by == 1 { A } else { B };
    match op {
        Op::Register(by, number, epoch) => drop(world.send(owner(*by), register(*number, *epoch))),
        Op::Publish { payload, class, life_ms, token, joiner, to } => {
            let mut grant = TokenGrant::issue(&secret(), Step::named(Handle::new([*token; 8])));
            if let Some(joiner) = joiner {
                grant = grant.extend(step(10 + joiner)).unwrap();
            }
            let to: Vec<u8> = (1..=3).filter(|number| to & (1 << (number - 1)) != 0).collect();
            let content = vec![*payload; usize::from(*payload) * 40];
            let expiry = world.now.after(Duration::from_millis(*life_ms));
            let epoch = epoch(world);
            let mut publish = world.make(&to, &content, *class, expiry, &grant);
            let route = publish.items[0].route.as_mut().unwrap();
            let Some(wire::route::Kind::Open(route)) = &mut route.kind else { unreachable!() };
            route.recipients.iter_mut().for_each(|recipient| recipient.epoch = epoch);
            world.send(B, Body::Publish(publish));
        }
        Op::Ack(class, through) => drop(world.tell(A, Body::Ack(ack(*class, *through, &[])))),
        Op::Introduce { handle, uses, life_ms } => {
            let (mailbox, handle) = (mailbox(1).to_wire(), Bytes::from(vec![*handle; 8]));
            let not_after_ms = world.now.as_ms() + life_ms;
            let put = wire::PutIntroduction { mailbox, handle, uses: *uses, not_after_ms };
            world.send(A, Body::PutIntroduction(put));
        }
        Op::Revoke(handles) => {
            let handles = handles.iter().map(|number| Bytes::from(vec![*number; 8])).collect();
            let (mailbox, epoch) = (mailbox(1).to_wire(), epoch(world));
            world.send(A, Body::RevokeToken(wire::RevokeToken { mailbox, epoch, handles }));
        }
        Op::Bundle(number, size) => {
            let bundle = Bytes::from(vec![*number; *size]);
            world.send(A, Body::PutBundle(wire::PutBundle { locator: locator(*number), bundle }));
        }
        Op::Prekeys(number, batch, many) => {
            let prekeys = vec![Bytes::from(vec![7; 90]); *many];
            let put = wire::PutPrekeys { locator: locator(*number), batch: *batch, prekeys };
            world.send(A, Body::PutPrekeys(put));
        }
        Op::Fetch(number) => {
            world.send(B, Body::GetBundle(wire::GetBundle { locator: locator(*number) }));
        }
        Op::Pass(ms) => world.pass(Duration::from_millis(*ms)),
        Op::Tick => drop(world.tick()),
        Op::Restart => {
            world.restart();
            world.hello(A, 1);
            world.hello(B, 2);
            world.attach(A, 1);
        }
    }
}

/// The epoch of mailbox 1.
fn epoch(world: &World) -> u32 {
    crate::admission::owned(&Overlay::new(&world.store), &mailbox(1), &device(1)).unwrap().epoch
}

fn counter(world: &World) -> Usage {
    usage::usage(&Overlay::new(&world.store)).unwrap()
}

/// Bytes of keys and values, without the totals and what the store notes about itself.
fn real_bytes(world: &World) -> u64 {
    let mut bytes = 0;
    walk(&world.store, &[], &[u8::MAX], 64, |key, value| {
        let own = matches!(Table::of(key), Some(Table::Format | Table::Usage | Table::Commits));
        bytes += if own { 0 } else { key.len() + value.len() };
        Ok(())
    })
    .unwrap();
    bytes as u64
}

fn check(world: &World) -> Result<(), TestCaseError> {
    let counted = counter(world);
    prop_assert!(counted.disk_bytes >= real_bytes(world), "{counted:?} for {} bytes", real_bytes(world));
    prop_assert!(counted.disk_bytes <= DISK_BYTES_MAX);
    prop_assert_eq!(counted, count(&world.store).unwrap(), "counting anew finds the same");
    let tx = Overlay::new(&world.store);
    for (number, class) in (1..=3).flat_map(|number| crate::mailbox::DurableClass::ALL.map(|of| (number, of)))
    {
        let queue = crate::mailbox::queue(&tx, &mailbox(number), class).unwrap();
        prop_assert!(queue.messages + queue.remembered <= KNOWN_MESSAGES_MAX, "{queue:?}");
    }
    Ok(())
}

/// Everything ends: acknowledged, expired, forgotten, unseen for too long, of an old epoch.
fn forget_all(world: &mut World) {
    sweep_after(world, ENVELOPE_TTL_MAX);
    let next = epoch(world) + 1;
    world.register(A, 1, next);
    sweep_after(world, Duration::from_millis(DAY_MS * 200));
}

fn sweep_after(world: &mut World, time: Duration) {
    world.pass(time);
    while world.relay.next_tick().unwrap() <= world.now {
        world.tick();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn the_counter_is_never_less_than_what_is_stored(ops in proptest::collection::vec(op(), 1..80)) {
        let mut world = World::ready(limits());
        world.attach(A, 1);
        for op in &ops {
            apply(&mut world, op);
            check(&world)?;
        }
        forget_all(&mut world);
        check(&world)?;
        let Usage { disk_bytes, mailboxes } = counter(&world);
        prop_assert_eq!(disk_bytes, mailboxes * MAILBOX_DISK_BYTES, "all but the mailboxes is forgotten");
        walk(&world.store, &[], &[u8::MAX], 64, |key, _| {
            let stays = matches!(Table::of(key), Some(Table::Usage | Table::Owner | Table::Mailbox | Table::Queue));
            assert!(stays, "{key:?} stays");
            Ok(())
        }).unwrap();
    }

    /// A store of the format before: it counted neither what stays of an acknowledged payload nor what tokens leave.
    #[test]
    fn an_older_store_is_counted_anew(ops in proptest::collection::vec(op(), 1..60)) {
        let mut world = World::ready(limits());
        world.attach(A, 1);
        for op in &ops {
            apply(&mut world, op);
        }
        let mut expected = world.store.clone();
        let mut batch = Batch::default();
        batch.put(format::key(), format::FORMAT.to_be_bytes().to_vec());
        expected.commit(batch).unwrap();
        make_older(&mut world);
        migrate(&mut world.store).unwrap();
        prop_assert_eq!(&world.store, &expected);
        migrate(&mut world.store).unwrap();
        prop_assert_eq!(&world.store, &expected, "again changes nothing");
        for op in &ops {
            apply(&mut world, op);
            check(&world)?;
        }
    }
}

fn make_older(world: &mut World) {
    let mut batch = Batch::default();
    batch.put(format::key(), 3_u32.to_be_bytes().to_vec());
    let older = Usage { disk_bytes: counter(world).disk_bytes / 2, ..counter(world) };
    batch.put(usage::key(), prost::Message::encode_to_vec(&older));
    let queues = Table::Queue.key();
    walk(&world.store, queues.as_ref(), queues.after_prefix().as_ref(), 64, |key, value| {
        let queue: crate::mailbox::Queue = crate::store::table::record("queue", value)?;
        let older = crate::mailbox::Queue { remembered: 0, ..queue };
        batch.put(key.clone(), prost::Message::encode_to_vec(&older));
        Ok(())
    })
    .unwrap();
    world.store.commit(batch).unwrap();
}

/// What stays of acknowledged payloads is counted, and one mailbox can't fill the disk with it.
#[test]
fn a_mailbox_that_acknowledges_all_it_gets_is_full_one_day() {
    let limits = Limits {
        mailbox_class_0_known_messages_max: 20,
        full_retry_after_ms: 9_000,
        silence_ms_max: u64::MAX,
        ..Limits::default()
    };
    let mut world = World::ready(limits);
    world.attach(A, 1);
    for number in 1..=20u8 {
        assert_eq!(code(&world.publish(&[number], &grant(1))), ResultCode::Stored);
        world.tell(A, Body::Ack(ack(0, number.into(), &[])));
    }
    let marks = counter(&world).disk_bytes - MAILBOX_DISK_BYTES;
    assert_eq!(marks, 20 * MARK_DISK_BYTES);
    let full = world.publish(b"one more", &grant(1));
    assert_eq!((code(&full), full.retry_after_ms), (ResultCode::Full, 9_000));
    assert_eq!(code(&world.publish(&[1], &grant(1))), ResultCode::Duplicate, "what it knows, it still knows");
    world.pass(DEDUP_AFTER_DELETION);
    world.tick();
    assert_eq!(code(&world.publish(b"one more", &grant(1))), ResultCode::Stored);
}

/// Each way to have the relay store something ends in an answer once the disk is full, and leaves nothing behind.
#[test]
fn a_full_disk_is_said_to_everybody() {
    let mut world = World::ready(Limits { full_retry_after_ms: 9_000, ..Limits::default() });
    world.send(A, introduce(1));
    world.relay.limits.disk_bytes_max = counter(&world).disk_bytes;
    let before = (counter(&world), world.store.len());
    let revoke =
        wire::RevokeToken { mailbox: mailbox(1).to_wire(), epoch: 1, handles: vec![Bytes::from(vec![9; 8])] };
    let bundle = wire::PutBundle { locator: locator(1), bundle: Bytes::from_static(b"bundle") };
    for body in [register(2, 1), introduce(2), Body::RevokeToken(revoke), Body::PutBundle(bundle)] {
        let out = world.send(A, body.clone());
        let Body::Refusal(refusal) = answer(&out) else { panic!("{out:?}") };
        assert_eq!((refusal.code(), refusal.retry_after_ms), (RefusalCode::RetryAfter, 9_000), "{body:?}");
    }
    let joiner = grant(1).extend(step(2)).unwrap();
    for class in 0..3 {
        let expiry = world.now.after(Duration::from_secs(60));
        let (results, _) = world.publish_to(B, &[1], b"x", class, expiry, &joiner);
        assert_eq!(
            (code(&results[0]), results[0].retry_after_ms),
            (ResultCode::RetryAfter, 9_000),
            "class {class}"
        );
    }
    assert_eq!((counter(&world), world.store.len()), before);
}

fn introduce(handle: u8) -> Body {
    let (mailbox, handle) = (mailbox(1).to_wire(), Bytes::from(vec![handle; 8]));
    Body::PutIntroduction(wire::PutIntroduction { mailbox, handle, uses: 3, not_after_ms: u64::MAX })
}

/// A mailbox that starts epochs faster than they are swept would have no bound.
#[test]
fn one_old_epoch_of_a_mailbox_waits_at_a_time() {
    let mut world = World::ready(Limits { sweep_interval_ms: 3_000, ..Limits::default() });
    world.send(A, introduce(1));
    world.register(A, 1, 2);
    world.register(A, 1, 3);
    world.send(A, introduce(1));
    let out = world.send(A, register(1, 4));
    let Body::Refusal(refusal) = answer(&out) else { panic!("{out:?}") };
    assert_eq!((refusal.code(), refusal.retry_after_ms), (RefusalCode::RetryAfter, 3_000));
    world.pass(Duration::from_secs(3));
    world.tick();
    world.register(A, 1, 4);
    let old = Table::OldEpoch.key();
    let waiting = world.store.range(old.as_ref(), old.after_prefix().as_ref(), 9).unwrap();
    let mut parts = KeyReader::new("old epoch key", &waiting[0].0);
    assert_eq!((waiting.len(), parts.part::<16>().unwrap(), parts.u32().unwrap()), (1, [1; 16], 3));
}
