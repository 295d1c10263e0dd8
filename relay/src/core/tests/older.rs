//! A store that is an older copy of what it was.

use std::time::Duration;

use bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use undertone_protocol::wire::{self, frame::Body};

use super::world::*;
use crate::limits::Limits;
use crate::restored::{Restored, restored};

const HOUR: Duration = Duration::from_secs(3_600);

fn attach_after(generation: &Bytes, through: u64) -> Body {
    let (acks, credits) = (vec![ack(0, through, &[])], vec![credit(0, 100, 10_000)]);
    let (mailbox, generation) = (mailbox(1).to_wire(), generation.clone());
    Body::Attach(wire::Attach { mailbox, generation, acks, credits })
}

/// By the numbers that the device knows it would take the next messages for what it has.
#[test]
fn a_device_that_was_given_more_counts_anew_before_anything_is_delivered() {
    let mut world = World::ready(Limits::default());
    let first = world.register(A, 1, 1);
    world.publish(b"one", &grant(2));
    let older = world.store.clone();
    world.publish(b"two", &grant(2));
    world.attach(A, 1);
    world.tell(A, Body::Ack(ack(0, 2, &[])));

    world.store = older;
    world.restart();
    world.hello(A, 1);
    world.hello(B, 2);
    let out = world.send(A, attach_after(&first, 2));
    let Body::Attached(attached) = answer(&out) else { panic!("{out:?}") };
    assert_ne!(attached.generation, first);
    assert_eq!(deliveries(&out, A), [], "first it counts from 0");
    assert_eq!(world.relay.metrics().older_store, 1);
    let out = world.send(A, attach_after(&attached.generation, 0));
    assert_eq!(deliveries(&out, A), [(0, 1, Bytes::from("one"))]);
    let (_, out) = world.publish_to(B, &[1], b"three", 0, world.now.after(HOUR), &grant(2));
    assert_eq!(deliveries(&out, A), [(0, 2, Bytes::from("three"))]);
    assert_eq!(world.register(A, 1, 1), attached.generation);
}

#[test]
fn a_store_that_was_put_back_has_other_generations_and_no_prekeys() {
    let mut world = World::ready(Limits::default());
    let first = world.register(A, 1, 1);
    let locator = Bytes::from(vec![3; 32]);
    let bundle = Bytes::from_static(b"the bundle");
    world.send(A, Body::PutBundle(wire::PutBundle { locator: locator.clone(), bundle: bundle.clone() }));
    let prekeys = vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")];
    let put = wire::PutPrekeys { locator: locator.clone(), batch: 4, prekeys };
    world.send(A, Body::PutPrekeys(put.clone()));

    let done = restored(&mut world.store, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
    assert_eq!(done, Restored { mailboxes: 1, bundles: 1 });
    world.restart();
    world.hello(A, 1);
    world.hello(B, 2);
    let counted = world.disk();
    assert_ne!(world.register(A, 1, 1), first);
    let fetch = Body::GetBundle(wire::GetBundle { locator });
    let Body::Bundle(fetched) = answer(&world.send(B, fetch.clone())) else { panic!() };
    assert_eq!((fetched.bundle, fetched.prekey), (bundle, Bytes::new()), "it may have been handed out");
    // New ones are.
    world.send(A, Body::PutPrekeys(wire::PutPrekeys { batch: 5, ..put }));
    let Body::Bundle(fetched) = answer(&world.send(B, fetch)) else { panic!() };
    assert_eq!(fetched.prekey, "one");
    let whole = crate::migration::count(&world.store).unwrap().disk_bytes;
    assert_eq!(world.disk(), whole - crate::store::usage::MAILBOX_DISK_BYTES);
    assert!(world.disk() > counted);
}
