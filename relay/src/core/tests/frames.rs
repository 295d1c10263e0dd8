//! Connections, hello, registration, silence.

use std::time::Duration;

use bytes::Bytes;
use undertone_protocol::wire::{self, GoodbyeCode, RefusalCode, frame::Body};

use super::world::*;
use crate::core::{Input, Output};
use crate::limits::{Limits, Registration};

#[test]
fn nothing_comes_before_the_hello() {
    let mut world = World::new(Limits::default());
    world.drain(vec![Input::Connected { conn: A, device: device(1) }]);
    let out = world.send(A, register(1, 1));
    assert_eq!(ended(&out, A), Some(GoodbyeCode::Malformed));
    assert!(world.send(A, register(1, 1)).is_empty(), "a closed connection is not heard");
}

#[test]
fn versions_must_overlap() {
    let mut world = World::new(Limits::default());
    world.drain(vec![Input::Connected { conn: A, device: device(1) }]);
    let out = world.send(A, Body::Hello(wire::Hello { version_min: 2, version_max: 9 }));
    assert_eq!(ended(&out, A), Some(GoodbyeCode::Version));
    world.drain(vec![Input::Connected { conn: B, device: device(1) }]);
    let out = world.send(B, Body::Hello(wire::Hello { version_min: 0, version_max: 9 }));
    let welcome = wire::Welcome { version: 1, now_ms: world.now.as_ms(), record: None };
    assert_eq!(answer(&out), Body::Welcome(welcome));
}

#[test]
fn unknown_requests_are_refused_and_not_fatal() {
    let mut world = World::ready(Limits::default());
    for request in [0, 7] {
        let frame = wire::Frame { request, body: None };
        let out = world.drain(vec![Input::Frame { conn: A, frame }]);
        assert!(matches!(&out[..], [Output::Send { frame, .. }] if frame.request == request
            && matches!(frame.body, Some(Body::Refusal(_)))));
    }
    assert_eq!(refusal(&world.send(A, Body::Attached(wire::Attached::default()))), RefusalCode::Malformed);
    let ping = Body::Ping(wire::Ping { nonce: 5 });
    assert_eq!(answer(&world.send(A, ping)), Body::Pong(wire::Pong { nonce: 5 }));
}

#[test]
fn what_asks_nothing_and_is_malformed_ends_the_connection() {
    let mut world = World::ready(Limits::default());
    world.attach(A, 1);
    assert_eq!(refusal(&world.send(A, Body::Ack(ack(2, 1, &[])))), RefusalCode::Malformed);
    let out = world.tell(A, Body::Ack(ack(0, 0, &[(5, 4)])));
    assert_eq!(ended(&out, A), Some(GoodbyeCode::Malformed));
    assert_eq!(world.relay.gauges(&crate::store::Overlay::new(&world.store)).unwrap().attached, 0);
}

#[test]
fn the_silent_are_closed_and_the_others_stay() {
    let mut world = World::ready(Limits::default());
    world.pass(Duration::from_secs(50));
    world.send(B, Body::Ping(wire::Ping { nonce: 1 }));
    world.pass(Duration::from_secs(25));
    let out = world.tick();
    assert_eq!(ended(&out, A), Some(GoodbyeCode::Silent));
    assert_eq!(ended(&out, B), None);
    world.pass(Duration::from_secs(50));
    assert!(world.relay.next_tick().unwrap() <= world.now);
    assert_eq!(ended(&world.tick(), B), Some(GoodbyeCode::Silent));
    assert_eq!(world.relay.metrics().connections_silent, 2);
}

#[test]
fn connections_and_their_frames_are_bounded() {
    let limits = Limits { connections_max: 1, frames_per_minute: 3, ..Limits::default() };
    let mut world = World::new(limits);
    world.hello(A, 1);
    let out = world.drain(vec![Input::Connected { conn: B, device: device(2) }]);
    assert_eq!(ended(&out, B), Some(GoodbyeCode::Overloaded));
    let ping = || Body::Ping(wire::Ping { nonce: 1 });
    assert_eq!(ended(&world.send(A, ping()), A), None);
    assert_eq!(ended(&world.send(A, ping()), A), None);
    assert_eq!(ended(&world.send(A, ping()), A), Some(GoodbyeCode::Overloaded));
    world.hello(C, 3);
}

#[test]
fn a_connection_that_does_not_read_is_closed() {
    let mut world = World::ready(Limits { backlog_bytes_max: 60, ..Limits::default() });
    let ping = || Body::Ping(wire::Ping { nonce: u64::MAX });
    let ends: Vec<_> = (0..6).map(|_| ended(&world.send(A, ping()), A)).collect();
    assert!(ends.contains(&Some(GoodbyeCode::Overloaded)), "{ends:?}");

    let mut world = World::new(Limits { backlog_bytes_max: 60, ..Limits::default() });
    world.hello(A, 1);
    for _ in 0..20 {
        world.drain(vec![Input::Sent { conn: A, bytes: 60 }]);
        assert_eq!(ended(&world.send(A, ping()), A), None);
    }
}

#[test]
fn a_mailbox_has_one_owner() {
    let mut world = World::ready(Limits::default());
    assert_eq!(refusal(&world.send(B, register(1, 2))), RefusalCode::NotOwner);
    assert_eq!(refusal(&world.send(B, attach(1, 1, 1))), RefusalCode::NotOwner);
    assert_eq!(refusal(&world.send(B, attach(2, 1, 1))), RefusalCode::Unknown);
    let revoke =
        wire::RevokeToken { mailbox: mailbox(1).to_wire(), epoch: 1, handles: vec![Bytes::from(vec![1; 8])] };
    assert_eq!(refusal(&world.send(B, Body::RevokeToken(revoke))), RefusalCode::NotOwner);
    // Neither the store's keys nor its values show the device key.
    let everything = world.store_bytes();
    assert!(!everything.windows(32).any(|window| window == device(1).as_bytes()));
}

#[test]
fn epochs_grow_and_generations_stay() {
    let mut world = World::ready(Limits::default());
    let generation = world.register(A, 1, 1);
    assert_eq!(world.register(A, 1, 4), generation);
    assert_eq!(refusal(&world.send(A, register(1, 3))), RefusalCode::Epoch);
    assert_eq!(refusal(&world.send(A, register(1, 0))), RefusalCode::Malformed);
    let other = wire::Register {
        mailbox: mailbox(1).to_wire(),
        secret: Bytes::from(vec![1; 32]),
        epoch: 4,
        invitation: Bytes::new(),
    };
    assert_eq!(refusal(&world.send(A, Body::Register(other))), RefusalCode::Epoch);
    assert_ne!(world.register(A, 2, 1), generation);
    assert_eq!(world.relay.metrics().registrations, 2);
}

#[test]
fn registrations_are_bounded_or_closed() {
    let mut world =
        World::ready(Limits { mailboxes_per_device_max: 2, mailboxes_max: 3, ..Limits::default() });
    world.register(A, 2, 1);
    assert_eq!(refusal(&world.send(A, register(3, 1))), RefusalCode::Limit);
    world.register(B, 3, 1);
    assert_eq!(refusal(&world.send(B, register(4, 1))), RefusalCode::Limit);

    let mut world = World::with(Limits::default(), Registration::Closed);
    world.hello(A, 1);
    assert_eq!(refusal(&world.send(A, register(1, 1))), RefusalCode::Closed);
}

/// Whoever is told to come again is told when, keeps the connection, and is not put off by having asked.
#[test]
fn a_registration_that_came_too_soon_is_taken_when_the_relay_said() {
    let limits = Limits { registrations_per_minute: 2, silence_ms_max: u64::MAX, ..Limits::default() };
    let mut world = World::ready(limits);
    world.register(B, 2, 1);
    let refused = |world: &mut World| {
        let Body::Refusal(refusal) = answer(&world.send(B, register(3, 1))) else { panic!("not refused") };
        assert_eq!(refusal.code(), RefusalCode::RetryAfter);
        assert_eq!(refusal.text, "registrations_per_minute");
        refusal.retry_after_ms
    };
    let wait = refused(&mut world);
    assert!((29_000..=30_001).contains(&wait), "{wait}");
    world.register(B, 2, 1);
    world.register(B, 2, 2);
    world.pass(Duration::from_millis(wait - 10));
    assert!(refused(&mut world) <= 11, "asking too soon puts nothing off, nor does what is no new mailbox");
    world.pass(Duration::from_millis(10));
    world.register(B, 3, 1);
    assert_eq!(world.relay.metrics().registrations, 3);
}

#[test]
fn requests_of_a_connection_are_rated() {
    let mut world = World::ready(Limits { requests_per_minute: 2, ..Limits::default() });
    assert!(matches!(answer(&world.attach(A, 1)), Body::Attached(_)), "the registration was the first");
    let Body::Refusal(refusal) = answer(&world.attach(A, 1)) else { panic!("not refused") };
    assert_eq!((refusal.code(), refusal.text.as_str()), (RefusalCode::RetryAfter, "requests_per_minute"));
    world.register(B, 2, 1);
    world.pass(Duration::from_millis(refusal.retry_after_ms));
    assert!(matches!(answer(&world.attach(A, 1)), Body::Attached(_)));
}

/// Each may be within its own bound, and all of them more than the machine has.
#[test]
fn slow_readers_together_are_bounded() {
    let limits = Limits { backlog_bytes_max: 8_000, backlog_total_bytes_max: 10_000, ..Limits::default() };
    let mut world = World::ready(limits);
    world.hello(C, 3);
    let locator = Bytes::from(vec![1; 32]);
    let bundle = Bytes::from(vec![7; 1_000]);
    world.send(A, Body::PutBundle(wire::PutBundle { locator: locator.clone(), bundle }));
    let mut fetch = |conn, times| {
        let mut ends = Vec::new();
        for _ in 0..times {
            let out = world.send(conn, Body::GetBundle(wire::GetBundle { locator: locator.clone() }));
            ends.extend([A, B, C].into_iter().filter(|conn| ended(&out, *conn).is_some()));
        }
        let gauges = world.relay.gauges(&crate::store::Overlay::new(&world.store)).unwrap();
        assert!(gauges.backlog_bytes <= 10_000, "{gauges:?}");
        ends
    };
    assert_eq!(fetch(B, 5), []);
    assert_eq!(fetch(A, 3), []);
    assert_eq!(fetch(C, 2), [B], "the furthest behind");
    assert_eq!(fetch(C, 4), []);
    world.drain(vec![Input::Sent { conn: A, bytes: u64::MAX }, Input::Disconnected { conn: C }]);
    let gauges = world.relay.gauges(&crate::store::Overlay::new(&world.store)).unwrap();
    assert_eq!(gauges.backlog_bytes, 0, "nothing is counted for who is gone");
    assert_eq!(world.relay.metrics().connections_overloaded, 1);
}

#[test]
fn metrics_have_names() {
    let world = World::ready(Limits::default());
    let counters: std::collections::BTreeMap<_, _> = world.relay.metrics().counters().collect();
    assert_eq!(counters["registrations"], 1);
    assert_eq!(counters["connections_opened"], 2);
}
