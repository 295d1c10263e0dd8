//! Attach, credit, acknowledgement, redelivery.

use std::time::Duration;

use bytes::Bytes;
use undertone_protocol::wire::{self, GoodbyeCode, RefusalCode, frame::Body};

use super::world::*;
use crate::core::{ConnId, Input};
use crate::limits::Limits;
use crate::store::usage::MARK_DISK_BYTES;
use crate::store::{Overlay, Store};

fn seqs(deliveries: &[(u32, u64, Bytes)]) -> Vec<u64> {
    deliveries.iter().map(|(_, seq, _)| *seq).collect()
}

fn fill(world: &mut World, class: u32, count: u8) {
    let expiry = world.now.after(Duration::from_secs(3_600));
    for number in 0..count {
        let payload = [class.to_be_bytes().as_slice(), &[number; 96]].concat();
        let (results, _) = world.publish_to(B, &[1], &payload, class, expiry, &grant(1));
        assert_eq!(code(&results[0]), wire::ResultCode::Stored);
    }
}

#[test]
fn the_newest_attach_wins() {
    let mut world = World::ready(Limits::default());
    world.attach(A, 1);
    world.hello(C, 1);
    let out = world.attach(C, 1);
    assert_eq!(ended(&out, A), Some(GoodbyeCode::Superseded));
    assert!(world.tell(A, Body::Ack(ack(0, 1, &[]))).is_empty());
    world.drain(vec![Input::Disconnected { conn: A }]);
    let (_, out) = world.publish_to(B, &[1], b"x", 0, world.now.after(Duration::from_secs(9)), &grant(1));
    assert_eq!(deliveries(&out, C).len(), 1, "the old connection's end does not end the new session");
}

/// Two copies of a device that take the mailbox from each other, each time on a new connection.
#[test]
fn superseding_one_another_is_rated() {
    let mut world = World::ready(Limits { attaches_per_minute: 3, ..Limits::default() });
    fill(&mut world, 0, 2);
    let conn = |number: u64| ConnId::new(100 + number);
    for number in 0..3 {
        world.hello(conn(number), 1);
        let out = world.attach(conn(number), 1);
        assert_eq!(deliveries(&out, conn(number)).len(), 2);
        if number > 0 {
            assert_eq!(ended(&out, conn(number - 1)), Some(GoodbyeCode::Superseded));
        }
    }
    world.hello(conn(3), 1);
    let out = world.attach(conn(3), 1);
    let Body::Refusal(refusal) = answer(&out) else { panic!("{out:?}") };
    assert_eq!((refusal.code(), refusal.text.as_str()), (RefusalCode::RetryAfter, "attaches_per_minute"));
    assert_eq!(out.len(), 1, "nothing is sent again, and nobody closed");
    let gauges = world.relay.gauges(&Overlay::new(&world.store)).unwrap();
    assert_eq!((gauges.attached, gauges.connections), (1, 4), "A, B, and the two last");
    let (_, out) = world.publish_to(B, &[1], b"x", 0, world.now.after(Duration::from_secs(9)), &grant(1));
    assert_eq!(deliveries(&out, conn(2)).len(), 1);

    world.register(A, 2, 1);
    assert!(matches!(answer(&world.attach(A, 2)), Body::Attached(_)), "another mailbox is not slowed");
    world.pass(Duration::from_millis(refusal.retry_after_ms));
    assert_eq!(ended(&world.attach(conn(3), 1), conn(2)), Some(GoodbyeCode::Superseded));
    world.pass(Duration::from_secs(60));
    world.tick();
    assert_eq!(world.relay.attach_rates.len(), 0, "what makes no difference is not kept");
}

/// The relay dies with many devices connected; all of them come back, and none misses or loses anything.
#[test]
fn many_devices_come_back_after_a_restart() {
    const DEVICES: u8 = 200;
    let mut world = World::new(Limits { requests_per_minute: 10_000, ..Limits::default() });
    let conn = |number: u8| ConnId::new(1_000 + u64::from(number));
    world.hello(B, 250);
    for number in 1..=DEVICES {
        world.hello(conn(number), number);
        world.register(conn(number), number, 1);
        world.attach(conn(number), number);
    }
    let everybody: Vec<u8> = (1..=DEVICES).collect();
    let expiry = world.now.after(Duration::from_secs(3_600));
    let (_, out) = world.publish_to(B, &everybody, b"before", 0, expiry, &grant(1));
    assert!(everybody.iter().all(|number| deliveries(&out, conn(*number)).len() == 1));
    // Every other one has acknowledged when the relay dies.
    for number in everybody.iter().filter(|number| **number % 2 == 0) {
        world.tell(conn(*number), Body::Ack(ack(0, 1, &[])));
    }
    world.restart();
    world.hello(B, 250);
    world.publish_to(B, &everybody, b"meanwhile", 0, expiry, &grant(1));
    for number in everybody {
        world.hello(conn(number), number);
        let expected = if number % 2 == 0 { &[2][..] } else { &[1, 2] };
        assert_eq!(seqs(&deliveries(&world.attach(conn(number), number), conn(number))), expected);
        world.tell(conn(number), Body::Ack(ack(0, 2, &[])));
    }
    let gauges = world.relay.gauges(&Overlay::new(&world.store)).unwrap();
    assert_eq!((gauges.attached, gauges.mailboxes), (200, 200));
    assert_eq!(world.disk(), 400 * MARK_DISK_BYTES);
}

#[test]
fn credit_is_absolute_and_bounds_messages_and_bytes() {
    let mut world = World::ready(Limits::default());
    fill(&mut world, 0, 6);
    assert_eq!(seqs(&deliveries(&world.send(A, attach(1, 2, 300)), A)), [1, 2]);
    let grant = |world: &mut World, messages, bytes| {
        let out = world.tell(A, Body::Credit(credit(0, messages, bytes)));
        seqs(&deliveries(&out, A))
    };
    assert_eq!(grant(&mut world, 2, 300), [0u64; 0]);
    assert_eq!(grant(&mut world, 3, 300), [3]);
    assert_eq!(grant(&mut world, 1, 1), [0u64; 0], "totals never shrink");
    assert_eq!(grant(&mut world, 100, 399), [0u64; 0]);
    assert_eq!(grant(&mut world, 100, 400), [4]);
    assert_eq!(grant(&mut world, 100, 10_000), [5, 6]);
}

#[test]
fn what_is_unacknowledged_is_bounded_whatever_the_credit() {
    let mut world = World::ready(Limits { unacknowledged_class_0_messages_max: 2, ..Limits::default() });
    fill(&mut world, 0, 5);
    let out = world.send(A, attach(1, u64::MAX, u64::MAX));
    assert_eq!(seqs(&deliveries(&out, A)), [1, 2]);
    assert_eq!(seqs(&deliveries(&world.tell(A, Body::Ack(ack(0, 0, &[(2, 2)]))), A)), [3]);
    assert_eq!(seqs(&deliveries(&world.tell(A, Body::Ack(ack(0, 3, &[]))), A)), [4, 5]);

    for (bytes_max, first) in [(250, &[1, 2][..]), (10, &[1])] {
        let limits = Limits { unacknowledged_class_0_bytes_max: bytes_max, ..Limits::default() };
        let mut world = World::ready(limits);
        fill(&mut world, 0, 5);
        let out = world.send(A, attach(1, u64::MAX, u64::MAX));
        assert_eq!(seqs(&deliveries(&out, A)), first);
        assert_eq!(deliveries(&world.tell(A, Body::Ack(ack(0, 1, &[]))), A).len(), 1);
    }

    for limits in [
        Limits { unacknowledged_class_1_messages_max: 2, ..Limits::default() },
        Limits { unacknowledged_class_1_bytes_max: 250, ..Limits::default() },
    ] {
        let mut world = World::ready(limits);
        fill(&mut world, 1, 5);
        let out = world.send(A, attach(1, u64::MAX, u64::MAX));
        assert_eq!(seqs(&deliveries(&out, A)), [1, 2]);
        assert_eq!(seqs(&deliveries(&world.tell(A, Body::Ack(ack(1, 2, &[]))), A)), [3, 4]);
    }
}

#[test]
fn class_1_gets_one_slot_in_eight() {
    let mut world = World::ready(Limits::default());
    fill(&mut world, 1, 4);
    fill(&mut world, 0, 16);
    let out = world.send(A, attach(1, 100, 100_000));
    let classes: Vec<u32> = deliveries(&out, A).iter().map(|(class, ..)| *class).collect();
    assert_eq!(classes.len(), 20);
    assert_eq!(classes[..16], [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(classes[16..], [0, 0, 1, 1]);
}

#[test]
fn redelivery_leaves_out_what_was_acknowledged() {
    let mut world = World::ready(Limits::default());
    let generation = world.register(A, 1, 1);
    fill(&mut world, 0, 8);
    world.attach(A, 1);
    world.tell(A, Body::Ack(ack(0, 2, &[(4, 5), (7, 7)])));
    world.restart();
    world.hello(A, 1);
    assert_eq!(seqs(&deliveries(&world.attach(A, 1), A)), [3, 6, 8]);

    let again = |generation: Bytes| {
        let acks = vec![ack(0, 3, &[(8, 8)])];
        let credits = vec![credit(0, 100, 10_000)];
        Body::Attach(wire::Attach { mailbox: mailbox(1).to_wire(), generation, acks, credits })
    };
    let out = world.send(A, again(Bytes::from(vec![0; 8])));
    assert_eq!(seqs(&deliveries(&out, A)), [3, 6, 8], "acks of another generation are ignored");
    let out = world.send(A, again(generation));
    assert_eq!(seqs(&deliveries(&out, A)), [6]);
}

/// How often it is looked for what is in a range, for one frame.
fn looks(world: &mut World, body: Body) -> u64 {
    let mut counting = Counting::over(&world.store);
    let mut tx = Overlay::new(&counting);
    let input = Input::Frame { conn: A, frame: wire::Frame { request: 0, body: Some(body) } };
    world.relay.handle(input, world.now, &mut tx, &mut Vec::new()).unwrap();
    let batch = tx.into_batch();
    counting.commit(batch).unwrap();
    world.store = counting.store;
    counting.looks.get()
}

#[test]
fn what_was_acknowledged_is_not_looked_for_again_and_again() {
    let mut world = World::ready(Limits::default());
    fill(&mut world, 0, 8);
    world.send(A, attach(1, 4, 1_000_000));
    let ranges = [(2, 6); 64];
    let acknowledged = |world: &World| world.relay.metrics().acknowledged;
    assert_eq!(looks(&mut world, Body::Ack(ack(0, 0, &ranges))), 0);
    assert_eq!(acknowledged(&world), 3, "2, 3 and 4 were delivered here");
    assert_eq!(looks(&mut world, Body::Ack(ack(0, 0, &ranges))), 0);
    assert_eq!(acknowledged(&world), 3);
    // An attach says so of whatever is there.
    let Body::Attach(again) = attach(1, 4, 1_000_000) else { panic!("no attach") };
    let Body::Attached(attached) = answer(&world.attach(A, 1)) else { panic!("not attached") };
    let acks = vec![ack(0, 0, &ranges)];
    let looks =
        looks(&mut world, Body::Attach(wire::Attach { generation: attached.generation, acks, ..again }));
    assert!(looks < 10, "{looks}");
    assert_eq!(acknowledged(&world), 5);
}

#[test]
fn sequences_go_on_after_everything_was_acknowledged() {
    let mut world = World::ready(Limits::default());
    fill(&mut world, 0, 3);
    world.attach(A, 1);
    let done = world.send(A, Body::Ack(ack(0, 99, &[])));
    assert_eq!(answer(&done), Body::Done(wire::Done {}));
    world.restart();
    world.hello(A, 1);
    world.hello(B, 2);
    world.attach(A, 1);
    let (_, out) = world.publish_to(B, &[1], b"next", 0, world.now.after(Duration::from_secs(9)), &grant(1));
    assert_eq!(deliveries(&out, A), [(0, 4, Bytes::from_static(b"next"))]);
}

#[test]
fn a_connection_serves_one_mailbox() {
    let mut world = World::ready(Limits::default());
    world.register(A, 2, 1);
    world.attach(A, 1);
    assert_eq!(refusal(&world.send(A, attach(2, 1, 1))), RefusalCode::Limit);
    assert!(matches!(answer(&world.attach(A, 1)), Body::Attached(_)));
}

#[test]
fn a_long_run_of_expired_entries_does_not_stop_what_follows() {
    let mut world = World::ready(Limits { publishes_per_minute: 1_000_000, ..Limits::default() });
    fill(&mut world, 0, 100);
    world.pass(Duration::from_secs(3_600));
    fill(&mut world, 1, 1);
    let (_, _) = world.publish_to(B, &[1], b"fresh", 0, world.now.after(Duration::from_secs(9)), &grant(1));
    let delivered = deliveries(&world.attach(A, 1), A);
    assert_eq!(
        delivered.iter().map(|(class, seq, _)| (*class, *seq)).collect::<Vec<_>>(),
        [(0, 101), (1, 1)]
    );
}
