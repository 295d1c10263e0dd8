//! A clock that is set back holds nothing up.

use std::time::Duration;

use undertone_protocol::ids::RelayId;
use undertone_protocol::wire::{self, Frame, frame::Body};

use super::far::{Far, Manner};
use super::world::{DAY, HOUR, Net};
use crate::core::{ConnId, Input};
use crate::limits::Limits;

#[test]
fn a_relay_that_was_away_is_called_again() {
    let mut far = Far::with(Limits::default());
    far.reachable = false;
    far.forward(1, 10);
    far.pass(Duration::from_secs(60));
    far.set_back(30 * DAY);
    far.reachable = true;
    far.pass(Duration::from_secs(200));
    assert_eq!(far.near.relay.metrics().forwards_answered, 1);
    let calls = far.dials.len();
    assert!(calls < 12, "and no more often than otherwise: {calls}");
}

#[test]
fn an_answer_is_waited_for_no_longer() {
    let mut far = Far::with(Limits::default());
    far.manner.insert(1, Manner::IsSilent);
    far.forward(1, 10);
    far.pass(Duration::from_secs(10));
    far.set_back(HOUR);
    far.pass(Duration::from_secs(15));
    assert_eq!(far.near.relay.metrics().destination_failures, 0, "nor shorter");
    far.pass(Duration::from_secs(10));
    assert_eq!(far.near.relay.metrics().destination_failures, 1);
}

#[test]
fn another_relay_finds_room_for_its_rates() {
    let limits = Limits { sources_max: 2, source_parcels_per_minute: 1, ..Limits::default() };
    let mut net = Net::with(Limits { silence_ms_max: u64::MAX / 4, ..limits });
    let (parcel, _) = net.seal(b"hi");
    let mut conns = 50;
    let mut bring = |net: &mut Net, number: u8| {
        conns += 1;
        let conn = ConnId::new(conns);
        net.input_b(Input::RelayConnected { conn, relay: RelayId::new([number; 32]) });
        let hello = Body::Hello(wire::Hello { version_min: 1, version_max: 1 });
        net.input_b(Input::Frame { conn, frame: Frame { request: 1, body: Some(hello) } });
        let carry = Body::Carry(wire::Carry { parcels: vec![parcel.clone()] });
        net.input_b(Input::Frame { conn, frame: Frame { request: 0, body: Some(carry) } });
        let is_answer = |body: &Body| matches!(body, Body::Forwarded(_) | Body::Declined(_));
        matches!(net.said_b().into_iter().find(is_answer).unwrap(), Body::Forwarded(_))
    };
    net.now = net.now.after(HOUR);
    assert!(bring(&mut net, 1));
    net.set_back(HOUR);
    for (number, is_taken) in [(2, true), (1, false), (3, true), (1, false), (2, true), (1, false)] {
        net.pass(Duration::from_secs(1));
        assert_eq!(
            bring(&mut net, number),
            is_taken,
            "the one that brought nothing for longest is forgotten"
        );
    }
}

#[test]
fn a_silent_connection_ends_after_the_usual_time() {
    let mut net = Net::with(Limits { silence_ms_max: 75_000, ..Limits::default() });
    let closed = |net: &Net| net.a.relay.metrics().connections_silent;
    net.pass(Duration::from_secs(50));
    net.set_back(DAY);
    net.pass(Duration::from_secs(20));
    assert_eq!(closed(&net), 0);
    net.pass(Duration::from_secs(10));
    assert_eq!(closed(&net), 1);
}
