//! A relay or a device that speaks another version.

use std::time::Duration;

use undertone_protocol::ids::RelayId;
use undertone_protocol::wire::{self, Frame, GoodbyeCode, frame::Body};

use super::far::Far;
use super::world::{Net, SENDER};
use crate::core::{ConnId, Input};
use crate::limits::Limits;
use crate::store::Overlay;

#[test]
fn a_relay_of_another_version_is_seldom_called_and_shown_as_such() {
    let code = GoodbyeCode::Version.into();
    let goodbye = Body::Goodbye(wire::Goodbye { code, text: "this relay speaks version 2".to_owned() });
    for greeting in [goodbye, Body::Welcome(wire::Welcome { version: 2, now_ms: 0, record: None })] {
        let mut far = Far::with(Limits::default());
        far.greeting = Some(greeting);
        far.forward(1, 10);
        far.pass(Duration::from_secs(590));
        assert_eq!(far.dials.len(), 1);
        assert!(far.carried.is_empty() && far.connected().is_empty());
        assert_eq!(far.near.relay.metrics().destinations_incompatible, 1);
        let health = far.near.relay.destinations(&Overlay::new(&far.near.store), 9).unwrap();
        assert!(health[0].incompatible);

        far.greeting = Some(Body::Welcome(wire::Welcome { version: 1, now_ms: 0, record: None }));
        far.pass(Duration::from_secs(700));
        assert_eq!(far.near.relay.metrics().forwards_answered, 1, "it was renewed meanwhile");
        let health = far.near.relay.destinations(&Overlay::new(&far.near.store), 9).unwrap();
        assert!(health.iter().all(|relay| !relay.incompatible));
    }
}

#[test]
fn a_relay_that_comes_with_another_version_is_told_so() {
    let mut net = Net::new();
    let conn = ConnId::new(50);
    net.input_b(Input::RelayConnected { conn, relay: RelayId::new([77; 32]) });
    let hello = Body::Hello(wire::Hello { version_min: 2, version_max: 3 });
    net.input_b(Input::Frame { conn, frame: Frame { request: 1, body: Some(hello) } });
    let Some(Body::Goodbye(goodbye)) = net.said_b().pop() else { panic!("no goodbye") };
    assert_eq!(goodbye.code(), GoodbyeCode::Version);
    assert!(goodbye.text.contains("version 1"), "{}", goodbye.text);
    assert_eq!(net.b.relay.metrics().connections_incompatible, 1);
}

/// Answers that wait are given to nobody who was sent away.
#[test]
fn a_device_that_is_sent_away_is_given_nothing() {
    let mut net = Net::new();
    net.forward(b"hi");
    net.input_a(Input::Disconnected { conn: SENDER });
    net.said_a();
    net.input_a(Input::Connected { conn: SENDER, device: super::super::world::device(1) });
    net.tell_a(Body::Hello(wire::Hello { version_min: 2, version_max: 3 }));
    assert!(matches!(net.said_a()[..], [Body::Goodbye(_)]));
}
