use std::collections::BTreeSet;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use undertone_protocol::ids::RelayId;
use undertone_protocol::keys::RelayAddress;
use undertone_protocol::time::Timestamp;

use super::links::{Links, MAX_LINKS};
use super::types::{NetOutput, Outputs};

const START: Timestamp = Timestamp::from_ms(1_767_225_600_000);

fn relay(n: u8) -> RelayAddress {
    RelayAddress { relay: RelayId::new([n; 32]), addresses: vec!["/ip4/127.0.0.1/tcp/1".to_owned()] }
}

fn links() -> Links {
    Links::new(&mut ChaCha20Rng::seed_from_u64(1))
}

/// The relays that are called now.
fn called(links: &mut Links, now: Timestamp) -> Vec<RelayId> {
    let mut out = Outputs::default();
    links.tick(now, &mut out);
    let calls = out.net.into_iter().filter_map(|output| match output {
        NetOutput::Connect(address) => Some(address.relay),
        _ => None,
    });
    calls.collect()
}

/// Lets time pass; whatever relay is called does as `does` says. Gives how often any was called.
fn pass(
    links: &mut Links,
    from: Timestamp,
    duration: Duration,
    does: impl Fn(&mut Links, &RelayId, Timestamp),
) -> usize {
    let mut calls = 0;
    for second in 0..duration.as_secs() * 4 {
        let now = from.after(Duration::from_millis(second * 250));
        for relay in called(links, now) {
            calls += 1;
            does(links, &relay, now);
        }
    }
    calls
}

fn refuses(links: &mut Links, relay: &RelayId, now: Timestamp) {
    links.down(relay, "nobody listens there", now);
}

/// Greets, and closes after so long.
fn greets_and_closes(after: Duration) -> impl Fn(&mut Links, &RelayId, Timestamp) {
    move |links, relay, now| {
        links.up(relay, now, &mut Outputs::default());
        assert!(links.get_mut(relay).is_some_and(|link| link.greeted(now)));
        links.down(relay, "the relay closed", now.after(after));
    }
}

#[test]
fn a_relay_that_greets_and_closes_is_called_ever_more_rarely() {
    let mut links = links();
    links.want(&relay(1), true, START);
    let calls = pass(&mut links, START, Duration::from_secs(600), greets_and_closes(Duration::ZERO));
    assert!((10..30).contains(&calls), "{calls} calls in ten minutes");
}

#[test]
fn a_relay_that_held_is_called_again_soon() {
    let mut links = links();
    links.want(&relay(1), true, START);
    pass(&mut links, START, Duration::from_secs(600), refuses);
    let now = START.after(Duration::from_secs(700));
    for relay in called(&mut links, now) {
        greets_and_closes(Duration::from_secs(10))(&mut links, &relay, now);
    }
    assert_eq!(called(&mut links, now.after(Duration::from_secs(11))), [relay(1).relay]);
}

#[test]
fn all_that_want_a_place_have_their_turn() {
    let mut links = links();
    links.want(&relay(200), true, START);
    let all: Vec<u8> = (1..=160).collect();
    let mut reached = BTreeSet::new();
    let mut calls = 0;
    for minute in 0..30 {
        let now = START.after(Duration::from_secs(minute * 61));
        all.iter().for_each(|n| links.want(&relay(*n), false, now));
        for relay in called(&mut links, now) {
            calls += 1;
            reached.insert(relay);
            refuses(&mut links, &relay, now);
        }
        assert!(links.iter().count() <= MAX_LINKS);
        // One's own gives way to nobody.
        assert!(links.get(&relay(200).relay).is_some());
    }
    assert_eq!(reached.len(), all.len() + 1);
    assert!(calls <= 30 * MAX_LINKS, "{calls} calls");
}

#[test]
fn a_place_is_not_taken_before_its_relay_was_tried_for_a_while() {
    let mut links = links();
    let all: Vec<u8> = (1..=160).collect();
    for second in 0..50 {
        let now = START.after(Duration::from_secs(second));
        all.iter().for_each(|n| links.want(&relay(*n), false, now));
        called(&mut links, now).iter().for_each(|relay| refuses(&mut links, relay, now));
    }
    let first = 1..=u8::try_from(MAX_LINKS).unwrap();
    assert!(first.map(relay).all(|relay| links.get(&relay.relay).is_some()));
}

#[test]
fn connections_that_nobody_uses_make_room_for_others() {
    let mut links = links();
    for n in 1..=u8::try_from(MAX_LINKS).unwrap() {
        links.want(&relay(n), false, START);
    }
    for relay in called(&mut links, START) {
        links.up(&relay, START, &mut Outputs::default());
        links.get_mut(&relay).unwrap().greeted(START);
    }
    let soon = START.after(Duration::from_secs(5));
    links.want(&relay(100), false, soon);
    assert_eq!(called(&mut links, soon), []);
    called(&mut links, START.after(Duration::from_secs(16)));
    let later = START.after(Duration::from_secs(30));
    assert_eq!(called(&mut links, later), [relay(100).relay]);
}
