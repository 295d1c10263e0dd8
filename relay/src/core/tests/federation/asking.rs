//! Whoever names relays that are not there holds up nothing of others.

use std::time::Duration;

use undertone_protocol::ids::PublishId;
use undertone_protocol::wire::{self, RefusalCode, frame::Body};

use super::far::{Far, Manner, address};
use crate::core::ConnId;
use crate::limits::Limits;

const SECOND: Duration = Duration::from_secs(1);
const SENDER: ConnId = super::world::SENDER;

/// Relays from 10 on are not there.
fn far(limits: Limits) -> Far {
    let mut far = Far::with(limits);
    far.black_holes = (10..=255).collect();
    far
}

fn ask(far: &mut Far, conn: ConnId, of: u8) -> Option<Body> {
    far.said();
    far.tell_as(conn, Body::GetRoutingKey(wire::GetRoutingKey { relay: Some(address(of)) }));
    far.said().pop()
}

fn why_later(answer: Option<Body>) -> String {
    match answer {
        Some(Body::Refusal(refusal)) if refusal.code() == RefusalCode::RetryAfter => refusal.text,
        other => panic!("{other:?}"),
    }
}

fn calls(far: &Far, of: u8) -> usize {
    far.dials.iter().filter(|(_, number)| *number == of).count()
}

#[test]
fn what_waits_is_not_held_up_by_keys_that_nobody_gives() {
    let mut far = far(Limits { destination_links_max: 6, ..Limits::default() });
    far.manner.insert(1, Manner::IsSilent);
    let first = far.forward(1, 10);
    (10..26).for_each(|number| _ = why_later(ask(&mut far, SENDER, number)));
    assert_eq!(far.dials.len(), 1 + 2, "few are called for one device");
    let text = why_later(ask(&mut far, SENDER, 26));
    assert!(text.contains("for one device: 16"), "{text}");
    far.keep_busy(1, first, |_| {});
    assert_eq!((calls(&far, 1), far.connected()), (1, vec![1]), "it makes way for none of them");
    for number in 2..=4 {
        far.forward(number, 10);
        assert_eq!(far.took(number), 1);
    }
}

#[test]
fn few_connections_are_for_keys_alone() {
    let mut far = far(Limits::default());
    let devices: Vec<ConnId> = (20..30).map(|number| far.add_device(number)).collect();
    for (device, first) in devices.iter().zip((10u8..).step_by(3)) {
        (first..first + 3).for_each(|number| _ = why_later(ask(&mut far, *device, number)));
    }
    assert_eq!(far.dials.len(), 8);
    // One that something waits for goes before those, also when it stood among them.
    assert_eq!(calls(&far, 39), 0);
    far.hand_in_as(devices[0], PublishId::new([1; 16]), 39, 10);
    assert_eq!((calls(&far, 39), far.dials.len()), (1, 9));
    far.pass(100 * SECOND);
    assert!((16..40).contains(&far.dials.len()), "those behind have their turn: {}", far.dials.len());
}

#[test]
fn one_device_keeps_no_key_from_another() {
    let mut far = far(Limits { destination_links_max: 8, ..Limits::default() });
    (10..26).for_each(|number| _ = why_later(ask(&mut far, SENDER, number)));
    let other = far.add_device(20);
    why_later(ask(&mut far, other, 1));
    assert!(matches!(ask(&mut far, other, 1), Some(Body::RoutingKey(_))));
    // Nor is it a matter of who asked last.
    why_later(ask(&mut far, other, 10));
    assert!(why_later(ask(&mut far, SENDER, 26)).contains("for one device"));
}

#[test]
fn one_device_fills_no_outbox_with_relays_that_it_makes_up() {
    let mut far = Far::with(Limits { destinations_per_device_max: 2, ..Limits::default() });
    far.reachable = false;
    let takes = |far: &mut Far, conn: ConnId, to| {
        far.said();
        let id = PublishId::new([u8::try_from(conn.get()).unwrap() * 16 + to; 16]);
        far.hand_in_as(conn, id, to, 10);
        let answer = far.said().into_iter().find(|body| matches!(body, Body::Waiting(_) | Body::Refusal(_)));
        if let Some(Body::Waiting(_)) = answer {
            return true;
        }
        assert_eq!(why_later(answer), "destinations_per_device_max");
        false
    };
    assert!(takes(&mut far, SENDER, 1) && takes(&mut far, SENDER, 2) && !takes(&mut far, SENDER, 3));
    far.forward(1, 10);
    let other = far.add_device(8);
    assert!(takes(&mut far, other, 3) && takes(&mut far, other, 1) && takes(&mut far, other, 2));
    assert!(takes(&mut far, SENDER, 3), "there is something for it already");
    assert!(takes(&mut far, other, 4) && !takes(&mut far, other, 5));
    far.near.assert_counted();
    // It counts for as long as something waits, whoever handed that in, and also after a restart.
    far.near.restart();
    let conns = [SENDER, other].map(|conn| {
        let device = super::super::world::device(u8::try_from(conn.get()).unwrap());
        far.input(crate::core::Input::Connected { conn, device });
        far.tell_as(conn, Body::Hello(wire::Hello { version_min: 1, version_max: 1 }));
        conn
    });
    assert!(!takes(&mut far, conns[0], 6) && !takes(&mut far, conns[1], 5));
    far.reachable = true;
    far.pass(Duration::from_secs(3_600));
    assert!(takes(&mut far, conns[0], 6) && takes(&mut far, conns[1], 5));
    far.near.assert_counted();
}
