//! Tokens at the relay: epochs, revocation, introductions, rates.

use std::time::Duration;

use bytes::Bytes;
use undertone_protocol::ids::Secret;
use undertone_protocol::limits::{INTRODUCTIONS_MAX, REVOKED_PREFIXES_MAX};
use undertone_protocol::token::{CLASS_1, Step, TokenGrant};
use undertone_protocol::wire::{self, DenialReason, RefusalCode, ResultCode, frame::Body};

use super::world::*;
use crate::limits::Limits;
use crate::store::Store;
use crate::store::usage::PREFIX_DISK_BYTES;

fn revoke(epoch: u32, handles: &[u8]) -> Body {
    let handles = handles.iter().map(|number| Bytes::from(vec![*number; 8])).collect();
    Body::RevokeToken(wire::RevokeToken { mailbox: mailbox(1).to_wire(), epoch, handles })
}

fn introduction(handle: [u8; 8], uses: u32, not_after_ms: u64) -> Body {
    let (mailbox, handle) = (mailbox(1).to_wire(), Bytes::copy_from_slice(&handle));
    Body::PutIntroduction(wire::PutIntroduction { mailbox, handle, uses, not_after_ms })
}

fn done(out: &[crate::core::Output]) -> bool {
    answer(out) == Body::Done(wire::Done {})
}

fn denied(result: &wire::RecipientResult) -> Option<DenialReason> {
    (code(result) == ResultCode::Denied).then(|| result.reason())
}

#[test]
fn only_the_secret_gives_tokens() {
    let mut world = World::ready(Limits::default());
    let foreign = TokenGrant::issue(&Secret::new([1; 32]), step(1));
    assert_eq!(denied(&world.publish(b"x", &foreign)), Some(DenialReason::Proof));
    let narrow = TokenGrant::issue(&secret(), Step { classes: CLASS_1, ..step(1) });
    assert_eq!(denied(&world.publish(b"x", &narrow)), Some(DenialReason::Rights));
    world.register(A, 1, 2);
    assert_eq!(denied(&world.publish(b"x", &grant(1))), Some(DenialReason::Epoch));
    assert_eq!(world.relay.metrics().results_denied, 3);
}

#[test]
fn a_revoked_prefix_stops_everything_below_it() {
    let mut world = World::ready(Limits::default());
    let (parent, child) = (grant(1), grant(1).extend(step(2)).unwrap());
    let sibling = grant(1).extend(step(3)).unwrap();
    assert_eq!(code(&world.publish(b"before", &child)), ResultCode::Stored);
    assert!(done(&world.send(A, revoke(1, &[1, 2]))));
    assert_eq!(denied(&world.publish(b"before", &child)), Some(DenialReason::Revoked));
    assert_eq!(denied(&world.publish(b"x", &child.extend(step(4)).unwrap())), Some(DenialReason::Revoked));
    assert_eq!(code(&world.publish(b"y", &sibling)), ResultCode::Stored);
    assert_eq!(code(&world.publish(b"z", &parent)), ResultCode::Stored);
    world.restart();
    world.hello(A, 1);
    world.hello(B, 2);
    assert!(done(&world.send(A, revoke(1, &[1]))));
    assert_eq!(denied(&world.publish(b"w", &sibling)), Some(DenialReason::Revoked));
    assert_eq!(refusal(&world.send(A, revoke(2, &[1]))), RefusalCode::Epoch);
    assert_eq!(refusal(&world.send(A, revoke(1, &[1; 5]))), RefusalCode::Malformed);
}

#[test]
fn a_full_table_of_revocations_asks_for_a_new_epoch_which_clears_it() {
    let limits = Limits { requests_per_minute: 100_000, sweep_entries_per_tick: 1_000, ..Limits::default() };
    let mut world = World::ready(limits);
    let keys_before = world.store.len();
    let handle = |number: usize| Bytes::copy_from_slice(&(number as u64).to_be_bytes());
    let revoke = |number| {
        let handles = vec![handle(number)];
        Body::RevokeToken(wire::RevokeToken { mailbox: mailbox(1).to_wire(), epoch: 1, handles })
    };
    for number in 0..REVOKED_PREFIXES_MAX {
        assert!(done(&world.send(A, revoke(number))));
    }
    assert!(done(&world.send(A, revoke(0))), "a repeat takes no room");
    assert_eq!(refusal(&world.send(A, revoke(REVOKED_PREFIXES_MAX))), RefusalCode::Limit);
    world.register(A, 1, 2);
    assert!(done(&world.send(A, revoke(9))), "tokens of an old epoch are void already");
    for _ in 0..8 {
        world.tick();
    }
    assert_eq!(world.store.len(), keys_before);
}

#[test]
fn an_introduction_bounds_joiners_and_not_their_repeats() {
    let mut world = World::ready(Limits::default());
    let end = world.now.after(Duration::from_secs(60));
    assert!(done(&world.send(A, introduction([1; 8], 2, end.as_ms()))));
    let joiner = |number| grant(1).extend(step(number)).unwrap();
    assert_eq!(denied(&world.publish(b"bare", &grant(1))), Some(DenialReason::Rights));
    assert_eq!(code(&world.publish(b"a", &joiner(10))), ResultCode::Stored);
    assert_eq!(code(&world.publish(b"a2", &joiner(10))), ResultCode::Stored);
    assert_eq!(code(&world.publish(b"b", &joiner(11))), ResultCode::Stored);
    assert_eq!(denied(&world.publish(b"c", &joiner(12))), Some(DenialReason::UsedUp));
    assert_eq!(code(&world.publish(b"a3", &joiner(10))), ResultCode::Stored);
    assert!(
        done(&world.send(A, introduction([1; 8], 3, end.as_ms()))),
        "more uses; the taken ones stay taken"
    );
    assert_eq!(code(&world.publish(b"c", &joiner(12))), ResultCode::Stored);
    assert_eq!(denied(&world.publish(b"d", &joiner(13))), Some(DenialReason::UsedUp));
    world.pass(Duration::from_secs(61));
    assert_eq!(denied(&world.publish(b"a4", &joiner(10))), Some(DenialReason::Expired));
    assert_eq!(code(&world.publish(b"a", &joiner(10))), ResultCode::Duplicate);
}

#[test]
fn a_use_is_taken_only_by_what_is_stored() {
    let mut world = World::ready(Limits { mailbox_class_0_messages_max: 1, ..Limits::default() });
    let end = world.now.after(Duration::from_secs(60)).as_ms();
    world.publish(b"fills it", &grant(9));
    world.send(A, introduction([1; 8], 1, end));
    assert_eq!(code(&world.publish(b"a", &grant(1).extend(step(10)).unwrap())), ResultCode::Full);
    world.attach(A, 1);
    world.tell(A, Body::Ack(ack(0, 1, &[])));
    assert_eq!(code(&world.publish(b"b", &grant(1).extend(step(11)).unwrap())), ResultCode::Stored);
}

#[test]
fn ended_introductions_make_room_and_stay_refused() {
    let limits = Limits { requests_per_minute: 100_000, ..Limits::default() };
    let mut world = World::ready(limits);
    let end = world.now.after(Duration::from_secs(60)).as_ms();
    let handle = |number: usize| (number as u64).to_be_bytes();
    for number in 0..INTRODUCTIONS_MAX {
        assert!(done(&world.send(A, introduction(handle(number), 1, end))));
    }
    assert_eq!(refusal(&world.send(A, introduction(handle(999), 1, end))), RefusalCode::Limit);
    world.pass(Duration::from_secs(61));
    let later = world.now.after(Duration::from_secs(60)).as_ms();
    assert!(done(&world.send(A, introduction(handle(999), 1, later))));
    let old = TokenGrant::issue(&secret(), Step::named(undertone_protocol::ids::Handle::new(handle(3))));
    assert_eq!(denied(&world.publish(b"x", &old.extend(step(1)).unwrap())), Some(DenialReason::Revoked));
    assert_eq!(refusal(&world.send(A, introduction(handle(1), 0, later))), RefusalCode::Malformed);
    assert_eq!(refusal(&world.send(A, introduction(handle(1), 1_001, later))), RefusalCode::Limit);
}

#[test]
fn the_slowest_step_sets_the_rate_and_repeats_are_free() {
    let mut world = World::ready(Limits::default());
    let slow = TokenGrant::issue(&secret(), Step { per_minute: 2, ..step(1) });
    let below = slow.extend(step(2)).unwrap();
    assert_eq!(code(&world.publish(b"1", &slow)), ResultCode::Stored);
    assert_eq!(code(&world.publish(b"2", &below)), ResultCode::Stored);
    assert_eq!(code(&world.publish(b"2", &below)), ResultCode::Duplicate);
    let third = world.publish(b"3", &below);
    assert_eq!(code(&third), ResultCode::RetryAfter);
    assert!(third.retry_after_ms > 0);
    assert_eq!(code(&world.publish(b"3", &grant(5))), ResultCode::Stored, "another token is not slowed");
    world.pass(Duration::from_millis(third.retry_after_ms));
    assert_eq!(code(&world.publish(b"4", &below)), ResultCode::Stored);
}

#[test]
fn a_token_that_asks_for_no_rate_has_the_relays() {
    let mut world = World::ready(Limits { token_publishes_per_minute: 2, ..Limits::default() });
    let generous = TokenGrant::issue(&secret(), Step { per_minute: u32::MAX, ..step(2) });
    for token in [grant(1), generous] {
        assert_eq!(code(&world.publish(&token.path()[0].handle.as_bytes()[..1], &token)), ResultCode::Stored);
        assert_eq!(code(&world.publish(&token.path()[0].handle.as_bytes()[..2], &token)), ResultCode::Stored);
        assert_eq!(code(&world.publish(b"third", &token)), ResultCode::RetryAfter);
    }
}

/// Who joined by an invitation that is over is forgotten with it: else one mailbox could leave them without bound.
#[test]
fn uses_are_forgotten_with_their_introduction() {
    let mut world =
        World::ready(Limits { requests_per_minute: 100_000, silence_ms_max: u64::MAX, ..Limits::default() });
    let end = world.now.after(Duration::from_secs(60)).as_ms();
    let handle = |number: usize| (number as u64).to_be_bytes();
    for number in 0..INTRODUCTIONS_MAX {
        assert!(done(&world.send(A, introduction(handle(number), 2, end))));
    }
    let invited = TokenGrant::issue(&secret(), Step::named(undertone_protocol::ids::Handle::new(handle(0))));
    for number in 1..=2 {
        assert_eq!(
            code(&world.publish(&[number], &invited.extend(step(number)).unwrap())),
            ResultCode::Stored
        );
    }
    let uses = |world: &World| {
        let prefix = crate::store::table::Table::IntroductionUse.key();
        world.store.range(prefix.as_ref(), prefix.after_prefix().as_ref(), 9).unwrap().len()
    };
    let before = world.disk();
    assert_eq!(uses(&world), 2);
    world.pass(Duration::from_secs(61));
    assert!(done(&world.send(A, introduction(handle(999), 1, u64::MAX))));
    assert_eq!(uses(&world), 0);
    assert_eq!(world.disk(), before - PREFIX_DISK_BYTES, "two uses less, one introduction more");
}

#[test]
fn the_tables_of_rates_are_bounded() {
    let limits = Limits { token_rates_per_mailbox_max: 4, token_rates_max: 6, ..Limits::default() };
    let mut world = World::ready(limits);
    world.register(A, 2, 1);
    for number in 1..=4 {
        assert_eq!(code(&world.publish(&[number], &grant(number))), ResultCode::Stored);
    }
    assert_eq!(code(&world.publish(&[5], &grant(5))), ResultCode::RetryAfter);
    let rates =
        |world: &World| world.relay.gauges(&crate::store::Overlay::new(&world.store)).unwrap().token_rates;
    assert_eq!(rates(&world), 4);
    let expiry = world.now.after(Duration::from_secs(60));
    for number in 1..=3 {
        let (results, _) = world.publish_to(B, &[2], &[number], 0, expiry, &grant(number));
        assert_eq!(code(&results[0]), ResultCode::Stored);
    }
    assert_eq!(rates(&world), 3, "the mailbox with the most made way");
    world.pass(Duration::from_secs(60));
    world.tick();
    assert_eq!(rates(&world), 0);
}

#[test]
fn an_ended_token_still_learns_what_is_held() {
    let mut world = World::ready(Limits::default());
    let end = world.now.after(Duration::from_secs(60));
    let token = TokenGrant::issue(&secret(), Step { not_after: Some(end), ..step(1) });
    let first = world.publish(b"x", &token);
    world.pass(Duration::from_secs(61));
    let again = world.publish(b"x", &token);
    assert_eq!((code(&again), again.held_until_ms), (ResultCode::Duplicate, first.held_until_ms));
    assert_eq!(denied(&world.publish(b"y", &token)), Some(DenialReason::Expired));
}
