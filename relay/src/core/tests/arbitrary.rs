//! Whatever comes from outside: no panic, no growth beyond the limits, and the machine goes on.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use undertone_protocol::ids::RelayId;
use undertone_protocol::wire::{self, frame::Body};

use super::world::*;
use crate::core::{ConnId, Input};
use crate::limits::Limits;
use crate::store::Overlay;

/// Ids and blobs: right ones, and ones of any other length.
fn blob(len: usize) -> impl Strategy<Value = Bytes> {
    prop_oneof![
        6 => (0u8..3).prop_map(move |byte| Bytes::from(vec![byte; len])),
        1 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from),
    ]
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0u64..6, 1 => any::<u64>(), 1 => Just(u64::MAX)]
}

fn small() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0u32..4, 1 => any::<u32>()]
}

fn ack() -> impl Strategy<Value = wire::Ack> {
    let ranges = proptest::collection::vec((number(), number()), 0..4);
    (small(), number(), ranges).prop_map(|(class, through, ranges)| {
        let ranges = ranges.into_iter().map(|(from, through)| wire::Range { from, through }).collect();
        wire::Ack { class, through, ranges }
    })
}

fn credit() -> impl Strategy<Value = wire::Credit> {
    (small(), number(), number()).prop_map(|(class, messages, bytes)| wire::Credit { class, messages, bytes })
}

fn token_step() -> impl Strategy<Value = wire::TokenStep> {
    (blob(8), small(), small(), number(), small()).prop_map(
        |(handle, rights, classes, not_after_ms, per_minute)| wire::TokenStep {
            handle,
            rights,
            classes,
            not_after_ms,
            per_minute,
        },
    )
}

fn recipient() -> impl Strategy<Value = wire::Recipient> {
    (blob(16), small(), proptest::collection::vec(token_step(), 0..6), blob(32))
        .prop_map(|(mailbox, epoch, path, proof)| wire::Recipient { mailbox, epoch, path, proof })
}

fn item() -> impl Strategy<Value = wire::PublishItem> {
    let route = proptest::option::weighted(0.9, proptest::collection::vec(recipient(), 0..4));
    (blob(10), small(), number(), route).prop_map(|(payload, class, expiry_ms, recipients)| {
        let kind = recipients.map(|recipients| wire::route::Kind::Open(wire::OpenRoute { recipients }));
        wire::PublishItem { payload, class, expiry_ms, route: Some(wire::Route { kind }) }
    })
}

fn body() -> impl Strategy<Value = Option<Body>> {
    prop_oneof![
        Just(None),
        (small(), small()).prop_map(|(version_min, version_max)| {
            Some(Body::Hello(wire::Hello { version_min, version_max }))
        }),
        any::<u64>().prop_map(|nonce| Some(Body::Ping(wire::Ping { nonce }))),
        any::<u64>().prop_map(|nonce| Some(Body::Pong(wire::Pong { nonce }))),
        Just(Some(Body::Done(wire::Done {}))),
        small().prop_map(|code| Some(Body::Goodbye(wire::Goodbye {
            code: i32::try_from(code).unwrap_or(-1),
            text: String::new()
        }))),
        (blob(16), blob(32), small()).prop_map(|(mailbox, secret, epoch)| {
            Some(Body::Register(wire::Register { mailbox, secret, epoch, invitation: Bytes::new() }))
        }),
        (
            blob(16),
            blob(8),
            proptest::collection::vec(ack(), 0..3),
            proptest::collection::vec(credit(), 0..3)
        )
            .prop_map(|(mailbox, generation, acks, credits)| {
                Some(Body::Attach(wire::Attach { mailbox, generation, acks, credits }))
            }),
        (blob(16), proptest::collection::vec(item(), 0..4))
            .prop_map(|(publish_id, items)| Some(Body::Publish(wire::Publish { publish_id, items }))),
        ack().prop_map(|ack| Some(Body::Ack(ack))),
        credit().prop_map(|credit| Some(Body::Credit(credit))),
        proptest::option::weighted(0.8, (blob(7), blob(64))).prop_map(|checkpoint| {
            let checkpoint = checkpoint.map(|(body, signature)| wire::Signed { body, signature });
            Some(Body::PutCheckpoint(wire::PutCheckpoint { checkpoint }))
        }),
        (blob(32), blob(50))
            .prop_map(|(locator, bundle)| Some(Body::PutBundle(wire::PutBundle { locator, bundle }))),
        blob(32).prop_map(|locator| Some(Body::GetBundle(wire::GetBundle { locator }))),
        (blob(32), number(), proptest::collection::vec(blob(9), 0..4)).prop_map(
            |(locator, batch, prekeys)| {
                Some(Body::PutPrekeys(wire::PutPrekeys { locator, batch, prekeys }))
            }
        ),
        (blob(16), blob(8), small(), number()).prop_map(|(mailbox, handle, uses, not_after_ms)| {
            Some(Body::PutIntroduction(wire::PutIntroduction { mailbox, handle, uses, not_after_ms }))
        }),
        (blob(16), small(), proptest::collection::vec(blob(8), 0..6)).prop_map(
            |(mailbox, epoch, handles)| {
                Some(Body::RevokeToken(wire::RevokeToken { mailbox, epoch, handles }))
            }
        ),
        federation(),
    ]
}

fn relay() -> impl Strategy<Value = Option<wire::RelayAddress>> {
    let addresses = proptest::collection::vec(Just("/ip4/192.0.2.1/tcp/1".to_owned()), 0..6);
    proptest::option::weighted(
        0.9,
        (blob(32), addresses).prop_map(|(relay, addresses)| wire::RelayAddress { relay, addresses }),
    )
}

/// A parcel of the right form with anything in it, or any bytes.
fn parcel() -> impl Strategy<Value = Bytes> {
    let item = (blob(10), small(), number()).prop_map(|(payload, class, expiry_ms)| wire::ParcelItem {
        payload,
        class,
        expiry_ms,
    });
    let end = prop_oneof![3 => Just(1_700_000_100_000), 1 => number()];
    let parcel =
        (blob(16), blob(8), blob(32), number(), end, blob(90), proptest::collection::vec(item, 0..3))
            .prop_map(|(forward_id, routing_key, enc, counter, not_after_ms, route, items)| {
                let parcel =
                    wire::Parcel { forward_id, routing_key, enc, counter, not_after_ms, route, items };
                Bytes::from(parcel.encode_to_vec())
            });
    prop_oneof![4 => parcel, 1 => blob(60)]
}

fn federation() -> impl Strategy<Value = Option<Body>> {
    prop_oneof![
        (relay(), parcel())
            .prop_map(|(destination, parcel)| Some(Body::Forward(wire::Forward { destination, parcel }))),
        proptest::collection::vec(parcel(), 0..4)
            .prop_map(|parcels| Some(Body::Carry(wire::Carry { parcels }))),
        relay().prop_map(|relay| Some(Body::GetRoutingKey(wire::GetRoutingKey { relay }))),
        proptest::collection::vec(blob(16), 0..4)
            .prop_map(|forward_ids| Some(Body::ForwardsTaken(wire::ForwardsTaken { forward_ids }))),
        (blob(16), blob(16), blob(40)).prop_map(|(forward_id, salt, answer)| {
            Some(Body::Forwarded(wire::Forwarded { forward_id, salt, answer }))
        }),
        (blob(16), 0i32..7, number()).prop_map(|(forward_id, code, retry_after_ms)| {
            Some(Body::Declined(wire::Declined { forward_id, code, retry_after_ms }))
        }),
        Just(Some(Body::Welcome(wire::Welcome { version: 1, now_ms: 0, record: None }))),
    ]
}

/// Something a client does, or a valid publish, or time.
#[derive(Debug, Clone)]
enum Event {
    Frame(u8, u64, Option<Body>),
    Connected(u8),
    /// A relay came, or was dialled.
    Relay(u8, bool),
    DialFailed,
    Disconnected(u8),
    Publish(Bytes, u32),
    Pass(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => (0u8..8, 0u64..2, body()).prop_map(|(conn, request, body)| Event::Frame(conn, request, body)),
        1 => (0u8..4).prop_map(Event::Connected),
        2 => (4u8..8, any::<bool>()).prop_map(|(conn, dialled)| Event::Relay(conn, dialled)),
        1 => Just(Event::DialFailed),
        1 => (0u8..8).prop_map(Event::Disconnected),
        3 => (blob(10), 0u32..3).prop_map(|(payload, class)| Event::Publish(payload, class)),
        1 => prop_oneof![0u64..80_000, 0u64..2_000_000_000].prop_map(Event::Pass),
    ]
}

fn input(world: &mut World, event: Event) -> Input {
    let id = |conn: u8| ConnId::new(u64::from(conn));
    match event {
        Event::Frame(conn, request, body) => {
            Input::Frame { conn: id(conn), frame: wire::Frame { request, body } }
        }
        Event::Connected(conn) => Input::Connected { conn: id(conn), device: device(conn % 2 + 1) },
        Event::Relay(conn, true) => Input::Dialled { relay: RelayId::new([1; 32]), conn: id(conn) },
        Event::Relay(conn, false) => Input::RelayConnected { relay: RelayId::new([2; 32]), conn: id(conn) },
        Event::DialFailed => Input::DialFailed { relay: RelayId::new([1; 32]) },
        Event::Disconnected(conn) => Input::Disconnected { conn: id(conn) },
        Event::Publish(payload, class) => {
            let expiry = world.now.after(Duration::from_secs(3_600));
            let publish = world.make(&[1, 0, 1], &payload, class, expiry, &grant(1));
            Input::Frame { conn: B, frame: wire::Frame { request: 1, body: Some(Body::Publish(publish)) } }
        }
        Event::Pass(ms) => {
            world.pass(Duration::from_millis(ms));
            Input::Tick
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn nothing_from_outside_stops_the_relay(events in proptest::collection::vec(event(), 1..60)) {
        let mut world = World::ready(Limits { disk_bytes_max: 5_000, ..Limits::default() });
        for event in events {
            let input = input(&mut world, event);
            world.drain(vec![input]);
            let gauges = world.relay.gauges(&Overlay::new(&world.store)).unwrap();
            prop_assert!(gauges.disk_bytes <= 5_000);
            prop_assert!(gauges.attached <= gauges.connections);
        }
        let fresh = ConnId::new(99);
        world.hello(fresh, 9);
        let ping = world.send(fresh, Body::Ping(wire::Ping { nonce: 1 }));
        prop_assert_eq!(answer(&ping), Body::Pong(wire::Pong { nonce: 1 }));
    }
}
