//! What goes right.

use std::time::Duration;

use undertone_protocol::ids::RelayId;
use undertone_protocol::receipts::Outcome;
use undertone_protocol::wire::frame::Body;

use super::super::world::{ack, device, mailbox};
use super::world::*;
use crate::core::Input;
use crate::limits::Limits;
use crate::store::owner::Owner;
use crate::store::usage::usage;
use crate::store::{Overlay, Store};

#[test]
fn a_parcel_waits_is_delivered_and_its_answer_comes_back() {
    let mut net = Net::new();
    let key = net.forward(b"hi");
    let said = net.said_a();
    let notice = waiting(&said[0], net.a.relay.id());
    assert_eq!((notice.forward_id, notice.until), (key.forward_id, net.now.after(2 * DAY)));
    assert_eq!(outcome(&said[1], &key), Outcome::Stored { held_until: net.now.after(10 * DAY) });
    assert_eq!(said.len(), 2);
    assert_eq!(net.delivered(), [b"hi".as_slice()]);
    net.a.assert_counted();
    net.b.assert_counted();

    // It is given again until the device has it.
    net.input_a(Input::Disconnected { conn: SENDER });
    net.greet_a();
    let said = net.said_a();
    assert_eq!(outcome(&said[1], &key), Outcome::Stored { held_until: net.now.after(10 * DAY) });
    net.taken(&[key.forward_id]);
    assert!(matches!(net.said_a()[..], [Body::Done(_)]));
    net.input_a(Input::Disconnected { conn: SENDER });
    net.greet_a();
    assert!(matches!(net.said_a()[..], [Body::Welcome(_)]), "nothing waits any more");
    net.a.assert_counted();
    let mailboxes_alone = usage(&Overlay::new(&net.a.store)).unwrap().disk_bytes;
    assert_eq!(mailboxes_alone, crate::store::usage::MAILBOX_DISK_BYTES, "nothing is left at A");
}

#[test]
fn neither_relay_keeps_what_is_not_for_it() {
    let mut net = Net::new();
    net.reachable = true;
    let (parcel, _) = net.seal(b"hi");
    net.reachable = false;
    net.cut();
    net.hand_in(&parcel);
    for secret in
        [&mailbox(1).as_bytes()[..], &[1; 8], device(2).as_bytes(), Owner::of(&device(2)).as_bytes()]
    {
        assert!(!net.a.contains(secret), "the sender's relay has {secret:?}");
    }
    net.reachable = true;
    net.pass(Duration::from_secs(10));
    assert_eq!(net.delivered().len(), 1);
    for secret in [&device(1).as_bytes()[..], Owner::of(&device(1)).as_bytes()] {
        assert!(!net.b.contains(secret), "the recipient's relay has {secret:?}");
    }
}

#[test]
fn what_waits_goes_out_in_batches_and_in_order() {
    let mut net = Net::new();
    net.seal(b"makes the circuit");
    net.reachable = false;
    net.cut();
    let payloads: Vec<Vec<u8>> = (0..200u8).map(|number| vec![number; 300]).collect();
    for payload in &payloads {
        net.forward(payload);
    }
    net.a.assert_counted();
    net.pass(Duration::from_secs(60));
    net.reachable = true;
    net.pass(Duration::from_secs(200));
    assert_eq!(net.delivered(), payloads);
    // One to see whether it works again; then what fits.
    assert_eq!(net.carried, [1, 64, 64, 64, 7]);
}

/// Whoever sees it come in and leave can't tell by the time which is which.
#[test]
fn with_a_delay_what_waits_leaves_together_after_a_random_time() {
    let mut net = Net::with(Limits { forward_delay_ms_max: 2_000, ..Limits::default() });
    net.seal(b"makes the circuit");
    let mut took = Vec::new();
    for round in 0..8u8 {
        let begun = net.now;
        (0..3u8).for_each(|number| _ = net.forward(&[round, number]));
        assert!(net.carried.is_empty());
        while net.carried.is_empty() {
            net.pass(Duration::from_millis(10));
        }
        assert_eq!(std::mem::take(&mut net.carried), [3]);
        assert_eq!(net.delivered(), [0, 1, 2].map(|number| bytes::Bytes::copy_from_slice(&[round, number])));
        took.push(net.now.since(begun));
    }
    assert!(took.iter().all(|took| *took <= Duration::from_millis(2_010)), "{took:?}");
    took.sort_unstable();
    took.dedup();
    assert!(took.len() > 4, "{took:?}");
}

#[test]
fn the_same_payload_over_two_paths_is_stored_once() {
    let mut net = Net::new();
    let first = net.forward(b"hi");
    let second = net.forward(b"hi");
    let said = net.said_a();
    let held_until = net.now.after(10 * DAY);
    assert_eq!(outcome(&said[1], &first), Outcome::Stored { held_until });
    assert_eq!(outcome(&said[3], &second), Outcome::Duplicate { held_until });
    assert_eq!(net.delivered().len(), 1);
    net.tell_b(Body::Ack(ack(0, 1, &[])));
    let third = net.forward(b"hi");
    assert_eq!(outcome(&net.said_a()[1], &third), Outcome::Acknowledged);
}

#[test]
fn the_same_forward_again_gets_the_same_answer() {
    let mut net = Net::new();
    let (parcel, key) = net.seal(b"hi");
    net.reachable = false;
    net.cut();
    net.hand_in(&parcel);
    net.pass(Duration::from_secs(1));
    net.hand_in(&parcel);
    let notices: Vec<_> = net.said_a().iter().map(|body| waiting(body, net.a.relay.id())).collect();
    assert_eq!(notices[0], notices[1]);
    net.reachable = true;
    net.pass(Duration::from_secs(10));
    assert_eq!(net.delivered().len(), 1);
    net.said_a();
    net.hand_in(&parcel);
    let said = net.said_a();
    assert_eq!(waiting(&said[0], net.a.relay.id()).forward_id, key.forward_id);
    assert!(matches!(outcome(&said[1], &key), Outcome::Stored { .. }), "and what came of it, once more");
    net.a.assert_counted();
}

#[test]
fn a_replay_changes_nothing_whoever_brings_it() {
    let mut net = Net::new();
    net.forward(b"hi");
    let parcel = net.parcels[0].clone();
    assert_eq!(net.delivered().len(), 1);
    net.tell_b(Body::Ack(ack(0, 1, &[])));
    // The mailbox forgets what was acknowledged; the parcel is still remembered.
    net.pass(DAY + HOUR);
    let (stranger, conn) = (RelayId::new([77; 32]), crate::core::ConnId::new(50));
    let bring = |net: &mut Net| {
        let carry = undertone_protocol::wire::Carry { parcels: vec![parcel.clone()] };
        let frame = undertone_protocol::wire::Frame { request: 0, body: Some(Body::Carry(carry)) };
        net.input_b(Input::Frame { conn, frame });
        net.said_b().pop().unwrap()
    };
    net.input_b(Input::RelayConnected { conn, relay: stranger });
    let hello = undertone_protocol::wire::Hello { version_min: 1, version_max: 1 };
    let frame = undertone_protocol::wire::Frame { request: 1, body: Some(Body::Hello(hello)) };
    net.input_b(Input::Frame { conn, frame });
    assert!(matches!(bring(&mut net), Body::Forwarded(_)), "the same answer, and no delivery");
    assert_eq!(net.b.relay.metrics().parcels_repeated, 1);
    assert_eq!(net.b.relay.metrics().results_stored, 1);
    // When it is forgotten its time is over.
    net.pass(DAY);
    let Body::Declined(declined) = bring(&mut net) else { panic!("decided once more") };
    assert_eq!(declined.code(), undertone_protocol::wire::DeclinedCode::Ended);
    net.b.assert_counted();
    assert_eq!(net.b.relay.metrics().results_stored, 1);
}

#[test]
fn a_routing_key_is_renewed_and_the_old_one_goes_on_opening() {
    let mut net = Net::new();
    let old = net.routing_key();
    net.seal(b"makes the circuit");
    net.pass(8 * DAY);
    // What A knows is a day old, so it asks, and has the new one for whoever asks next.
    net.routing_key();
    let new = net.routing_key();
    assert_ne!(old.id(), new.id());
    let key = net.forward(b"to the old key");
    let said = net.said_a();
    assert!(matches!(outcome(&said[1], &key), Outcome::Stored { .. }), "{said:?}");
    net.pass(22 * DAY);
    net.b.assert_counted();
    assert_eq!(net.b.store.range(&[21], &[22], 9).unwrap(), [], "both have died");
}

#[test]
fn an_idle_link_ends_and_comes_again_when_it_is_needed() {
    let mut net = Net::new();
    net.forward(b"one");
    net.pass(Duration::from_secs(300));
    assert_eq!(net.dials.len(), 1);
    net.forward(b"two");
    assert_eq!(net.dials.len(), 2);
    assert_eq!(net.delivered().len(), 2);
    assert_eq!(net.a.relay.metrics().destination_failures, 0);
}
