//! Routing keys of other relays.

use std::time::Duration;

use ed25519_dalek::SigningKey;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use undertone_protocol::federation::{
    Circuit, DeadLetterReason, Outgoing, OutgoingItem, RoutingKey, RoutingSecret,
};
use undertone_protocol::ids::{PayloadHash, PublishId, RelayId};
use undertone_protocol::limits::ROUTING_KEY_LIFE;
use undertone_protocol::token::ProofInput;
use undertone_protocol::wire::{self, Frame, RefusalCode, frame::Body};

use super::super::world::{grant, mailbox};
use super::far::{Far, address};
use super::world::{DAY, Net, dead};
use crate::core::{ConnId, Input};
use crate::limits::Limits;

#[test]
fn a_key_is_asked_for_on_a_link_that_is_there() {
    let mut far = Far::with(Limits::default());
    far.keys_issued = far.now.before(ROUTING_KEY_LIFE - Duration::from_secs(20));
    far.forward(1, 10);
    assert!(far.ask_key(1).is_some(), "it came with the link");
    assert_eq!(far.asked[&1], 1);
    far.pass(Duration::from_secs(25));
    far.keys_issued = far.now;
    far.ask_key(1);
    let key = far.ask_key(1).expect("the old one has ended, so it was asked for anew");
    assert_eq!((key.issued, far.asked[&1], far.dials.len()), (far.now, 2, 1));
}

#[test]
fn a_key_that_does_not_hold_is_not_asked_for_at_once_again() {
    let mut far = Far::with(Limits::default());
    far.keys_issued = far.now.before(2 * ROUTING_KEY_LIFE);
    for _ in 0..50 {
        far.tell(Body::GetRoutingKey(wire::GetRoutingKey { relay: Some(address(1)) }));
    }
    assert!(far.asked[&1] <= 2, "{:?}", far.asked);
    far.keys_issued = far.now;
    far.pass(Duration::from_secs(61));
    far.ask_key(1);
    assert!(far.ask_key(1).is_some());
}

/// Whoever seals to a key that is none of the destination's takes nothing from the others.
#[test]
fn a_parcel_for_an_unknown_key_drops_no_other() {
    let mut net = Net::new();
    net.routing_key();
    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let unknown = RoutingSecret::random(&mut rng);
    let unknown = RoutingKey::issue(&SigningKey::from_bytes(&[6; 32]), &unknown, net.now);
    let mut circuit = Circuit::set_up(&unknown, &mut rng).unwrap();
    let (forward_id, expiry) = (PublishId::random(&mut rng), net.now.after(DAY));
    let input = ProofInput {
        publish_id: forward_id,
        payload_hash: PayloadHash::of(b"hi"),
        relay: net.b.relay.id(),
        expiry,
    };
    let recipients = vec![grant(1).prove(&input).to_recipient(mailbox(1), 1, grant(1).path())];
    let item = OutgoingItem { payload: b"hi".as_slice().into(), class: 0, expiry, recipients };
    let (parcel, _) = circuit.seal(Outgoing { forward_id, not_after: expiry, items: vec![item] }).unwrap();
    net.hand_in(&parcel);
    let said = net.said_a();
    assert_eq!(dead(&said[1], net.a.relay.id()).1, DeadLetterReason::Key);
    net.tell_a(Body::GetRoutingKey(wire::GetRoutingKey { relay: Some(net.b_address()) }));
    assert!(matches!(net.said_a().pop(), Some(Body::RoutingKey(_))));
}

#[test]
fn a_relay_tells_another_its_own_key_only() {
    let mut net = Net::new();
    let conn = ConnId::new(50);
    net.input_b(Input::RelayConnected { conn, relay: RelayId::new([77; 32]) });
    let mut say = |body| {
        net.input_b(Input::Frame { conn, frame: Frame { request: 1, body: Some(body) } });
        net.said_b().pop().unwrap()
    };
    say(Body::Hello(wire::Hello { version_min: 1, version_max: 1 }));
    let Body::Refusal(refusal) = say(Body::GetRoutingKey(wire::GetRoutingKey { relay: Some(address(3)) }))
    else {
        panic!("no refusal")
    };
    assert_eq!(refusal.code(), RefusalCode::Malformed);
    let own = say(Body::GetRoutingKey(wire::GetRoutingKey { relay: None }));
    assert!(matches!(own, Body::RoutingKey(_)), "{own:?}");
}
