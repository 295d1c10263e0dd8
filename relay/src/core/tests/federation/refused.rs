//! What is not taken, and why.

use std::collections::BTreeSet;
use std::time::Duration;

use undertone_protocol::federation::DeadLetterReason;
use undertone_protocol::limits::FORWARD_AGE_MAX;
use undertone_protocol::wire::{self, RefusalCode, frame::Body};

use super::super::world::device;
use super::world::*;
use crate::core::{ConnId, Input};
use crate::federation::{Policy, PolicyKind};
use crate::limits::Limits;
use crate::store::MemoryStore;

fn limits() -> Limits {
    Limits { silence_ms_max: u64::MAX / 4, ..Limits::default() }
}

fn refusal(net: &mut Net) -> RefusalCode {
    match net.said_a().pop() {
        Some(Body::Refusal(refusal)) => refusal.code(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_relay_forwards_for_its_own_clients_only() {
    let mut net = Net::new();
    let (parcel, _) = net.seal(b"hi");
    let conn = ConnId::new(30);
    net.input_a(Input::Connected { conn, device: device(30) });
    let say = |net: &mut Net, body| {
        let frame = wire::Frame { request: 7, body: Some(body) };
        net.input_a(Input::Frame { conn, frame });
    };
    say(&mut net, Body::Hello(wire::Hello { version_min: 1, version_max: 1 }));
    let destination = Some(net.b_address());
    say(&mut net, Body::Forward(wire::Forward { destination: destination.clone(), parcel }));
    assert_eq!(refusal(&mut net), RefusalCode::Closed);
    say(&mut net, Body::GetRoutingKey(wire::GetRoutingKey { relay: destination }));
    assert_eq!(refusal(&mut net), RefusalCode::Closed);
    // Its own key it tells anybody.
    say(&mut net, Body::GetRoutingKey(wire::GetRoutingKey { relay: None }));
    assert!(matches!(net.said_a().pop(), Some(Body::RoutingKey(_))));
    assert!(net.delivered().is_empty());
}

#[test]
fn ill_formed_forwards_are_refused() {
    let mut net = Net::new();
    let (parcel, _) = net.seal(b"hi");
    let mut many = net.b_address();
    many.addresses = vec!["/ip4/192.0.2.1/tcp/1".to_owned(); 5];
    let own = wire::RelayAddress { relay: net.a.relay.id().to_wire(), ..net.b_address() };
    for destination in [None, Some(many), Some(own)] {
        net.tell_a(Body::Forward(wire::Forward { destination, parcel: parcel.clone() }));
        assert_eq!(refusal(&mut net), RefusalCode::Malformed);
    }
    net.hand_in(&parcel.slice(1..));
    assert_eq!(refusal(&mut net), RefusalCode::Malformed);
    let (late, _) = net.seal_until(b"late", net.now);
    net.hand_in(&late);
    assert_eq!(refusal(&mut net), RefusalCode::Malformed);
    net.hand_in(&parcel);
    assert_eq!(net.delivered().len(), 1);
}

#[test]
fn what_one_device_and_one_destination_may_have_is_bounded() {
    let mut net = Net::with(Limits { forwards_per_device_max: 2, ..limits() });
    let first = net.forward(b"one");
    net.forward(b"two");
    net.said_a();
    net.forward(b"three");
    assert_eq!(refusal(&mut net), RefusalCode::RetryAfter, "two answers were not taken");
    net.taken(&[first.forward_id]);
    net.said_a();
    net.forward(b"three");
    assert!(matches!(net.said_a()[0], Body::Waiting(_)));

    for bound in [
        Limits { destination_forwards_max: 1, ..limits() },
        Limits { destination_bytes_max: 1_000, ..limits() },
        Limits { disk_bytes_max: 5_000, ..limits() },
    ] {
        let mut net = Net::with(bound);
        net.seal(b"makes the circuit");
        net.reachable = false;
        net.cut();
        net.forward(&[1; 600]);
        assert!(matches!(net.said_a()[0], Body::Waiting(_)));
        net.forward(&[2; 600]);
        assert_eq!(refusal(&mut net), RefusalCode::RetryAfter);
        net.a.assert_counted();
    }
}

#[test]
fn a_policy_holds_in_both_directions() {
    for kind in [PolicyKind::Allow, PolicyKind::Deny] {
        let mut net = Net::new();
        let (parcel, _) = net.seal(b"hi");
        let relays =
            if kind == PolicyKind::Deny { BTreeSet::from([net.a.relay.id()]) } else { BTreeSet::new() };
        net.b = net.b.with_policy(Policy { kind, relays });
        net.hand_in(&parcel);
        let said = net.said_a();
        assert_eq!(dead(&said[1], net.a.relay.id()).1, DeadLetterReason::Refused);
        assert!(net.delivered().is_empty());
        let relays =
            if kind == PolicyKind::Deny { BTreeSet::from([net.b.relay.id()]) } else { BTreeSet::new() };
        net.a = net.a.with_policy(Policy { kind, relays });
        net.forward(b"more");
        assert_eq!(refusal(&mut net), RefusalCode::Closed);
    }
}

#[test]
fn a_destination_that_lost_its_store_says_that_it_knows_no_such_key() {
    let mut net = Net::new();
    let (parcel, _) = net.seal(b"hi");
    net.b.store = MemoryStore::new();
    net.cut();
    net.hand_in(&parcel);
    net.pass(Duration::from_secs(30));
    let said = net.said_a();
    assert_eq!(dead(&said[1], net.a.relay.id()).1, DeadLetterReason::Key);
}

#[test]
fn what_one_source_brings_is_bounded() {
    let mut net = Net::with(Limits { source_parcels_per_minute: 3, ..limits() });
    for number in 0..5u8 {
        net.forward(&[number]);
    }
    assert_eq!(net.delivered().len(), 3);
    net.pass(Duration::from_secs(120));
    assert_eq!(net.delivered().len(), 2, "later, and not lost");
    assert!(net.b.relay.metrics().parcels_declined >= 1);
    assert_eq!(net.a.relay.metrics().dead_letters, 0);
}

#[test]
fn a_parcel_is_decided_within_its_time_only() {
    let mut net = Net::new();
    let (far, _) = net.seal_until(b"far", net.now.after(FORWARD_AGE_MAX + DAY));
    net.hand_in(&far);
    let said = net.said_a();
    assert_eq!(dead(&said[1], net.a.relay.id()).1, DeadLetterReason::Malformed);
    assert!(net.delivered().is_empty());
}

#[test]
fn a_full_disk_at_the_destination_puts_off_and_loses_nothing() {
    let mut net = Net::new();
    let (parcel, key) = net.seal(b"hi");
    net.b.relay.limits.disk_bytes_max = 700;
    net.hand_in(&parcel);
    assert!(net.delivered().is_empty());
    net.b.assert_counted();
    net.b.relay.limits.disk_bytes_max = 1_000_000;
    net.pass(Duration::from_secs(200));
    assert_eq!(net.delivered().len(), 1);
    assert!(net.said_a().iter().any(|body| matches!(body, Body::Forwarded(_))));
    assert_eq!(net.a.relay.metrics().dead_letters, 0);
    drop(key);
}
