//! How quickly relays answer what goes to them over another one.

use super::over_two::{at_homes, goes_by, grant_at, grants_of_keys, hold, keyed, know_keys};
use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Something goes over a home relay to a relay, which answers after so long.
fn answers(ctx: &mut Context<'_>, relay: RelayId, via: RelayId, after: Duration) {
    let forward = hold(ctx, 1, relay, via);
    ctx.now = ctx.now.after(after);
    ctx.agenda.routing.answered(&forward.answer.forward_id, START, ctx.now);
    ctx.agenda.routing.forget(&forward);
}

#[test]
fn a_slow_one_is_avoided_for_a_while_and_of_equals_the_quickest_serves_over_two_relays_too() {
    on_a_device(|ctx| {
        let mut links = at_homes(ctx, &[1]);
        let home = relay(1);
        let grants = grants_of_keys();
        let [first, second] = grants.each_ref().map(|grant| grant.mailbox.relay.relay);
        know_keys(ctx, &[11, 12]);
        let goes = |ctx: &mut Context<'_>, links: &mut Links, grants: &[DeliveryGrant]| {
            goes_by(ctx, links, grants, &Tried::default())
        };
        answers(ctx, first, home, SECOND * 4);
        answers(ctx, second, home, SECOND);
        assert_eq!(goes(ctx, &mut links, &grants), Some((second, Some(home))));
        ctx.now = ctx.now.after(MINUTE * 10);
        assert_eq!(goes(ctx, &mut links, &grants), Some((first, Some(home))), "it is forgotten");
        let equals = [grant_at(first, 3), grant_at(second, 3)];
        answers(ctx, first, home, SECOND * 4 / 10);
        assert_eq!(goes(ctx, &mut links, &equals), Some((second, Some(home))));
        answers(ctx, second, home, SECOND * 9 / 10);
        assert_eq!(goes(ctx, &mut links, &equals), Some((first, Some(home))));
        // A slow one goes before a straight way, and nothing is called for it.
        answers(ctx, first, home, SECOND * 20);
        assert_eq!(goes(ctx, &mut links, &grants[..1]), Some((first, Some(home))));
        assert!([first, second].iter().all(|relay| links.get(&LinkId::hidden(*relay)).is_none()));
    });
}

#[test]
fn of_home_relays_that_serves_over_which_the_answer_comes_sooner() {
    on_a_device(|ctx| {
        let mut links = at_homes(ctx, &[1, 2]);
        let (slow, quick) = (relay(1), relay(2));
        let (far, other) = (keyed(11), keyed(12));
        know_keys(ctx, &[11, 12]);
        let goes = |ctx: &mut Context<'_>, links: &mut Links, to: RelayId| {
            goes_by(ctx, links, &[grant_at(to, 0)], &Tried::default())
        };
        assert_eq!(goes(ctx, &mut links, far), Some((far, Some(slow))));
        answers(ctx, far, slow, SECOND * 3);
        answers(ctx, far, quick, SECOND);
        assert_eq!(goes(ctx, &mut links, far), Some((far, Some(quick))));
        assert_eq!(goes(ctx, &mut links, other), Some((other, Some(slow))), "that says nothing of others");
    });
}

/// It was dead, and is there again: how long it was dead says nothing.
#[test]
fn what_was_held_for_one_that_was_away_counts_for_nothing() {
    on_a_device(|ctx| {
        let mut links = at_homes(ctx, &[1]);
        let home = relay(1);
        let grants = grants_of_keys();
        let [first, second] = grants.each_ref().map(|grant| grant.mailbox.relay.relay);
        know_keys(ctx, &[11, 12]);
        let goes = |ctx: &mut Context<'_>, links: &mut Links| goes_by(ctx, links, &grants, &Tried::default());
        answers(ctx, first, home, SECOND / 2);
        let forward = hold(ctx, 1, first, home);
        for _ in 0..9 {
            ctx.now = ctx.now.after(FALL_OVER_WAIT);
            assert_eq!(goes(ctx, &mut links), Some((second, Some(home))));
        }
        ctx.agenda.routing.answered(&forward.answer.forward_id, START, ctx.now);
        ctx.agenda.routing.forget(&forward);
        assert_eq!(goes(ctx, &mut links), Some((first, Some(home))), "at once");
        assert_eq!(ctx.agenda.routing.latency(&home, &first, ctx.now), Some(SECOND / 2));
        // So it is with what this device could not hear of in time.
        let forward = hold(ctx, 1, first, home);
        ctx.now = ctx.now.after(SECOND * 4);
        ctx.agenda.routing.answered(&forward.answer.forward_id, ctx.now, ctx.now);
        ctx.agenda.routing.forget(&forward);
        assert_eq!(ctx.agenda.routing.latency(&home, &first, ctx.now), Some(SECOND / 2));
    });
}

#[test]
fn what_is_known_of_how_quickly_relays_answer_is_bounded() {
    on_a_device(|ctx| {
        let id = |n: u16| RelayId::new([n.to_be_bytes(); 16].concat().try_into().unwrap());
        let known = |ctx: &Context<'_>, n: u16| ctx.agenda.routing.latency(&relay(1), &id(n), ctx.now);
        for n in 0..1_024 {
            answers(ctx, id(n), relay(1), Duration::from_millis(100));
        }
        answers(ctx, id(0), relay(1), Duration::from_millis(100));
        assert!(known(ctx, 0).is_some() && known(ctx, 1).is_some());
        answers(ctx, id(1_024), relay(1), Duration::from_millis(100));
        assert!(known(ctx, 0).is_some() && known(ctx, 1).is_none() && known(ctx, 1_024).is_some());
        ctx.agenda.routing.set_back(MINUTE);
        ctx.now = ctx.now.before(MINUTE).after(MINUTE * 10);
        assert!(known(ctx, 1_024).is_none(), "it is forgotten in time all the same");
    });
}
