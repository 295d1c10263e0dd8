//! Connections are fewer than relays that something waits for: each gets its turn.

use std::time::Duration;

use undertone_protocol::federation::DeadLetterReason;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, DeclinedCode, RefusalCode, frame::Body};

use super::far::{Far, Manner, address};
use super::world::dead;
use crate::limits::Limits;

const SECOND: Duration = Duration::from_secs(1);

fn one_link() -> Limits {
    Limits { destination_links_max: 1, ..Limits::default() }
}

#[test]
fn nobody_waits_behind_a_relay_that_always_has_more() {
    have_their_turn(|_| {});
}

#[test]
fn a_relay_that_greets_again_and_again_has_one_turn() {
    let again = || Body::Welcome(wire::Welcome { version: 1, now_ms: 0, record: None });
    have_their_turn(|far| far.say_as(1, again()));
}

/// Else whoever was down has all who call them at the door at once, each time.
#[test]
fn two_that_failed_together_are_called_apart() {
    let mut far = Far::with(Limits::default());
    far.reachable = false;
    far.forward(1, 10);
    far.forward(2, 10);
    far.pass(Duration::from_secs(300));
    let calls = |far: &Far, to: u8| -> Vec<Timestamp> {
        far.dials.iter().filter(|(_, called)| *called == to).map(|(at, _)| *at).collect()
    };
    let (first, second) = (calls(&far, 1), calls(&far, 2));
    assert!(first.len() > 5 && second.len() > 5, "{:?}", far.dials);
    assert_eq!(first[0], second[0], "the first calls are made at once");
    assert!(first[1..].iter().all(|at| !second.contains(at)), "{:?}", far.dials);
    for calls in [&first, &second] {
        let waits = calls.windows(2).map(|pair| pair[1].since(pair[0]));
        let least = (0..).map(|tries| Duration::from_millis(500) * 2_u32.pow(tries));
        for (wait, least) in waits.zip(least) {
            assert!(
                (least..=2 * least).contains(&wait),
                "{wait:?}, and not {least:?} and up to as much again"
            );
        }
    }
}

/// Two relays that something waits for behind one that always has more, and does this once a second.
fn have_their_turn(each: impl Fn(&mut Far)) {
    let mut far = Far::with(one_link());
    far.manner.insert(1, Manner::IsSilent);
    let first = far.forward(1, 10);
    far.forward(2, 10);
    far.forward(3, 10);
    far.keep_busy(1, first, each);
    assert_eq!((far.took(2), far.took(3)), (1, 1), "{:?}", far.dials);
    far.manner.clear();
    far.pass(Duration::from_secs(120));
    assert_eq!(far.near.relay.metrics().forwards_answered, 28);
    assert_eq!(far.near.relay.metrics().dead_letters, 0);
}

/// Whoever is slow to greet has a turn all the same.
#[test]
fn a_turn_begins_with_the_greeting() {
    let mut far = Far::with(one_link());
    far.greeting = None;
    far.forward(1, 10);
    far.forward(2, 10);
    far.pass(Duration::from_secs(20));
    assert_eq!((far.connected(), far.took(1)), (vec![1], 0));
    far.say_as(1, Body::Welcome(wire::Welcome { version: 1, now_ms: 0, record: None }));
    assert_eq!(far.took(1), 1);
}

#[test]
fn a_connection_that_nobody_needs_makes_way_at_once() {
    let mut far = Far::with(one_link());
    far.forward(1, 10);
    assert_eq!(far.connected(), [1]);
    far.forward(2, 10);
    assert_eq!((far.took(2), far.connected()), (1, vec![2]));
    // And so does one to a relay that asked to be left alone.
    far.manner.insert(3, Manner::Declines(DeclinedCode::RetryAfter, 600_000));
    far.forward(3, 10);
    far.forward(4, 10);
    assert_eq!((far.took(3), far.took(4), far.connected()), (1, 1, vec![4]));
    far.manner.clear();
    far.pass(Duration::from_secs(599));
    assert_eq!(far.took(3), 1, "it is left alone for as long as it said");
    far.pass(Duration::from_secs(3));
    assert_eq!(far.took(3), 2);
    assert_eq!(far.near.relay.metrics().destination_failures, 0);
}

#[test]
fn they_are_called_in_the_order_in_which_they_came() {
    let mut far = Far::with(one_link());
    far.manner.insert(9, Manner::IsSilent);
    far.forward(9, 10);
    for number in [5, 3, 8, 1] {
        far.forward(number, 10);
    }
    far.pass(Duration::from_secs(40));
    let called: Vec<u8> = far.dials.iter().map(|(_, number)| *number).collect();
    assert_eq!(called[..5], [9, 5, 3, 8, 1]);
}

#[test]
fn a_relay_that_has_too_much_costs_no_attempts() {
    let mut far = Far::with(Limits { forward_attempts_max: 3, ..Limits::default() });
    far.manner.insert(1, Manner::Declines(DeclinedCode::RetryAfter, 1_000));
    far.forward(1, 10);
    far.forward(1, 10);
    far.pass(Duration::from_secs(30));
    let tried = far.took(1);
    assert!(tried > 10, "{tried}");
    // It is not given all at once each time: one parcel says whether there is room.
    assert!(tried < 40, "{tried}");
    far.manner.clear();
    far.pass(Duration::from_secs(5));
    assert_eq!(far.near.relay.metrics().dead_letters, 0);
    assert_eq!(far.near.relay.metrics().forwards_answered, 2);
}

#[test]
fn a_pause_that_was_asked_for_outlives_the_connection() {
    let mut far = Far::with(Limits::default());
    far.manner.insert(1, Manner::Declines(DeclinedCode::RetryAfter, 1_800_000));
    far.forward(1, 10);
    let code = wire::GoodbyeCode::Overloaded.into();
    far.cut(Some(Body::Goodbye(wire::Goodbye { code, text: String::new() })));
    far.manner.clear();
    far.pass(Duration::from_secs(1_790));
    assert_eq!(far.dials.len(), 1);
    far.pass(Duration::from_secs(20));
    assert_eq!(far.near.relay.metrics().forwards_answered, 1);
}

/// What waits for its delay where the destination has too much meanwhile is no reason to look at the clock all the time.
#[test]
fn a_delay_that_nothing_comes_of_keeps_nobody_busy() {
    let mut far = Far::with(Limits { forward_delay_ms_max: 1_000, ..Limits::default() });
    far.manner.insert(1, Manner::IsSilent);
    let first = far.forward(1, 10);
    far.pass(2 * SECOND);
    assert_eq!(far.took(1), 1);
    far.forward(1, 10);
    let (forward_id, code) = (first.to_wire(), DeclinedCode::RetryAfter.into());
    far.say_as(1, Body::Declined(wire::Declined { forward_id, code, retry_after_ms: 20_000 }));
    far.pass(2 * SECOND);
    let due = far.near.relay.next_tick().unwrap();
    assert!(due > far.now, "{due:?} is over at {:?}", far.now);
    far.manner.clear();
    far.pass(22 * SECOND);
    assert_eq!(far.near.relay.metrics().forwards_answered, 2);
}

#[test]
fn what_is_on_its_way_is_bounded_in_all() {
    let mut far = Far::with(Limits::default());
    let bytes = 200 * 1024;
    for number in 1..=30 {
        far.manner.insert(number, Manner::IsSilent);
        for _ in 0..12 {
            far.forward(number, bytes);
        }
    }
    assert!(far.carried_bytes > 30 << 20);
    assert!(far.carried_bytes < (32 << 20) + 31 * (bytes + 1024), "{}", far.carried_bytes);
    assert!((1..=30).all(|number| far.took(number) > 0), "and each has some");
}

/// A destination of another version may not be able to read which parcel it can't read.
#[test]
fn a_parcel_that_its_destination_can_t_read_is_found() {
    let mut far = Far::with(Limits::default());
    far.manner.insert(1, Manner::DeclinesUnnamed(DeclinedCode::Malformed));
    let only = far.forward(1, 10);
    let relay = far.near.relay.id();
    assert_eq!(dead(&far.said()[1], relay), (only, DeadLetterReason::Malformed));

    far.manner.insert(1, Manner::IsSilent);
    let several = [far.forward(1, 10), far.forward(1, 10)];
    far.said();
    far.manner.insert(1, Manner::DeclinesUnnamed(DeclinedCode::Malformed));
    let code = DeclinedCode::Malformed.into();
    far.say_as(1, Body::Declined(wire::Declined { code, ..Default::default() }));
    far.pass(Duration::from_secs(20));
    let mut ended: Vec<_> = far.said().iter().map(|body| dead(body, relay).0).collect();
    ended.sort_unstable();
    assert_eq!(ended, several);
}

#[test]
fn whoever_asks_for_keys_leaves_room_for_what_waits() {
    let mut far = Far::with(Limits { destinations_max: 4, ..Limits::default() });
    far.greeting = None;
    for number in 1..=4 {
        assert!(far.ask_key(number).is_none());
    }
    assert_eq!(far.dials.len(), 2, "half of them are for those that something waits for");
    let takes = |far: &mut Far, number| {
        far.said();
        far.forward(number, 10);
        match far.said().pop() {
            Some(Body::Waiting(_)) => true,
            Some(Body::Refusal(refusal)) if refusal.code() == RefusalCode::RetryAfter => false,
            other => panic!("{other:?}"),
        }
    };
    assert!(takes(&mut far, 6) && takes(&mut far, 7) && !takes(&mut far, 8));
    // Those that were only asked for their keys, and failed, make room.
    far.pass(Duration::from_secs(31));
    assert!(takes(&mut far, 8) && takes(&mut far, 9) && !takes(&mut far, 10));
}

#[test]
fn a_relay_that_can_t_be_reached_is_not_called_for_each_who_asks_for_its_key() {
    let mut far = Far::with(Limits::default());
    far.reachable = false;
    for _ in 0..600 {
        far.tell(Body::GetRoutingKey(wire::GetRoutingKey { relay: Some(address(1)) }));
        far.pass(SECOND);
    }
    assert!(far.dials.len() < 20, "{} times in ten minutes", far.dials.len());
}
