//! Attach, credit, acknowledgement, redelivery.

use std::time::Duration;

use bytes::Bytes;
use undertone_protocol::wire::{self, GoodbyeCode, RefusalCode, frame::Body};

use super::world::*;
use crate::core::Input;
use crate::limits::Limits;

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
        let acks = vec![ack(0, 3, &[(8, 9)])];
        let credits = vec![credit(0, 100, 10_000)];
        Body::Attach(wire::Attach { mailbox: mailbox(1).to_wire(), generation, acks, credits })
    };
    let out = world.send(A, again(Bytes::from(vec![0; 8])));
    assert_eq!(seqs(&deliveries(&out, A)), [3, 6, 8], "acks of another generation are ignored");
    let out = world.send(A, again(generation));
    assert_eq!(seqs(&deliveries(&out, A)), [6]);
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
