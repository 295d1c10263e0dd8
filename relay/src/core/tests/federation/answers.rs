//! Answers for a device that was away.

use std::collections::BTreeSet;

use bytes::Bytes;
use undertone_protocol::ids::PublishId;
use undertone_protocol::wire::{self, Frame, frame::Body};

use super::super::world::{Counting, device};
use super::far::{Far, Manner};
use super::world::{HOUR, SENDER};
use crate::core::{Input, Output};
use crate::limits::Limits;
use crate::store::Overlay;

/// Answers that a device is given before it says that it has some.
const GIVEN: usize = 32;

/// A device that handed in so many, and left before they were answered.
fn away(forwards: usize) -> (Far, BTreeSet<PublishId>) {
    let mut far = Far::with(Limits::default());
    far.reachable = false;
    let ids = (0..forwards).map(|_| far.forward(1, 10)).collect();
    far.input(Input::Disconnected { conn: SENDER });
    far.reachable = true;
    far.pass(HOUR);
    far.said();
    assert_eq!(far.near.relay.metrics().forwards_answered, forwards as u64);
    (far, ids)
}

fn comes_back(far: &mut Far) {
    far.input(Input::Connected { conn: SENDER, device: device(1) });
    far.tell(Body::Hello(wire::Hello { version_min: 1, version_max: 1 }));
}

fn answered(said: Vec<Body>) -> Vec<PublishId> {
    let id = |body| match body {
        Body::Forwarded(forwarded) => Some(PublishId::from_slice(&forwarded.forward_id).unwrap()),
        _ => None,
    };
    said.into_iter().filter_map(id).collect()
}

fn takes(far: &mut Far, forwards: &[PublishId]) {
    let forward_ids = forwards.iter().map(|id| id.to_wire()).collect::<Vec<Bytes>>();
    far.tell(Body::ForwardsTaken(wire::ForwardsTaken { forward_ids }));
}

#[test]
fn all_that_waits_is_given_once_and_as_it_is_taken() {
    let (mut far, ids) = away(100);
    comes_back(&mut far);
    let mut had = answered(far.said());
    assert_eq!(had.len(), GIVEN);
    // What is answered meanwhile comes as well, wherever it stands in the order of ids.
    far.manner.insert(2, Manner::IsSilent);
    let late = [far.forward(2, 10), PublishId::new([0; 16])];
    far.hand_in(late[1], 2, 10);
    far.said();
    while had.len() < 102 {
        let (last, before) = (had.last().copied().unwrap(), had.len());
        takes(&mut far, &[last]);
        if before == 50 {
            let (salt, answer) = (vec![0; 16].into(), Bytes::from_static(b"sealed"));
            let answer = wire::Forwarded { forward_id: Bytes::new(), salt, answer };
            for late in &late {
                let forward_id = late.to_wire();
                far.say_as(2, Body::Forwarded(wire::Forwarded { forward_id, ..answer.clone() }));
            }
        }
        had.extend(answered(far.said()));
        assert!(had.len() <= before + 1, "no more than are taken");
        if had.len() == before {
            break;
        }
    }
    let given: BTreeSet<_> = had.iter().copied().collect();
    assert_eq!((given.len(), had.len()), (102, 102), "each once");
    assert!(given.is_superset(&ids) && late.iter().all(|late| given.contains(late)));
}

#[test]
fn what_is_said_of_answers_is_rated() {
    let mut far = Far::with(Limits { forwards_per_minute: 3, ..Limits::default() });
    let ids = [far.forward(1, 10), far.forward(1, 10)];
    far.said();
    let says = |far: &mut Far| {
        takes(far, &ids);
        far.said().pop()
    };
    (0..3).for_each(|_| assert!(matches!(says(&mut far), Some(Body::Done(_)))));
    let Some(Body::Refusal(refusal)) = says(&mut far) else { panic!("no refusal") };
    assert_eq!(refusal.code(), wire::RefusalCode::RetryAfter);
    far.forward(1, 10);
    assert!(matches!(far.said()[0], Body::Waiting(_)), "forwards have their own");
}

#[test]
fn no_more_is_read_than_can_be_given() {
    let (mut far, _) = away(200);
    far.input(Input::Connected { conn: SENDER, device: device(1) });
    let counting = Counting::over(&far.near.store);
    let (mut tx, mut out) = (Overlay::new(&counting), Vec::new());
    let hello = Body::Hello(wire::Hello { version_min: 1, version_max: 1 });
    let input = Input::Frame { conn: SENDER, frame: Frame { request: 7, body: Some(hello) } };
    far.near.relay.handle(input, far.now, &mut tx, &mut out).unwrap();
    let sent = out.iter().filter(|output| matches!(output, Output::Send { .. })).count();
    assert_eq!(sent, 1 + GIVEN);
    assert!(counting.found.get() <= GIVEN, "{} were read", counting.found.get());
}

#[test]
fn what_is_asked_for_again_before_its_turn_is_given_once() {
    let (mut far, ids) = away(60);
    let last = *ids.last().unwrap();
    comes_back(&mut far);
    let mut had = answered(far.said());
    assert!(!had.contains(&last));
    takes(&mut far, &had[..1]);
    had.extend(answered(far.said()));
    far.hand_in(last, 1, 10);
    takes(&mut far, &had.clone());
    had.extend(answered(far.said()));
    assert_eq!(had.iter().filter(|id| **id == last).count(), 1);
}
