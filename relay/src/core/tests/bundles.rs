//! Bundles and prekeys.

use std::time::Duration;

use bytes::Bytes;
use undertone_protocol::ids::Locator;
use undertone_protocol::limits::{BUNDLE_BYTES_MAX, PREKEY_BYTES_MAX};
use undertone_protocol::wire::{self, RefusalCode, frame::Body};

use super::world::*;
use crate::core::{ConnId, Output};
use crate::limits::Limits;
use crate::store::Store;
use crate::store::table::Table;

fn locator(number: u8) -> Bytes {
    Locator::new([number; 32]).to_wire()
}

fn put(number: u8, bundle: &[u8]) -> Body {
    Body::PutBundle(wire::PutBundle { locator: locator(number), bundle: Bytes::copy_from_slice(bundle) })
}

fn prekeys(batch: u64, keys: &[&'static [u8]]) -> Body {
    let prekeys = keys.iter().map(|key| Bytes::from_static(key)).collect();
    Body::PutPrekeys(wire::PutPrekeys { locator: locator(1), batch, prekeys })
}

fn get(world: &mut World, conn: ConnId) -> (Bytes, Bytes) {
    match answer(&world.send(conn, Body::GetBundle(wire::GetBundle { locator: locator(1) }))) {
        Body::Bundle(answer) => (answer.bundle, answer.prekey),
        other => panic!("{other:?}"),
    }
}

fn left(out: &[Output]) -> (u32, u64) {
    match answer(out) {
        Body::PrekeysLeft(left) => (left.left, left.batch),
        other => panic!("{other:?}"),
    }
}

#[test]
fn prekeys_are_handed_out_once_in_order_across_restarts() {
    let mut world = World::ready(Limits::default());
    assert_eq!(refusal(&world.send(A, prekeys(1, &[b"early"]))), RefusalCode::Unknown);
    world.send(A, put(1, b"bundle"));
    assert_eq!(left(&world.send(A, prekeys(1, &[b"k1", b"k2"]))), (2, 1));
    assert_eq!(left(&world.send(A, prekeys(1, &[b"k1", b"k2"]))), (2, 1), "a repeat changes nothing");
    assert_eq!(get(&mut world, B), ("bundle".into(), "k1".into()));
    world.restart();
    world.hello(A, 1);
    world.hello(B, 2);
    assert_eq!(left(&world.send(A, prekeys(5, &[b"k3"]))), (2, 5));
    assert_eq!(left(&world.send(A, prekeys(4, &[b"old"]))), (2, 5));
    assert_eq!(left(&world.send(A, prekeys(0, &[]))), (2, 5), "batch 0 only asks");
    world.send(A, put(1, b"newer"));
    assert_eq!(get(&mut world, B), ("newer".into(), "k2".into()));
    assert_eq!(get(&mut world, B), ("newer".into(), "k3".into()));
    assert_eq!(get(&mut world, B), ("newer".into(), Bytes::new()));
    assert_eq!(world.relay.metrics().prekeys_missing, 1);
    let prekeys = Table::Prekey.key();
    let kept = world.store.range(prekeys.as_ref(), prekeys.after_prefix().as_ref(), 9).unwrap();
    assert!(kept.is_empty(), "what was handed out is not kept");
}

#[test]
fn a_locator_has_one_owner() {
    let mut world = World::ready(Limits::default());
    assert_eq!(refusal(&world.send(B, put(1, b"x"))), RefusalCode::Closed, "B has no mailbox here");
    world.register(B, 2, 1);
    world.send(A, put(1, b"bundle"));
    assert_eq!(refusal(&world.send(B, put(1, b"x"))), RefusalCode::NotOwner);
    assert_eq!(refusal(&world.send(B, prekeys(9, &[b"x"]))), RefusalCode::NotOwner);
    assert_eq!(get(&mut world, B).0, "bundle");
    let unknown = Body::GetBundle(wire::GetBundle { locator: locator(9) });
    assert_eq!(refusal(&world.send(B, unknown)), RefusalCode::Unknown);
}

#[test]
fn bundles_are_bounded() {
    let mut world = World::ready(Limits { bundles_per_device_max: 2, ..Limits::default() });
    assert_eq!(refusal(&world.send(A, put(1, &vec![0; BUNDLE_BYTES_MAX + 1]))), RefusalCode::Limit);
    world.send(A, put(1, &vec![0; BUNDLE_BYTES_MAX]));
    world.send(A, put(2, b"second"));
    assert_eq!(refusal(&world.send(A, put(3, b"third"))), RefusalCode::Limit);
    let many = |count, size| {
        let prekeys = vec![Bytes::from(vec![0; size]); count];
        Body::PutPrekeys(wire::PutPrekeys { locator: locator(1), batch: 1, prekeys })
    };
    assert_eq!(refusal(&world.send(A, many(1, PREKEY_BYTES_MAX + 1))), RefusalCode::Limit);
    assert_eq!(refusal(&world.send(A, many(101, 1))), RefusalCode::Limit);
    assert_eq!(left(&world.send(A, many(100, PREKEY_BYTES_MAX))), (100, 1));

    let mut world = World::ready(Limits { bundle_fetches_per_minute: 1, ..Limits::default() });
    world.send(A, put(1, b"bundle"));
    get(&mut world, B);
    let again = Body::GetBundle(wire::GetBundle { locator: locator(1) });
    assert_eq!(refusal(&world.send(B, again)), RefusalCode::RetryAfter);
}

#[test]
fn a_refused_batch_leaves_nothing_behind() {
    let mut world = World::ready(Limits { disk_bytes_max: 1_500, ..Limits::default() });
    world.send(A, put(1, &[1; 300]));
    let (before, keys) = (world.disk(), world.store.len());
    assert_eq!(refusal(&world.send(A, prekeys(1, &[&[7; 400]]))), RefusalCode::RetryAfter);
    assert_eq!(refusal(&world.send(A, put(1, &[1; 800]))), RefusalCode::RetryAfter);
    assert_eq!((world.disk(), world.store.len()), (before, keys));
    assert_eq!(left(&world.send(A, prekeys(0, &[]))), (0, 0));
}

#[test]
fn an_empty_bundle_takes_away_what_is_there() {
    let mut world = World::ready(Limits { bundles_per_device_max: 1, ..Limits::default() });
    world.register(B, 2, 1);
    let keys = world.store.len();
    world.send(A, put(1, b"bundle"));
    world.send(A, prekeys(1, &[b"k1", b"k2"]));
    assert_eq!(refusal(&world.send(B, put(1, b""))), RefusalCode::NotOwner);
    assert_eq!(get(&mut world, B), ("bundle".into(), "k1".into()));
    // Once more changes nothing.
    for _ in 0..2 {
        assert_eq!(answer(&world.send(A, put(1, b""))), Body::Done(wire::Done {}));
        let gone = Body::GetBundle(wire::GetBundle { locator: locator(1) });
        assert_eq!(refusal(&world.send(B, gone)), RefusalCode::Unknown);
    }
    assert_eq!(refusal(&world.send(A, prekeys(2, &[b"k3"]))), RefusalCode::Unknown);
    assert_eq!(world.relay.metrics().bundles_stored, 1);
    assert_eq!((world.disk(), world.store.len()), (0, keys));
    assert_eq!(answer(&world.send(A, put(2, b"another"))), Body::Done(wire::Done {}), "it counts no more");
}

#[test]
fn unseen_bundles_are_swept_with_everything_of_theirs() {
    let mut world =
        World::ready(Limits { bundle_unseen_days_max: 10, silence_ms_max: u64::MAX, ..Limits::default() });
    let keys = world.store.len();
    let day = Duration::from_secs(24 * 3600);
    world.send(A, put(1, b"bundle"));
    world.send(A, prekeys(1, &[b"k1", b"k2"]));
    world.pass(day * 8);
    world.send(A, put(1, b"bundle again"));
    world.pass(day * 8);
    world.tick();
    assert_eq!(get(&mut world, B).0, "bundle again");
    world.pass(day * 3);
    world.tick();
    let gone = Body::GetBundle(wire::GetBundle { locator: locator(1) });
    assert_eq!(refusal(&world.send(B, gone)), RefusalCode::Unknown);
    // The owner's record stays, with no bundle in it.
    assert_eq!((world.disk(), world.store.len()), (0, keys));
    assert_eq!(world.relay.metrics().bundles_swept, 1);
}
