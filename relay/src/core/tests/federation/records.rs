//! Where relays are, by their own word.

use std::time::Duration;

use undertone_protocol::codec::Signed;
use undertone_protocol::federation::RelayRecord;
use undertone_protocol::wire::{self, Frame, frame::Body};

use super::super::world::device;
use super::far::{Far, id};
use super::world::HOUR;
use crate::core::{ConnId, Input};
use crate::federation::{Policy, PolicyKind};
use crate::limits::Limits;

const NAMED: &str = "/ip4/192.0.2.1/tcp/1";
const NEW: &str = "/dns4/relay.example/tcp/4001";

fn far() -> Far {
    Far::with(Limits::default())
}

fn record(body: &Body) -> RelayRecord {
    let Body::Welcome(welcome) = body else { panic!("{body:?}") };
    RelayRecord::verify(Signed::from_wire(welcome.record.clone().unwrap()).unwrap()).unwrap()
}

#[test]
fn a_relay_is_called_where_it_says_that_it_is() {
    let mut far = far();
    far.greet_with(&far.record(1, NEW));
    far.forward(1, 10);
    assert_eq!(far.dialled_at, [[NAMED]]);
    assert_eq!(far.took(1), 1);
    far.cut(None);
    far.forward(1, 10);
    assert_eq!(far.dialled_at[1], [NEW, NAMED], "its own word counts first");
    far.cut(None);
    far.near.restart();
    far.reachable = false;
    far.forward_as_new_device(1);
    assert_eq!(far.dialled_at[2], [NEW, NAMED], "and is known after a restart");
}

#[test]
fn a_relay_that_moved_is_called_at_once_when_it_says_so() {
    let mut far = far();
    far.reachable = false;
    far.forward(1, 10);
    far.pass(6 * HOUR);
    let calls = far.dials.len();
    far.reachable = true;
    far.call_from(1, &far.record(1, NEW));
    assert_eq!(far.dials.len(), calls + 1, "it does not wait for its turn");
    assert_eq!(far.dialled_at[calls][0], NEW);
    assert_eq!(far.took(1), 1);
}

#[test]
fn a_relay_that_is_back_is_called_at_once_when_it_says_where_it_is() {
    let mut far = far();
    far.greet_with(&far.record(1, NEW));
    far.forward(1, 10);
    far.cut(None);
    far.reachable = false;
    far.forward(1, 10);
    far.pass(6 * HOUR);
    far.reachable = true;
    let calls = far.dials.len();
    far.call_from(1, &far.record(1, NEW));
    assert_eq!((far.dials.len(), far.took(1)), (calls + 1, 2));
}

#[test]
fn one_that_moves_all_the_time_is_not_called_all_the_time() {
    let mut far = far();
    far.reachable = false;
    far.forward(1, 10);
    far.pass(6 * HOUR);
    let calls = far.dials.len();
    for number in 0..50 {
        far.now = far.now.after(Duration::from_millis(20));
        far.call_from(1, &far.record(1, &format!("/ip4/192.0.2.1/tcp/{}", 100 + number)));
    }
    assert!(far.dials.len() <= calls + 2, "{} calls", far.dials.len() - calls);
}

#[test]
fn nobody_says_where_another_relay_is() {
    let mut far = far();
    far.call_from(1, &far.record(2, NEW));
    assert_eq!(far.near.relay.metrics().relay_records_refused, 1);
    far.forward(2, 10);
    assert_eq!(far.dialled_at, [[NAMED]]);
    // A device that says so is told that it asks nothing that a relay knows.
    let at = Body::RelayAt(wire::RelayAt { record: Some(far.record(3, NEW).signed.to_wire()) });
    far.said();
    far.tell(at);
    assert!(matches!(far.said()[..], [Body::Refusal(_)]));
    far.forward(3, 10);
    assert_eq!(far.dialled_at[1], [NAMED]);
}

#[test]
fn a_home_relay_says_where_another_one_is() {
    let mut far = far();
    let said = far.record(1, NEW);
    far.call_from(1, &said);
    let find = |number| Body::FindRelay(wire::FindRelay { relay: id(number).to_wire() });
    far.tell(find(1));
    let Some(Body::RelayAt(at)) = far.said().pop() else { panic!("not found") };
    assert_eq!(at.record, Some(said.signed.to_wire()));
    far.tell(find(2));
    let Some(Body::Refusal(refusal)) = far.said().pop() else { panic!("found") };
    assert_eq!(refusal.code(), wire::RefusalCode::Unknown);
    // Nobody without a mailbox may ask.
    let conn = ConnId::new(3);
    far.input(Input::Connected { conn, device: device(7) });
    let hello = Body::Hello(wire::Hello { version_min: 1, version_max: 1 });
    for body in [hello, find(1)] {
        far.input(Input::Frame { conn, frame: Frame { request: 1, body: Some(body) } });
    }
    let Some(Body::Refusal(refusal)) = far.said().pop() else { panic!("found") };
    assert_eq!(refusal.code(), wire::RefusalCode::Closed);
}

#[test]
fn relays_that_are_excluded_are_not_listened_to() {
    let mut far = far();
    let relays = [id(1)].into();
    far.near = far.near.with_policy(Policy { kind: PolicyKind::Deny, relays });
    far.call_from(1, &far.record(1, NEW));
    assert_eq!(far.near.relay.metrics().relay_records_taken, 0);
}

#[test]
fn it_says_where_it_is_to_devices_and_to_relays() {
    let mut far = far();
    far.near = far.near.with_addresses(&[NEW]);
    let conn = ConnId::new(3);
    far.input(Input::Connected { conn, device: device(7) });
    let hello = Body::Hello(wire::Hello { version_min: 1, version_max: 1 });
    far.input(Input::Frame { conn, frame: Frame { request: 1, body: Some(hello) } });
    let said = record(&far.said()[0]);
    assert_eq!(
        (said.address.relay, &said.address.addresses[..]),
        (far.near.relay.id(), &[NEW.to_owned()][..])
    );
    assert_eq!(record(&far.call_from(1, &far.record(1, NEW))[0]), said, "to one that calls");
    far.forward(2, 10);
    assert_eq!(far.told, [said], "and to one that is called");
    assert_eq!(far.took(2), 1, "an earlier version that does not know it is no worse off");
}
