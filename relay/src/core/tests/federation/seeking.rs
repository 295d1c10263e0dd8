//! Relays that can't be reached where they were said to be are looked for.

use std::time::Duration;

use undertone_protocol::wire::{self, RefusalCode, frame::Body};

use super::far::{Far, address, id};
use super::world::{DAY, HOUR, SENDER};
use crate::core::Finding;
use crate::federation::{Policy, PolicyKind};
use crate::limits::Limits;

const SECOND: Duration = Duration::from_secs(1);
const NEW: &str = "/dns4/relay.example/tcp/4001";

/// Somebody looks, and nobody far away can be reached.
fn far() -> Far {
    let mut far = Far::with(Limits::default());
    far.near = far.near.with_finder();
    far.reachable = false;
    far
}

#[test]
fn one_that_can_not_be_reached_is_looked_for_and_called_where_it_is_found() {
    let mut far = far();
    far.forward(1, 10);
    assert_eq!(far.sought(1), 1);
    far.pass(50 * SECOND);
    assert_eq!(far.sought(1), 1, "not again and again");
    far.pass(HOUR);
    assert!((2..=60).contains(&far.sought(1)));
    far.forward(2, 10);
    far.reachable = true;
    let calls = far.dials.len();
    far.found(&far.record(2, NEW));
    assert_eq!(far.dialled_at[calls][0], NEW);
    assert_eq!((far.took(2), far.near.relay.metrics().relays_found), (1, 1));
    assert!(far.finder.contains(&Finding::Known { relay: id(2), addresses: vec![NEW.to_owned()] }));
}

#[test]
fn what_nobody_asked_for_or_nobody_signed_is_passed_over() {
    let mut far = far();
    far.found(&far.record(1, NEW));
    far.forward(1, 10);
    assert!(!far.dialled_at[0].contains(&NEW.to_owned()));
    let old = far.record(1, "/ip4/192.0.2.7/tcp/7");
    far.now = far.now.after(SECOND);
    far.found(&far.record(1, NEW));
    let calls = far.dials.len();
    far.found(&old);
    assert_eq!(far.dials.len(), calls, "an older one does not count");
    let mut forged = far.record(1, NEW);
    forged.signed.signature[0] ^= 1;
    far.found(&forged);
    assert_eq!(far.near.relay.metrics().relay_records_refused, 1);
    far.near = far.near.with_policy(Policy { kind: PolicyKind::Deny, relays: [id(1)].into() });
    far.now = far.now.after(SECOND);
    far.found(&far.record(1, NEW));
    assert_eq!(far.near.relay.metrics().relays_found, 1, "excluded");
}

#[test]
fn where_this_one_is_is_told_at_the_start_and_each_day() {
    let mut far = far();
    far.near = far.near.with_addresses(&[NEW]);
    let told = |far: &Far| far.finder.iter().filter(|told| matches!(told, Finding::Announced { .. })).count();
    far.pass(SECOND);
    assert_eq!(told(&far), 1);
    far.pass(2 * DAY);
    assert_eq!(told(&far), 3);
}

#[test]
fn those_that_the_operator_named_are_whom_it_asks_first() {
    let mut far = far();
    far.name_peers(&[1]);
    far.near = far.near.with_finder();
    far.pass(SECOND);
    let addresses = vec!["/ip4/192.0.2.1/tcp/1".to_owned()];
    assert!(far.finder.contains(&Finding::Known { relay: id(1), addresses }));
}

#[test]
fn a_device_that_looks_for_a_relay_comes_again() {
    let mut far = far();
    let find = || Body::FindRelay(wire::FindRelay { relay: id(1).to_wire() });
    far.tell(find());
    let Some(Body::Refusal(refusal)) = far.said().pop() else { panic!("found") };
    assert_eq!((refusal.code(), far.sought(1)), (RefusalCode::RetryAfter, 1));
    far.found(&far.record(1, NEW));
    far.tell(find());
    assert!(matches!(far.said()[..], [Body::RelayAt(_)]));
}

#[test]
fn what_devices_ask_for_leaves_room_for_what_waits() {
    let mut far = far();
    let find = |number| Body::FindRelay(wire::FindRelay { relay: id(number).to_wire() });
    let looks = |far: &mut Far, conn, number| {
        far.said();
        far.tell_as(conn, find(number));
        let Some(Body::Refusal(refusal)) = far.said().pop() else { panic!("found") };
        refusal.code() == RefusalCode::RetryAfter
    };
    (20..28).for_each(|number| assert!(looks(&mut far, SENDER, number)));
    assert!(!looks(&mut far, SENDER, 28), "one device has a few");
    assert!(looks(&mut far, SENDER, 27), "which are still looked for");
    for device in 20..35 {
        let conn = far.add_device(device);
        let first = 28 + 8 * (device - 20);
        (first..first + 8).for_each(|number| assert!(looks(&mut far, conn, number)));
    }
    let other = far.add_device(40);
    assert!(!looks(&mut far, other, 200), "and all together half");
    // For its key it is called, and not looked for either.
    far.tell_as(other, Body::GetRoutingKey(wire::GetRoutingKey { relay: Some(address(200)) }));
    assert_eq!((far.dials.len(), far.sought(200)), (1, 0));
    far.pass(5 * SECOND);
    far.forward(200, 10);
    far.pass(5 * SECOND);
    assert_eq!(far.sought(200), 1);
    assert!(looks(&mut far, other, 200), "now it is looked for");
    far.pass(61 * SECOND);
    assert!(looks(&mut far, SENDER, 28));
}

#[test]
fn a_relay_that_is_excluded_is_not_looked_for() {
    let mut far = far();
    far.near = far.near.with_policy(Policy { kind: PolicyKind::Deny, relays: [id(1)].into() });
    far.tell(Body::FindRelay(wire::FindRelay { relay: id(1).to_wire() }));
    let Some(Body::Refusal(refusal)) = far.said().pop() else { panic!("found") };
    assert_eq!((refusal.code(), far.sought(1)), (RefusalCode::Unknown, 0));
}

#[test]
fn where_nobody_looks_nobody_is_asked() {
    let mut far = Far::with(Limits::default());
    far.reachable = false;
    far.forward(1, 10);
    assert!(far.finder.is_empty());
}
