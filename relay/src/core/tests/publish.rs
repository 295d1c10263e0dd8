//! Publishing: results, custody, deduplication, quotas.

use std::time::Duration;

use undertone_protocol::limits::{DEDUP_AFTER_DELETION, ENVELOPE_TTL_MAX};
use undertone_protocol::wire::{DenialReason, RefusalCode, ResultCode, frame::Body};

use super::world::*;
use crate::core::{Input, Output};
use crate::limits::Limits;
use crate::store::usage::MARK_DISK_BYTES;

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn stored_then_duplicate_then_acknowledged_then_new() {
    let mut world = World::ready(Limits::default());
    let first = world.publish(b"hi", &grant(1));
    assert_eq!((code(&first), first.held_until_ms), (ResultCode::Stored, world.now.after(HOUR).as_ms()));

    world.pass(Duration::from_secs(60));
    let again = world.publish(b"hi", &grant(1));
    assert_eq!(code(&again), ResultCode::Duplicate);
    assert_eq!(again.held_until_ms, world.now.after(HOUR).as_ms(), "a later expiry extends it");
    let earlier = world.now.after(Duration::from_secs(1));
    let (shorter, _) = world.publish_to(B, &[1], b"hi", 0, earlier, &grant(1));
    assert_eq!(shorter[0].held_until_ms, again.held_until_ms, "an earlier one does not shorten it");

    assert_eq!(deliveries(&world.attach(A, 1), A).len(), 1);
    world.tell(A, Body::Ack(ack(0, 1, &[])));
    assert_eq!(world.disk(), MARK_DISK_BYTES, "what is remembered is counted");
    let acknowledged = world.publish(b"hi", &grant(1));
    assert_eq!((code(&acknowledged), acknowledged.held_until_ms), (ResultCode::Duplicate, 0));

    world.pass(DEDUP_AFTER_DELETION);
    assert_eq!(code(&world.publish(b"hi", &grant(1))), ResultCode::Stored);
}

#[test]
fn expiry_ends_custody_and_leaves_no_mark() {
    let mut world = World::ready(Limits { silence_ms_max: u64::MAX, ..Limits::default() });
    world.publish(b"hi", &grant(1));
    world.pass(HOUR);
    assert!(deliveries(&world.attach(A, 1), A).is_empty(), "what expired is not delivered");
    assert_eq!(code(&world.publish(b"hi", &grant(1))), ResultCode::Stored);
    world.pass(HOUR);
    world.tick();
    assert_eq!((world.disk(), world.relay.metrics().expired), (0, 1));
    let (past, _) = world.publish_to(B, &[1], b"late", 0, world.now, &grant(1));
    assert_eq!((code(&past[0]), past[0].reason()), (ResultCode::Denied, DenialReason::Expired));
}

#[test]
fn custody_has_a_longest_life() {
    let mut world = World::ready(Limits { envelope_ttl_ms_max: u64::MAX, ..Limits::default() });
    let (asked, _) = world.publish_to(B, &[1], b"x", 0, world.now.after(HOUR * 10_000), &grant(1));
    assert_eq!(asked[0].held_until_ms, world.now.after(ENVELOPE_TTL_MAX).as_ms());
}

#[test]
fn a_payload_is_kept_once_for_all_its_recipients() {
    let mut world = World::ready(Limits::default());
    world.register(A, 2, 1);
    world.register(A, 3, 1);
    let payload = vec![1; 10_000];
    let expiry = world.now.after(HOUR);
    let (results, _) = world.publish_to(B, &[1, 2, 9, 3, 2], &payload, 0, expiry, &grant(1));
    let codes: Vec<_> = results.iter().map(code).collect();
    use ResultCode::{Denied, Duplicate, Stored};
    assert_eq!(codes, [Stored, Stored, Denied, Stored, Duplicate], "in the route's order");
    assert_eq!(results[2].reason(), DenialReason::UnknownMailbox);
    assert!((10_000..12_000).contains(&world.disk()));
    world.hello(C, 1);
    world.attach(A, 1);
    world.attach(C, 2);
    world.tell(A, Body::Ack(ack(0, 1, &[])));
    world.tell(C, Body::Ack(ack(0, 1, &[])));
    assert!(world.disk() > 10_000, "mailbox 3 still refers to it");
    world.pass(HOUR);
    world.tick();
    assert_eq!(world.disk(), 2 * MARK_DISK_BYTES, "and now nothing does");
}

#[test]
fn full_mailboxes_say_so_and_keep_what_they_have() {
    let limits = Limits { mailbox_class_0_messages_max: 2, full_retry_after_ms: 9_000, ..Limits::default() };
    let mut world = World::ready(limits);
    world.publish(b"1", &grant(1));
    world.publish(b"2", &grant(1));
    let full = world.publish(b"3", &grant(1));
    assert_eq!((code(&full), full.retry_after_ms), (ResultCode::Full, 9_000));
    assert_eq!(code(&world.publish(b"1", &grant(1))), ResultCode::Duplicate);
    let (other_class, _) = world.publish_to(B, &[1], b"3", 1, world.now.after(HOUR), &grant(1));
    assert_eq!(code(&other_class[0]), ResultCode::Stored);
    assert_eq!(deliveries(&world.attach(A, 1), A).len(), 3);
    world.tell(A, Body::Ack(ack(0, 1, &[])));
    assert_eq!(code(&world.publish(b"4", &grant(1))), ResultCode::Stored);
    assert_eq!(world.relay.metrics().results_full, 1);
}

#[test]
fn byte_quotas_are_exact() {
    let mut world = World::ready(Limits { mailbox_class_0_bytes_max: 10, ..Limits::default() });
    assert_eq!(code(&world.publish(b"12345", &grant(1))), ResultCode::Stored);
    assert_eq!(code(&world.publish(b"123456", &grant(1))), ResultCode::Full);
    assert_eq!(code(&world.publish(b"54321", &grant(1))), ResultCode::Stored);
    assert_eq!(code(&world.publish(b"1", &grant(1))), ResultCode::Full);
}

#[test]
fn the_disk_quota_delays_class_1_before_class_0() {
    let limits = Limits { disk_bytes_max: 3_500, disk_class_1_percent: 50, ..Limits::default() };
    let mut world = World::ready(limits);
    assert_eq!(code(&world.publish(&[1; 1_000], &grant(1))), ResultCode::Stored);
    let expiry = world.now.after(HOUR);
    let (class_1, _) = world.publish_to(B, &[1], b"ack", 1, expiry, &grant(1));
    assert_eq!(code(&class_1[0]), ResultCode::RetryAfter);
    assert_eq!(code(&world.publish(&[2; 1_000], &grant(1))), ResultCode::Stored);
    assert_eq!(code(&world.publish(&[3; 1_000], &grant(1))), ResultCode::RetryAfter);
    let metrics = world.relay.metrics();
    assert_eq!((metrics.class_1_delayed, metrics.class_0_refused), (1, 1));
}

#[test]
fn large_payloads_are_named() {
    let mut world = World::ready(Limits { payload_bytes_max: 100, ..Limits::default() });
    let result = world.publish(&[0; 101], &grant(1));
    assert_eq!((code(&result), result.size_max), (ResultCode::TooLarge, 100));
    assert_eq!(code(&world.publish(&[0; 100], &grant(1))), ResultCode::Stored);
}

#[test]
fn a_malformed_or_oversized_publish_is_refused_whole() {
    let mut world = World::ready(Limits::default());
    let expiry = world.now.after(HOUR);
    let good = world.make(&[1], b"x", 0, expiry, &grant(1));
    let mut bad_class = good.clone();
    bad_class.items[0].class = 3;
    let mut no_route = good.clone();
    no_route.items.push(good.items[0].clone());
    no_route.items[1].route = None;
    let mut no_items = good.clone();
    no_items.items.clear();
    for publish in [bad_class, no_route, no_items] {
        assert_eq!(refusal(&world.send(B, Body::Publish(publish))), RefusalCode::Malformed);
    }
    let mut many = good.clone();
    many.items = vec![good.items[0].clone(); 17];
    let wide = world.make(&[1; 1_025], b"x", 0, expiry, &grant(1));
    let heavy = world.make(&[1], &[0; 160 * 1024 + 1], 0, expiry, &grant(1));
    for publish in [many, wide, heavy] {
        assert_eq!(refusal(&world.send(B, Body::Publish(publish))), RefusalCode::Limit);
    }
    assert_eq!(world.disk(), 0);
}

#[test]
fn the_widest_receipt_fits_a_frame() {
    use prost::Message;
    let mut world = World::ready(Limits::default());
    let item = world.make(&[1; 1_024], b"x", 0, world.now.after(HOUR), &grant(1));
    let mut publish = item.clone();
    while publish.encoded_len() + item.items[0].encoded_len() < undertone_protocol::limits::FRAME_BYTES_MAX {
        publish.items.extend(item.items.clone());
    }
    assert!(publish.items.len() > 1);
    let out = world.send(B, Body::Publish(publish));
    let Output::Send { frame, .. } = &out[0] else { panic!("{out:?}") };
    assert!(matches!(frame.body, Some(Body::Published(_))));
    assert!(frame.encoded_len() < undertone_protocol::limits::FRAME_BYTES_MAX);
}

#[test]
fn publishes_of_a_connection_are_rated() {
    let mut world = World::ready(Limits { publishes_per_minute: 2, ..Limits::default() });
    world.publish(b"1", &grant(1));
    world.publish(b"2", &grant(1));
    let third = world.make(&[1], b"3", 0, world.now.after(HOUR), &grant(1));
    assert_eq!(refusal(&world.send(B, Body::Publish(third))), RefusalCode::RetryAfter);
}

#[test]
fn one_overlay_carries_many_inputs() {
    let mut world = World::ready(Limits::default());
    let expiry = world.now.after(HOUR);
    let frame = |request, body| undertone_protocol::wire::Frame { request, body: Some(body) };
    let publish = Body::Publish(world.make(&[1], b"x", 0, expiry, &grant(1)));
    let inputs = vec![
        Input::Frame { conn: A, frame: frame(1, attach(1, 10, 1_000)) },
        Input::Frame { conn: B, frame: frame(2, publish.clone()) },
        Input::Frame { conn: B, frame: frame(3, publish) },
        Input::Frame { conn: A, frame: frame(0, Body::Ack(ack(0, 1, &[]))) },
    ];
    let out = world.drain(inputs);
    assert_eq!(deliveries(&out, A).len(), 1);
    assert_eq!((world.disk(), world.relay.metrics().results_duplicate), (MARK_DISK_BYTES, 1));
}

#[test]
fn class_2_reaches_live_sessions_only_and_nothing_is_stored() {
    let mut world = World::ready(Limits { volatile_backlog_bytes_max: 2_000, ..Limits::default() });
    let expiry = world.now.after(HOUR);
    let (away, out) = world.publish_to(B, &[1], b"typing", 2, expiry, &grant(1));
    assert_eq!((code(&away[0]), away[0].held_until_ms), (ResultCode::Stored, 0));
    assert!(deliveries(&out, A).is_empty());
    world.attach(A, 1);
    let (_, out) = world.publish_to(B, &[1, 1], &[b't'; 3_000], 2, expiry, &grant(1));
    assert_eq!(deliveries(&out, A).len(), 1, "twice the same mailbox is once");
    let (_, out) = world.publish_to(B, &[1], b"typing", 2, expiry, &grant(1));
    assert!(deliveries(&out, A).is_empty(), "the socket is behind");
    world.drain(vec![Input::Sent { conn: A, bytes: 3_000 }]);
    let (_, out) = world.publish_to(B, &[1], b"typing", 2, expiry, &grant(1));
    assert_eq!(deliveries(&out, A), [(2, 0, "typing".into())]);
    let metrics = world.relay.metrics();
    assert_eq!((metrics.volatile_unattended, metrics.volatile_shed, world.disk()), (1, 1, 0));
}

#[test]
fn sweeps_go_in_bounded_steps() {
    let limits = Limits {
        sweep_entries_per_tick: 2,
        sweep_interval_ms: 5_000,
        silence_ms_max: u64::MAX,
        ..Limits::default()
    };
    let mut world = World::ready(limits);
    for number in 0..5 {
        world.publish(&[number], &grant(1));
    }
    world.pass(HOUR);
    for expired in [2, 4, 5] {
        assert!(world.relay.next_tick().unwrap() <= world.now, "there is more to do");
        world.tick();
        assert_eq!(world.relay.metrics().expired, expired);
    }
    assert_eq!(world.relay.next_tick(), Some(world.now.after(Duration::from_secs(5))));
}

#[test]
fn the_operator_may_shorten_custody() {
    let mut world = World::ready(Limits { envelope_ttl_ms_max: 90_000, ..Limits::default() });
    let held = world.publish(b"x", &grant(1)).held_until_ms;
    assert_eq!(held, world.now.after(Duration::from_secs(90)).as_ms());
}

#[test]
fn a_clock_that_is_set_back_stops_no_sweep() {
    let mut world = World::ready(Limits { silence_ms_max: u64::MAX, ..Limits::default() });
    let before = world.now;
    world.pass(HOUR * 24);
    world.tick();
    world.now = before;
    world.publish(b"x", &grant(1));
    world.pass(HOUR);
    assert!(world.relay.next_tick().unwrap() <= world.now);
    world.tick();
    assert_eq!((world.disk(), world.relay.metrics().expired), (0, 1));
}
