//! Relays look after each other.

use std::time::Duration;

use undertone_protocol::wire::{self, frame::Body};

use super::far::{Far, id};
use super::world::{DAY, HOUR};
use crate::federation::{Policy, PolicyKind};
use crate::limits::Limits;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_secs(300);
const NEW: &str = "/dns4/relay.example/tcp/4001";

fn far() -> Far {
    Far::with(Limits::default())
}

#[test]
fn those_that_the_operator_named_are_asked_every_few_minutes() {
    let mut far = far();
    far.near = far.near.with_addresses(&[NEW]);
    far.name_peers(&[1, 2]);
    let start = far.now;
    far.pass(2 * SECOND);
    assert_eq!(far.beats.len(), 2);
    assert!(far.connected().is_empty(), "the links have served");
    assert_eq!(far.told.len(), 2, "and said where this one is");
    far.pass(10 * HOUR);
    let beats: Vec<_> = far.beats.iter().filter(|(_, relay)| *relay == 1).map(|(at, _)| *at).collect();
    for pair in beats.windows(2) {
        let wait = pair[1].since(pair[0]);
        assert!(wait >= EVERY && wait <= 2 * EVERY + SECOND, "{wait:?}");
    }
    let health = far.health(1).unwrap();
    assert_eq!((health.reachable, health.heartbeat_failures), (Some(true), 0));
    assert!(health.since_ms.unwrap() <= start.after(2 * SECOND).as_ms());
    assert_eq!(health.heard_ms, Some(beats.last().unwrap().as_ms()));
    assert_eq!(health.round_trip_ms, Some(0));
    assert_eq!(far.near.relay.metrics().heartbeats_answered, far.beats.len() as u64);
}

#[test]
fn those_that_were_forwarded_with_are_looked_after_for_a_week() {
    let mut far = far();
    far.greet_with(&far.record(1, NEW));
    far.forward(1, 10);
    // It does not say where it is.
    far.forward(2, 10);
    far.pass(DAY);
    assert!(far.beats.iter().all(|(_, relay)| *relay == 1) && far.beats.len() > 100);
    far.near.restart();
    far.beats.clear();
    far.dialled_at.clear();
    far.pass(2 * SECOND);
    assert_eq!(far.beats.len(), 1, "after a start, too");
    assert_eq!(far.dialled_at, [[NEW]]);
    far.pass(7 * DAY);
    far.beats.clear();
    far.pass(DAY);
    assert!(far.beats.is_empty() && far.health(1).is_none());
}

#[test]
fn what_comes_to_wait_is_not_put_off_by_a_heartbeat_that_failed() {
    let mut far = far();
    far.name_peers(&[1]);
    far.reachable = false;
    far.pass(DAY);
    let health = far.health(1).unwrap();
    assert_eq!((health.reachable, health.failures), (Some(false), 0));
    assert!(health.heartbeat_failures > 10);
    assert_eq!(far.near.relay.metrics().destination_failures, 0);
    far.reachable = true;
    far.forward(1, 10);
    assert_eq!(far.took(1), 1, "at once");
    far.pass(3 * HOUR);
    assert_eq!(far.health(1).unwrap().reachable, Some(true));
}

#[test]
fn one_that_does_not_answer_in_time_is_not_reachable() {
    let mut far = far();
    far.name_peers(&[1]);
    far.answers_beats = false;
    far.pass(MINUTE);
    assert!(far.connected().is_empty());
    assert_eq!(far.health(1).unwrap().reachable, Some(false));
    assert_eq!(far.near.relay.metrics().heartbeats_failed, 1);
}

#[test]
fn a_heartbeat_goes_over_the_link_that_there_is() {
    let mut far = far();
    far.greet_with(&far.record(1, NEW));
    far.forward(1, 10);
    far.pass(2 * SECOND);
    assert_eq!((far.dials.len(), far.beats.len()), (1, 1));
    assert_eq!(far.connected(), [1], "and does not end one that serves");
}

#[test]
fn those_that_are_excluded_are_left_alone() {
    let mut far = far();
    far.name_peers(&[1]);
    far.near = far.near.with_policy(Policy { kind: PolicyKind::Deny, relays: [id(1)].into() });
    far.pass(HOUR);
    assert!(far.dials.is_empty() && far.beats.is_empty());
}

#[test]
fn an_answer_counts_though_the_clock_was_set_back_meanwhile() {
    let mut far = far();
    far.name_peers(&[1]);
    far.answers_beats = false;
    far.pass(2 * SECOND);
    let nonce = far.beats[0].0.as_ms();
    far.set_back(DAY);
    far.say_as(1, Body::Pong(wire::Pong { nonce }));
    assert_eq!(far.health(1).unwrap().reachable, Some(true));
    assert_eq!(far.near.relay.metrics().heartbeats_answered, 1);
}

#[test]
fn a_clock_that_is_set_back_holds_no_heartbeat_up() {
    let mut far = far();
    far.name_peers(&[1]);
    far.pass(2 * SECOND);
    far.set_back(DAY);
    far.pass(2 * EVERY + SECOND);
    assert_eq!(far.beats.len(), 2);
}
