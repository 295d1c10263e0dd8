//! What is cut, killed, or does not answer.

use std::time::Duration;

use undertone_protocol::federation::DeadLetterReason;
use undertone_protocol::receipts::Outcome;
use undertone_protocol::wire::frame::Body;

use super::world::*;
use crate::core::Input;
use crate::limits::Limits;

fn limits() -> Limits {
    Limits { silence_ms_max: u64::MAX / 4, ..Limits::default() }
}

#[test]
fn an_answer_that_is_lost_is_given_again_and_nothing_is_stored_twice() {
    let mut net = Net::new();
    net.seal(b"makes the circuit");
    net.fault = Some(Fault::AnswersLost);
    let key = net.forward(b"hi");
    assert_eq!(net.delivered().len(), 1, "B has it, and A does not know");
    assert_eq!(net.said_a().len(), 1);
    net.fault = None;
    net.pass(Duration::from_secs(10));
    let said = net.said_a();
    assert!(matches!(outcome(&said[0], &key), Outcome::Stored { .. }), "the first answer, not *duplicate*");
    assert!(net.delivered().is_empty());
    assert_eq!(net.b.relay.metrics().results_stored, 1);
    assert_eq!(net.b.relay.metrics().parcels_repeated, 1);
}

#[test]
fn a_destination_that_dies_before_it_commits_has_answered_nothing() {
    let mut net = Net::new();
    net.seal(b"makes the circuit");
    net.fault = Some(Fault::DiesBeforeCommit);
    let key = net.forward(b"hi");
    net.fault = None;
    assert!(net.delivered().is_empty());
    net.pass(Duration::from_secs(10));
    assert_eq!(net.delivered(), [b"hi".as_slice()], "B opened it without the table of circuits");
    assert!(matches!(outcome(&net.said_a()[1], &key), Outcome::Stored { .. }));
}

#[test]
fn what_waits_survives_the_death_of_the_relay_that_holds_it() {
    let mut net = Net::new();
    net.seal(b"makes the circuit");
    net.reachable = false;
    net.cut();
    let keys = [net.forward(b"one"), net.forward(b"two")];
    net.said_a();
    net.kill_a();
    net.reachable = true;
    net.pass(Duration::from_secs(5));
    assert_eq!(net.delivered(), [b"one".as_slice(), b"two"]);
    assert!(net.said_a().is_empty(), "its device is not there");
    net.kill_a();
    net.greet_a();
    let said = net.said_a();
    assert!(matches!(said[0], Body::Welcome(_)));
    let mut answers: Vec<_> = said[1..].to_vec();
    answers.sort_by_key(
        |body| matches!(body, Body::Forwarded(answer) if answer.forward_id != keys[0].forward_id.to_wire()),
    );
    for (key, body) in keys.iter().zip(&answers) {
        assert!(matches!(outcome(body, key), Outcome::Stored { .. }));
    }
    net.a.assert_counted();
}

#[test]
fn a_relay_that_can_t_be_reached_is_tried_less_and_less_often() {
    let mut net = Net::new();
    net.seal(b"makes the circuit");
    net.reachable = false;
    net.cut();
    net.dials.clear();
    net.forward(b"hi");
    net.pass(HOUR);
    let waits: Vec<Duration> = net.dials.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert!((10..25).contains(&waits.len()), "{} times in an hour", waits.len());
    assert!(waits[0] < Duration::from_secs(3), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= Duration::from_secs(1_201)), "{waits:?}");
    let exact = waits.iter().filter(|wait| wait.as_millis() % 500 == 0).count();
    assert!(exact < waits.len() / 2, "with a random part: {waits:?}");
    // More that waits makes it no more often.
    let before = net.dials.len();
    for number in 0..50u8 {
        net.forward(&[number]);
    }
    assert_eq!(net.dials.len(), before);
    assert_eq!(net.a.relay.metrics().destination_failures, u64::try_from(before).unwrap());
}

#[test]
fn what_was_carried_in_vain_keeps_its_order() {
    let mut net = Net::new();
    net.seal(b"makes the circuit");
    net.reachable = false;
    net.cut();
    let payloads: Vec<Vec<u8>> = (0..20u8).map(|number| vec![number; 30]).collect();
    for payload in &payloads {
        net.forward(payload);
    }
    net.kill_a();
    (net.reachable, net.fault) = (true, Some(Fault::DiesBeforeCommit));
    net.carried.clear();
    net.pass(Duration::from_millis(100));
    assert_eq!(net.carried, [20]);
    net.fault = None;
    net.pass(Duration::from_secs(60));
    assert_eq!(net.delivered(), payloads);
}

/// The circuit is broken: after a failure one parcel at a time is tried, until one is answered.
#[test]
fn after_a_failure_one_parcel_at_a_time_is_tried() {
    let mut net = Net::new();
    net.seal(b"makes the circuit");
    net.fault = Some(Fault::AnswersLost);
    for number in 0..20u8 {
        net.forward(&[number]);
    }
    net.carried.clear();
    net.pass(Duration::from_secs(600));
    assert!(net.carried.len() > 3 && net.carried.iter().all(|count| *count == 1), "{:?}", net.carried);
    net.fault = None;
    net.carried.clear();
    net.pass(Duration::from_secs(1_300));
    assert_eq!(net.carried[0], 1);
    assert!(net.carried[1] > 1, "{:?}", net.carried);
    assert_eq!(net.delivered().len(), 20);
    assert_eq!(net.b.relay.metrics().results_stored, 20);
}

#[test]
fn what_can_t_be_delivered_in_time_becomes_a_dead_letter() {
    let mut net = Net::with(Limits { forward_age_ms_max: 3_600_000, ..limits() });
    net.seal(b"makes the circuit");
    net.reachable = false;
    net.cut();
    let key = net.forward(b"hi");
    let notice = waiting(&net.said_a()[0], net.a.relay.id());
    assert_eq!(notice.until, net.now.after(HOUR), "the relay's own bound, not the sender's");
    net.pass(HOUR - Duration::from_secs(5));
    assert!(net.said_a().is_empty());
    net.pass(Duration::from_secs(40));
    let said = net.said_a();
    assert_eq!(dead(&said[0], net.a.relay.id()), (key.forward_id, DeadLetterReason::Expired));
    assert_eq!(net.a.relay.metrics().dead_letters, 1);
    net.reachable = true;
    net.pass(HOUR);
    assert!(net.delivered().is_empty(), "given up for good");
    net.taken(&[key.forward_id]);
    net.a.assert_counted();
}

#[test]
fn what_was_carried_too_often_becomes_a_dead_letter_and_holds_up_nothing() {
    let mut net = Net::with(Limits { forward_attempts_max: 3, ..limits() });
    net.seal(b"makes the circuit");
    net.fault = Some(Fault::DiesBeforeCommit);
    let key = net.forward(b"brings B down");
    net.pass(Duration::from_secs(60));
    let said = net.said_a();
    assert_eq!(dead(&said[1], net.a.relay.id()), (key.forward_id, DeadLetterReason::Attempts));
    net.fault = None;
    net.forward(b"hi");
    net.pass(Duration::from_secs(60));
    assert_eq!(net.delivered(), [b"hi".as_slice()]);
}

#[test]
fn a_dead_letter_waits_for_its_device_and_not_for_ever() {
    let mut net = Net::with(Limits { forward_age_ms_max: 60_000, ..limits() });
    net.seal(b"makes the circuit");
    net.reachable = false;
    net.cut();
    net.forward(b"hi");
    net.input_a(Input::Disconnected { conn: SENDER });
    net.pass(DAY);
    net.said_a();
    net.greet_a();
    assert!(matches!(net.said_a()[..], [Body::Welcome(_), Body::DeadLetter(_)]));
    net.input_a(Input::Disconnected { conn: SENDER });
    net.pass(8 * DAY);
    net.greet_a();
    assert!(matches!(net.said_a()[..], [Body::Welcome(_)]));
    assert_eq!(net.a.relay.metrics().answers_expired, 1);
    net.a.assert_counted();
}
