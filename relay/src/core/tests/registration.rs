//! Who may open a mailbox.

use std::time::Duration;

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use undertone_protocol::wire::{self, RefusalCode, frame::Body};

use super::world::*;
use crate::admission::Invitation;
use crate::core::Output;
use crate::limits::{Limits, Registration};
use crate::migration::count;
use crate::store::Overlay;
use crate::store::usage::usage;

const HOUR: Duration = Duration::from_secs(3_600);

fn by_invitation() -> World {
    let mut world =
        World::with(Limits { silence_ms_max: u64::MAX, ..Limits::default() }, Registration::Invite);
    world.hello(A, 1);
    world
}

fn invite(world: &World, uses: u16, rng: u64) -> Bytes {
    let mut rng = ChaCha20Rng::seed_from_u64(rng);
    Invitation::new(uses, world.now.after(HOUR), &mut rng).seal(&SigningKey::from_bytes(&[5; 32])).into()
}

fn open(world: &mut World, number: u8, invitation: &Bytes) -> Vec<Output> {
    let Body::Register(asked) = register(number, 1) else { panic!("no registration") };
    world.send(A, Body::Register(wire::Register { invitation: invitation.clone(), ..asked }))
}

fn is_open(out: &[Output]) -> bool {
    matches!(answer(out), Body::Registered(_))
}

fn why_not(out: &[Output]) -> String {
    match answer(out) {
        Body::Refusal(refusal) if refusal.code() == RefusalCode::Invitation => refusal.text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn whoever_is_invited_opens_as_many_mailboxes_as_the_invitation_says() {
    let mut world = by_invitation();
    let invitation = invite(&world, 2, 1);
    assert!(why_not(&open(&mut world, 1, &Bytes::new())).contains("ask the operator"));
    assert!(is_open(&open(&mut world, 1, &invitation)));
    assert!(is_open(&open(&mut world, 1, &invitation)), "the same again takes no use");
    assert!(is_open(&open(&mut world, 1, &Bytes::new())), "nor does it need one");
    assert!(is_open(&open(&mut world, 2, &invitation)));
    assert!(why_not(&open(&mut world, 3, &invitation)).contains("used up"));
    // What was used is durable.
    world.restart();
    world.hello(A, 1);
    assert!(why_not(&open(&mut world, 3, &invitation)).contains("used up"));
    let another = invite(&world, 1, 2);
    assert!(is_open(&open(&mut world, 3, &another)));
    assert_eq!(usage(&Overlay::new(&world.store)).unwrap(), count(&world.store).unwrap());
}

#[test]
fn whoever_was_not_invited_keeps_out_nobody_who_was() {
    let mut world = by_invitation();
    world.relay.limits.registrations_per_minute = 2;
    world.restart();
    world.hello(A, 1);
    let (once, ended) = (invite(&world, 1, 1), invite(&world, 0, 2));
    assert!(is_open(&open(&mut world, 1, &once)));
    for bad in [Bytes::new(), Bytes::from_static(b"none"), once, ended] {
        why_not(&open(&mut world, 2, &bad));
    }
    let another = invite(&world, 2, 3);
    assert!(is_open(&open(&mut world, 2, &another)), "one is left in this minute");
    assert_eq!(refusal(&open(&mut world, 3, &another)), RefusalCode::RetryAfter);
    world.pass(HOUR / 60);
    assert!(is_open(&open(&mut world, 3, &another)), "and what was put off took no use");
}

#[test]
fn an_invitation_ends_and_is_forgotten() {
    let mut world = by_invitation();
    let invitation = invite(&world, 5, 1);
    assert!(is_open(&open(&mut world, 1, &invitation)));
    let counted = usage(&Overlay::new(&world.store)).unwrap().disk_bytes;
    world.now = world.now.after(HOUR);
    assert!(why_not(&open(&mut world, 2, &invitation)).contains("has ended"));
    world.now = world.now.after(HOUR);
    world.tick();
    assert!(usage(&Overlay::new(&world.store)).unwrap().disk_bytes < counted);
    assert!(why_not(&open(&mut world, 2, &invitation)).contains("has ended"));
    assert_eq!(usage(&Overlay::new(&world.store)).unwrap(), count(&world.store).unwrap());
}

#[test]
fn what_is_no_invitation_opens_nothing() {
    let mut world = by_invitation();
    let mut changed = invite(&world, 1, 1).to_vec();
    changed[10] ^= 1;
    assert!(why_not(&open(&mut world, 1, &changed.into())).contains("no invitation of this relay"));
    let large = open(&mut world, 1, &vec![0; 65].into());
    assert_eq!(refusal(&large), RefusalCode::Malformed);
}

#[test]
fn what_is_refused_takes_no_use() {
    let mut world = by_invitation();
    world.relay.limits.mailboxes_per_device_max = 1;
    let invitation = invite(&world, 2, 1);
    assert!(is_open(&open(&mut world, 1, &invitation)));
    assert_eq!(refusal(&open(&mut world, 2, &invitation)), RefusalCode::Limit);
    world.relay.limits.mailboxes_per_device_max = 2;
    assert!(is_open(&open(&mut world, 2, &invitation)));
}

#[test]
fn an_open_relay_does_not_look_at_invitations() {
    let mut world = World::with(Limits::default(), Registration::Open);
    world.hello(A, 1);
    assert!(is_open(&open(&mut world, 1, &Bytes::from_static(b"anything"))));
}
