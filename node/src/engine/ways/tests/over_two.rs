//! Ways over two relays.

use ed25519_dalek::SigningKey;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use undertone_protocol::federation::{AnswerKey, RoutingKey, RoutingSecret};
use undertone_protocol::ids::PayloadHash;

use super::*;
use crate::engine::fetches::Fetches;
use crate::engine::frames;
use crate::engine::publish::{self, Walk};
use crate::engine::routing::FORWARDS_MAX;
use crate::engine::types::NetOutput;
use crate::store::{SentItem, StoredForward};

/// A home relay that serves.
fn at_home(links: &mut Links, address: &RelayAddress) {
    links.want_home(address, START);
    let home = LinkId::home(address.relay);
    links.up(&home, START, &mut Outputs::default());
    let link = links.get_mut(&home).unwrap();
    assert!(link.greeted(START));
    link.attached(START);
}

/// These home relays serve.
pub(super) fn at_homes(ctx: &mut Context<'_>, homes: &[u8]) -> Links {
    let mut links = Links::new(ctx.rng);
    homes.iter().for_each(|n| at_home(&mut links, &grant(*n, 0, 1).mailbox.relay));
    links.told();
    links
}

/// A relay that has a key.
pub(super) fn keyed(n: u8) -> RelayId {
    RelayId::new(SigningKey::from_bytes(&[n; 32]).verifying_key().to_bytes())
}

pub(super) fn grant_at(relay: RelayId, priority: u32) -> DeliveryGrant {
    let mut grant = grant(11, priority, 1);
    grant.mailbox.relay.relay = relay;
    grant
}

/// At two relays that have keys; the first is preferred.
pub(super) fn grants_of_keys() -> [DeliveryGrant; 2] {
    [grant_at(keyed(11), 0), grant_at(keyed(12), 1)]
}

/// The routing keys of relays are there.
pub(super) fn know_keys(ctx: &mut Context<'_>, relays: &[u8]) {
    let secret = RoutingSecret::random(&mut ChaCha20Rng::seed_from_u64(1));
    for n in relays {
        let key = RoutingKey::issue(&SigningKey::from_bytes(&[*n; 32]), &secret, START);
        ctx.agenda.routing.found(key, START);
    }
}

/// The relay that something goes to, and the home relay over which.
pub(super) fn goes_by(
    ctx: &mut Context<'_>,
    links: &mut Links,
    grants: &[DeliveryGrant],
    tried: &Tried,
) -> Option<(RelayId, Option<RelayId>)> {
    match way(ctx, links, grants, (None, &DEVICE), tried) {
        Way::By { grant, via, .. } => Some((grant.mailbox.relay.relay, via)),
        Way::Later(_) => None,
    }
}

#[test]
fn a_relay_that_this_device_sees_down_is_passed_over_at_once() {
    on_a_device(|ctx| {
        let grants = grants_of_keys();
        let [first, second] = grants.each_ref().map(|grant| grant.mailbox.relay.relay);
        let mut links = Links::new(ctx.rng);
        grants.iter().for_each(|grant| at_home(&mut links, &grant.mailbox.relay));
        let goes = |ctx: &mut Context<'_>, links: &mut Links| goes_by(ctx, links, &grants, &Tried::default());
        assert_eq!(goes(ctx, &mut links), None, "their keys are asked for");
        know_keys(ctx, &[11, 12]);
        assert_eq!(goes(ctx, &mut links), Some((first, Some(second))));
        links.down(&LinkId::home(first), "it died", START);
        // No other one is left that could forward to the second: that is called under another key.
        goes(ctx, &mut links);
        let hidden = LinkId::hidden(second);
        links.up(&hidden, START, &mut Outputs::default());
        assert!(links.greeted(&hidden, START));
        assert_eq!(goes(ctx, &mut links), Some((second, None)));
    });
}

/// A home relay holds something for a relay.
pub(super) fn hold(ctx: &mut Context<'_>, outbox: u64, relay: RelayId, via: RelayId) -> StoredForward {
    let items =
        vec![SentItem { outbox, payload_hash: PayloadHash::of(b""), devices: vec![DEVICE], tokens: vec![] }];
    let forward_id = PublishId::random(ctx.rng);
    let answer = AnswerKey { relay, forward_id, counter: 0, key: Secret::new([1; 32]) };
    let (made, later) = (ctx.now, ctx.now.after(MINUTE * 60));
    let forward = StoredForward { answer, via, made, not_after: later, waits_until: Some(later), items };
    ctx.agenda.routing.note(&forward);
    forward
}

#[test]
fn a_home_relay_that_reaches_no_other_one_is_passed_by() {
    on_a_device(|ctx| {
        let grants = grants_of_keys();
        let [first, second] = grants.each_ref().map(|grant| grant.mailbox.relay.relay);
        let mut links = at_homes(ctx, &[1, 2]);
        know_keys(ctx, &[11, 12]);
        let goes =
            |ctx: &mut Context<'_>, links: &mut Links, tried: &Tried| goes_by(ctx, links, &grants, tried);
        let (cut, good) = (relay(1), relay(2));
        assert_eq!(goes(ctx, &mut links, &Tried::default()), Some((first, Some(cut))));
        hold(ctx, 1, first, cut);
        assert!(Tried::of(ctx, &links, 1, DEVICE).is_none(), "it has just gone");
        ctx.now = ctx.now.after(FALL_OVER_WAIT);
        assert_eq!(goes(ctx, &mut links, &Tried::default()), Some((second, Some(good))), "what is new");
        // What is held goes to the other mailbox, and at last to each over each home relay; straight only much later.
        for (to, via) in [(second, good), (first, good), (second, cut)] {
            let tried = Tried::of(ctx, &links, 1, DEVICE).unwrap();
            assert_eq!(goes(ctx, &mut links, &tried), Some((to, Some(via))));
            hold(ctx, 1, to, via);
            ctx.now = ctx.now.after(FALL_OVER_WAIT);
        }
        let tried = Tried::of(ctx, &links, 1, DEVICE).unwrap();
        assert_eq!(goes(ctx, &mut links, &tried), None);
        let hidden = LinkId::hidden(first);
        assert!(
            [first, second].iter().all(|relay| links.get(&LinkId::hidden(*relay)).is_none()),
            "neither was called"
        );
        links.want(&grants[0].mailbox.relay, START);
        links.up(&hidden, START, &mut Outputs::default());
        assert!(links.greeted(&hidden, START));
        ctx.now = START.after(CUSTODIAN_WAIT);
        let tried = Tried::of(ctx, &links, 1, DEVICE).unwrap();
        assert_eq!(goes(ctx, &mut links, &tried), Some((first, None)));
    });
}

/// Something comes from a home relay.
fn speaks(ctx: &mut Context<'_>, links: &mut Links, home: RelayId) {
    let link = LinkId::home(home);
    links.get_mut(&link).unwrap().heard(ctx.now);
    let frame = wire::Frame { request: 0, body: Some(Body::Pong(wire::Pong { nonce: ctx.now.as_ms() })) };
    let (mut fetches, mut out) = (Fetches::default(), Outputs::default());
    frames::frame(ctx, links, &mut fetches, link, frame, &mut out).unwrap();
}

/// Whom it asks whether they are there.
fn asked(ctx: &mut Context<'_>, links: &mut Links) -> Vec<LinkId> {
    let (mut walk, mut out) = (Walk::default(), Outputs::default());
    ctx.agenda.publish = true;
    publish::publish(ctx, links, &mut walk, &mut out).unwrap();
    let asked = out.net.iter().filter_map(|output| match output {
        NetOutput::Send { link, frame } if matches!(frame.body, Some(Body::Ping(_))) => Some(*link),
        _ => None,
    });
    asked.collect()
}

/// One of two home relays reaches users, and no other relay.
#[test]
fn a_home_relay_that_another_one_does_not_reach_serves_as_soon_as_it_answers_this_device() {
    on_a_device(|ctx| {
        let mut links = at_homes(ctx, &[1, 2]);
        let (cut, good, far) = (relay(1), relay(2), keyed(11));
        let to_far = [grant_at(far, 0)];
        know_keys(ctx, &[11]);
        // Something for somebody who is at the other one alone, and something for somebody elsewhere.
        hold(ctx, 1, good, cut);
        hold(ctx, 2, far, cut);
        ctx.now = START.after(FALL_OVER_WAIT);
        let goes = |ctx: &mut Context<'_>, links: &mut Links| {
            let tried = Tried::of(ctx, links, 2, DEVICE).unwrap();
            goes_by(ctx, links, &to_far, &tried)
        };
        assert_eq!(goes(ctx, &mut links), None, "it may hang");
        assert_eq!(asked(ctx, &mut links), [LinkId::home(good)]);
        assert_eq!(asked(ctx, &mut links), [], "once");
        ctx.now = ctx.now.after(Duration::from_millis(100));
        ctx.agenda.publish = false;
        speaks(ctx, &mut links, cut);
        assert!(!ctx.agenda.publish, "that opens nothing");
        speaks(ctx, &mut links, good);
        assert!(ctx.agenda.publish, "what waits goes now");
        assert_eq!(goes(ctx, &mut links), Some((far, Some(good))));
        assert_eq!(
            goes_by(ctx, &mut links, &to_far, &Tried::default()),
            Some((far, Some(good))),
            "what is new"
        );
        // However long that other thing waits.
        ctx.now = ctx.now.after(MINUTE * 9);
        assert_eq!(goes(ctx, &mut links), Some((far, Some(good))));
        assert_eq!(asked(ctx, &mut links), []);
    });
}

/// Or each message would first be handed to it, and wait there.
#[test]
fn a_home_relay_that_hangs_is_not_used_before_it_speaks() {
    on_a_device(|ctx| {
        let mut links = at_homes(ctx, &[1, 2]);
        let (good, hangs, far) = (relay(2), relay(1), keyed(11));
        let to_far = [grant_at(far, 0)];
        know_keys(ctx, &[11]);
        ctx.now = START.after(MINUTE);
        speaks(ctx, &mut links, good);
        hold(ctx, 1, hangs, good);
        ctx.now = ctx.now.after(FALL_OVER_WAIT);
        assert_eq!(goes_by(ctx, &mut links, &to_far, &Tried::default()), Some((far, Some(good))));
        for _ in 0..2 {
            assert_eq!(asked(ctx, &mut links), [LinkId::home(hangs)], "again and again");
            ctx.now = ctx.now.after(FALL_OVER_WAIT);
        }
        // It spoke, and hangs again.
        speaks(ctx, &mut links, hangs);
        assert_eq!(asked(ctx, &mut links), []);
        ctx.now = ctx.now.after(MINUTE);
        hold(ctx, 2, hangs, good);
        ctx.now = ctx.now.after(FALL_OVER_WAIT);
        assert_eq!(asked(ctx, &mut links), [LinkId::home(hangs)]);
        assert_eq!(goes_by(ctx, &mut links, &to_far, &Tried::default()), Some((far, Some(good))));
    });
}

#[test]
fn relays_that_never_answer_leave_others_room() {
    on_a_device(|ctx| {
        let mut links = at_homes(ctx, &[1]);
        let (home, far, dead) = (relay(1), keyed(11), 20..28);
        know_keys(ctx, &[11, 20, 21, 22, 23, 24, 25, 26, 27]);
        let goes = |ctx: &mut Context<'_>, links: &mut Links, relay: RelayId| {
            goes_by(ctx, links, &[grant_at(relay, 0)], &Tried::default())
        };
        let mut held = 0;
        for dead in dead.clone().map(keyed) {
            while goes(ctx, &mut links, dead) == Some((dead, Some(home))) {
                hold(ctx, held, dead, home);
                held += 1;
            }
        }
        assert!(held > 400, "{held} are not bounded by too little");
        for wait in [Duration::ZERO, FALL_OVER_WAIT, CUSTODIAN_WAIT] {
            ctx.now = START.after(wait);
            assert_eq!(goes(ctx, &mut links, far), Some((far, Some(home))), "{wait:?}");
        }
        // Only what is for them goes straight, now that this is late.
        assert_eq!(goes(ctx, &mut links, keyed(20)), None);
        let is_called = |relay: RelayId| links.get(&LinkId::hidden(relay)).is_some();
        assert!(is_called(keyed(20)) && !is_called(far));
    });
}

#[test]
fn where_nothing_more_may_be_unanswered_what_is_new_waits_as_long_as_something_may_be_answered() {
    on_a_device(|ctx| {
        let mut links = at_homes(ctx, &[1]);
        let (home, far) = (relay(1), keyed(11));
        know_keys(ctx, &[11]);
        let to_far = [grant_at(far, 0)];
        let mut last = None;
        for n in 0..FORWARDS_MAX {
            let mut id = [9; 32];
            id[..8].copy_from_slice(&n.to_be_bytes());
            last = Some(hold(ctx, 1 + u64::try_from(n).unwrap(), RelayId::new(id), home));
        }
        let waits = way(ctx, &mut links, &to_far, (None, &DEVICE), &Tried::default());
        assert!(matches!(waits, Way::Later(Some(at)) if at == START.after(FALL_OVER_WAIT)));
        let is_called = |links: &Links| links.get(&LinkId::hidden(far)).is_some();
        assert!(!is_called(&links));
        ctx.agenda.routing.forget(&last.unwrap());
        assert_eq!(goes_by(ctx, &mut links, &to_far, &Tried::default()), Some((far, Some(home))));
        hold(ctx, 0, far, home);
        ctx.now = START.after(FALL_OVER_WAIT);
        assert_eq!(goes_by(ctx, &mut links, &[grant_at(keyed(12), 0)], &Tried::default()), None);
        assert!(links.get(&LinkId::hidden(keyed(12))).is_some(), "none of them is answered");
    });
}
