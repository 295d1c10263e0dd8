//! Relays that refuse, give up, die, or don't answer.

use super::*;
use crate::engine::routing::FORWARDS_MAX;

#[test]
fn one_that_nobody_confirmed_goes_again_when_the_connection_is_lost() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        let (_, first) = world.handed_over(ctx);
        world.links.down(&world.home_link(), "lost", ctx.now);
        ctx.now = ctx.now.after(SECOND);
        world.connect(ctx);
        let (_, second) = world.handed(ctx);
        assert!(first.forward_id != second.forward_id && first.counter != second.counter);
        assert_eq!(ctx.tx.forwards().unwrap().len(), 1, "the first is not waited for");
        // It may have got there all the same: the home relay need not keep the answer.
        let answer = world.decided(&first, stored());
        world.brings(ctx, Body::Forwarded(answer), &first);
        let answer = world.decided(&second, stored());
        world.brings(ctx, Body::Forwarded(answer), &second);
        assert_eq!(delivery(ctx).0, Tick::Sent);
    });
}

/// Or a home relay that lets go now and then would be taken for one whose destinations don't answer, for days.
#[test]
fn connections_that_end_leave_nothing_behind() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        world.handed_over(ctx);
        for _ in 0..9 {
            world.links.down(&world.home_link(), "lost", ctx.now);
            ctx.now = ctx.now.after(SECOND);
            world.connect(ctx);
            world.handed(ctx);
        }
        let (waiting, oldest) = ctx.agenda.routing.queue(&id_of(&world.home), &id_of(&world.destination));
        assert!(waiting == 1 && !oldest.unwrap().is_slow(ctx.now), "{waiting}");
        assert_eq!(ctx.tx.forwards().unwrap().len(), 1);
    });
}

#[test]
fn a_message_that_a_home_relay_gave_up_has_failed() {
    for reason in [DeadLetterReason::Expired, DeadLetterReason::Attempts] {
        on_a_device(|ctx| {
            let mut world = World::new(ctx);
            let (request, parcel) = world.handed_over(ctx);
            world.waits(ctx, request, &parcel);
            world.dead_letter(ctx, &parcel, reason);
            assert_eq!(delivery(ctx), (Tick::Waiting, Some(Failure::Unreachable)));
            assert_eq!(state(ctx), OutboxState::Failed);
            assert!(ctx.tx.forwards().unwrap().is_empty());
        });
    }
}

#[test]
fn a_message_that_another_home_relay_holds_has_not_failed() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        let (request, parcel) = world.handed_over(ctx);
        world.waits(ctx, request, &parcel);
        let mut other = ctx.tx.forwards().unwrap().remove(0);
        other.via = RelayId::new([9; 32]);
        other.answer.forward_id = PublishId::random(ctx.rng);
        keep(ctx, &other).unwrap();
        world.dead_letter(ctx, &parcel, DeadLetterReason::Expired);
        assert_eq!(delivery(ctx), (Tick::Waiting, None));
        assert!(matches!(state(ctx), OutboxState::Pending { .. }));
    });
}

#[test]
fn a_key_that_the_destination_does_not_know_any_more_is_asked_for_again() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        let (request, parcel) = world.handed_over(ctx);
        world.waits(ctx, request, &parcel);
        world.routing = RoutingSecret::random(&mut world.rng);
        ctx.now = ctx.now.after(SECOND * 60);
        world.dead_letter(ctx, &parcel, DeadLetterReason::Key);
        let (_, again) = world.handed_over(ctx);
        assert_eq!(again.routing_key, world.routing.id());
        assert!(!world.meets_the_destination());
    });
}

/// What makes a way over two relays one that is none.
type Happens = fn(&mut World, &mut Context<'_>);

#[test]
fn where_there_is_no_way_over_two_relays_the_straight_one_serves() {
    let cases: [(&str, Happens); 6] = [
        ("the home relay forwards nothing there", |world, ctx| {
            let (request, _) = world.handed_over(ctx);
            world.answers(ctx, request, refusal(wire::RefusalCode::Closed));
        }),
        ("it gives no key", |world, ctx| {
            let [(request, _)] = world.said(ctx)[..] else { panic!() };
            world.answers(ctx, request, refusal(wire::RefusalCode::Closed));
        }),
        ("it has no key in time", |world, ctx| {
            let [(request, _)] = world.said(ctx)[..] else { panic!() };
            world.answers(ctx, request, refusal(wire::RefusalCode::RetryAfter));
            assert!(world.said(ctx).is_empty() && !world.meets_the_destination());
            ctx.now = ctx.now.after(PRIVATE_WAIT);
        }),
        ("the destination takes nothing from it", |world, ctx| {
            let (request, parcel) = world.handed_over(ctx);
            world.waits(ctx, request, &parcel);
            world.dead_letter(ctx, &parcel, DeadLetterReason::Refused);
        }),
        ("the destination does not know the key that it just gave", |world, ctx| {
            let (request, parcel) = world.handed_over(ctx);
            world.waits(ctx, request, &parcel);
            world.dead_letter(ctx, &parcel, DeadLetterReason::Key);
        }),
        ("its answer is none", |world, ctx| {
            let (request, parcel) = world.handed_over(ctx);
            world.waits(ctx, request, &parcel);
            let answer = world.decided(&parcel, stored());
            let answer = wire::Forwarded { answer: Bytes::from_static(&[7; 64]), ..answer };
            world.brings(ctx, Body::Forwarded(answer), &parcel);
        }),
    ];
    for (why, happens) in cases {
        on_a_device(|ctx| {
            let mut world = World::new(ctx);
            happens(&mut world, ctx);
            ctx.agenda.publish = true;
            world.said(ctx);
            assert!(world.meets_the_destination(), "{why}");
            assert_eq!(delivery(ctx).1, None, "{why}");
        });
    }
}

#[test]
fn what_is_not_answered_for_ten_minutes_goes_the_straight_way_too() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        let (request, parcel) = world.handed_over(ctx);
        world.waits(ctx, request, &parcel);
        for wait in [FALL_OVER_WAIT, CUSTODIAN_WAIT - SECOND] {
            ctx.now = START.after(wait);
            ctx.agenda.publish = true;
            assert_eq!(world.said(ctx), []);
            assert!(!world.meets_the_destination(), "{wait:?}");
        }
        assert_eq!(world.walk.next_deadline(), Some(START.after(CUSTODIAN_WAIT)), "it is woken for that");
        ctx.now = START.after(CUSTODIAN_WAIT);
        assert_eq!(world.said(ctx), []);
        assert!(world.meets_the_destination());
    });
}

/// After seconds first; then a relay that is gone must not cost seconds for each message, acknowledgement and tick.
#[test]
fn where_the_device_has_another_mailbox_that_one_is_used() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        let mut contact = ctx.tx.contact(&BOB).unwrap().unwrap();
        contact.grants.push(grant(address_of(&world.home)));
        ctx.tx.put_contact(&contact).unwrap();
        let (request, parcel) = world.handed_over(ctx);
        world.waits(ctx, request, &parcel);
        ctx.now = START.after(FALL_OVER_WAIT);
        assert_eq!(world.said(ctx), []);
        world.connect_hidden(ctx);
        assert!(matches!(&world.said(ctx)[..], [(_, Body::Publish(_))]));
        outgoing::put(ctx, &BOB, &[DEVICE], Purpose::Entry(ENTRY), 1, Bytes::from_static(b"later")).unwrap();
        let said = world.said(ctx);
        assert!(matches!(&said[..], [(_, Body::Publish(_))]), "{said:?}");
        assert!(!world.meets_the_destination());
        // When it answers it is preferred again.
        let answer = world.decided(&parcel, stored());
        world.brings(ctx, Body::Forwarded(answer), &parcel);
        outgoing::put(ctx, &BOB, &[DEVICE], Purpose::Entry(ENTRY), 1, Bytes::from_static(b"last")).unwrap();
        world.handed(ctx);
    });
}

#[test]
fn what_a_home_relay_held_that_lost_its_disk_goes_again() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        let (request, parcel) = world.handed_over(ctx);
        world.waits(ctx, request, &parcel);
        lost(ctx, &id_of(&world.home)).unwrap();
        let (_, again) = world.handed(ctx);
        assert!(again.forward_id != parcel.forward_id);
    });
}

#[test]
fn one_of_which_nothing_is_heard_is_forgotten_and_goes_again() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        let (request, parcel) = world.handed_over(ctx);
        world.waits(ctx, request, &parcel);
        ctx.now = parcel.not_after.after(GRACE - SECOND);
        sweep(ctx).unwrap();
        assert_eq!(ctx.tx.forwards().unwrap().len(), 1);
        ctx.now = parcel.not_after.after(GRACE);
        sweep(ctx).unwrap();
        assert!(ctx.tx.forwards().unwrap().is_empty() && ctx.agenda.publish);
    });
}

#[test]
fn what_a_home_relay_says_that_it_may_not_ends_the_connection() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        let (request, parcel) = world.handed_over(ctx);
        let forged = Waiting { forward_id: parcel.forward_id, until: START }.sign(&world.destination);
        world.answers(ctx, request, Body::Waiting(wire::Waiting { notice: Some(forged.to_wire()) }));
        assert!(!world.links.is_ready(&world.home_link()));
        assert_eq!(delivery(ctx).0, Tick::Queued);
        world.connect(ctx);
        let (request, parcel) = world.handed(ctx);
        world.waits(ctx, request, &parcel);
        let letter = DeadLetter { forward_id: parcel.forward_id, reason: DeadLetterReason::Expired };
        let forged = letter.sign(&world.destination);
        world.answers(ctx, 0, Body::DeadLetter(wire::DeadLetter { notice: Some(forged.to_wire()) }));
        assert!(!world.links.is_ready(&world.home_link()));
        assert_eq!(delivery(ctx), (Tick::Waiting, None));
    });
}

/// Whatever the walk through the outbox thought when there was room yet.
#[test]
fn no_more_are_unanswered_than_may_be() {
    on_a_device(|ctx| {
        let mut world = World::new(ctx);
        world.gives_key(ctx);
        for n in 1..4 {
            write_to(ctx, UserId::new([n + 20; 32]), "Carol", grant(address_of(&world.destination)));
        }
        let home = id_of(&world.home);
        let answer = AnswerKey {
            relay: RelayId::new([9; 32]),
            forward_id: PublishId::new([0; 16]),
            counter: 0,
            key: Secret::new([1; 32]),
        };
        let (made, not_after) = (ctx.now, ctx.now.after(SEALED_LIFE));
        let mut other =
            StoredForward { answer, via: home, made, not_after, waits_until: None, items: Vec::new() };
        for n in 0..u16::try_from(FORWARDS_MAX - 2).unwrap() {
            other.answer.forward_id = PublishId::new([n.to_be_bytes(); 8].concat().try_into().unwrap());
            other.waits_until = Some(not_after);
            ctx.agenda.routing.note(&other);
        }
        let (request, parcel) = world.handed(ctx);
        world.waits(ctx, request, &parcel);
        assert_eq!(world.said(ctx), [], "there is room for one of another relay");
        assert!(!world.meets_the_destination());
        let answer = world.decided(&parcel, stored());
        world.brings(ctx, Body::Forwarded(answer), &parcel);
        world.handed(ctx);
    });
}
