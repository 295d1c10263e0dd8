use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use undertone_protocol::ids::{Handle, Locator, Secret};
use undertone_protocol::keys::{BundleAccess, Name, RelayAddress};

use super::super::bundles::{fetch_due, refused};
use super::super::context::Context;
use super::super::tests::{START, on_a_device};
use super::super::types::Outputs;
use super::*;
use crate::LinkId;
use crate::store::ContactState;

fn relay(n: u8) -> RelayAddress {
    RelayAddress { relay: RelayId::new([n; 32]), addresses: vec!["/ip4/127.0.0.1/tcp/1".to_owned()] }
}

/// A contact of whose device nothing is known but at which relays its bundle is.
fn contact(ctx: &mut Context<'_>, n: u8, relays: &[u8]) {
    let (user, device) = (UserId::new([n; 32]), DeviceId::new([n; 32]));
    let (name, token) = (Name::new(&format!("friend {n}")).unwrap(), Handle::random(ctx.rng));
    let access = |at: &u8| BundleAccess {
        device,
        relay: relay(*at),
        locator: Locator::new([n; 32]),
        key: Secret::new([n; 32]),
    };
    let bundles = relays.iter().map(access).collect();
    let contact = Contact::new(user, name, ContactState::Accepted, token, START);
    ctx.tx.put_contact(&Contact { bundles, ..contact }).unwrap();
    ctx.agenda.fetch.insert(user);
}

/// Connections that are ready.
fn ready(relays: &[u8]) -> Links {
    let mut links = Links::new(&mut ChaCha20Rng::seed_from_u64(1));
    for n in relays {
        links.want(&relay(*n), START);
        greet(&mut links, *n);
    }
    links
}

fn greet(links: &mut Links, n: u8) {
    let link = LinkId::hidden(relay(n).relay);
    links.up(&link, START, &mut Outputs::default());
    assert!(links.get_mut(&link).unwrap().greeted(START));
}

/// Does all that is due now.
fn fetch(ctx: &mut Context<'_>, links: &mut Links, fetches: &mut Fetches) {
    for step in 0.. {
        assert!(step < 100, "it is never done");
        fetch_due(ctx, links, fetches, &mut Outputs::default()).unwrap();
        if fetches.next_deadline().is_none_or(|at| at > ctx.now) {
            return;
        }
    }
}

/// How many bundles a relay is being asked for.
fn asked(links: &Links, n: u8) -> usize {
    links
        .get(&LinkId::hidden(relay(n).relay))
        .unwrap()
        .questions
        .count(|asked| matches!(asked, Asked::FetchBundle(_)))
}

/// A relay's answer to its first question, by its number.
fn want(links: &mut Links, n: u8, request: u64) -> BundleWant {
    match links.answered(&LinkId::hidden(relay(n).relay), request, START) {
        Some(Asked::FetchBundle(want)) => want,
        other => panic!("it was asked {other:?}"),
    }
}

#[test]
fn a_relay_that_gives_nothing_holds_up_no_other() {
    on_a_device(|ctx| {
        (1..=150).for_each(|n| contact(ctx, n, &[1]));
        contact(ctx, 200, &[2]);
        let (mut links, mut fetches) = (ready(&[1, 2]), Fetches::default());
        fetch(ctx, &mut links, &mut fetches);
        assert_eq!((asked(&links, 1), asked(&links, 2)), (ASKED_MAX, 1));
        // As it answers it is asked for the others, each once.
        for request in 1..=150 {
            let want = want(&mut links, 1, request);
            assert_eq!(want.user, UserId::new([u8::try_from(request).unwrap(); 32]));
            refused(ctx, &mut fetches, &want).unwrap();
            fetch(ctx, &mut links, &mut fetches);
        }
        assert_eq!((asked(&links, 1), asked(&links, 2)), (0, 1));
    });
}

#[test]
fn what_could_not_be_asked_is_asked_when_the_relay_is_there() {
    on_a_device(|ctx| {
        (1..=100).for_each(|n| contact(ctx, n, &[1]));
        let mut links = Links::new(&mut ChaCha20Rng::seed_from_u64(1));
        let mut fetches = Fetches::default();
        fetch(ctx, &mut links, &mut fetches);
        assert_eq!(asked(&links, 1), 0);
        assert_eq!(fetches.next_deadline(), Some(START.after(ROUND)), "whatever else happens");
        links.tick(ctx.now, &mut Outputs::default());
        greet(&mut links, 1);
        fetches.relay_is_up();
        fetch(ctx, &mut links, &mut fetches);
        assert_eq!(asked(&links, 1), ASKED_MAX);
        // What was on its way is asked anew, and what waited for it.
        links.down(&LinkId::hidden(relay(1).relay), "the cable", ctx.now);
        greet(&mut links, 1);
        fetches.relay_is_up();
        fetch(ctx, &mut links, &mut fetches);
        assert_eq!(asked(&links, 1), ASKED_MAX);
    });
}

/// A relay that is not wanted any more, with a place that went to another one, is wanted again.
#[test]
fn all_are_looked_at_again_after_a_while() {
    on_a_device(|ctx| {
        contact(ctx, 1, &[1]);
        let (mut links, mut fetches) = (ready(&[2]), Fetches::default());
        fetch(ctx, &mut links, &mut fetches);
        let mut links = ready(&[1]);
        fetch(ctx, &mut links, &mut fetches);
        assert_eq!(asked(&links, 1), 0);
        ctx.now = fetches.next_deadline().unwrap();
        fetch(ctx, &mut links, &mut fetches);
        assert_eq!(asked(&links, 1), 1);
    });
}

#[test]
fn a_relay_that_was_asked_for_too_many_is_left_alone_for_a_while() {
    on_a_device(|ctx| {
        (1..=3).for_each(|n| contact(ctx, n, &[1]));
        contact(ctx, 4, &[1, 2]);
        let (mut links, mut fetches) = (ready(&[1]), Fetches::default());
        fetch(ctx, &mut links, &mut fetches);
        assert_eq!(asked(&links, 1), 4);
        let minute = Duration::from_secs(60);
        for request in 1..=4 {
            let want = want(&mut links, 1, request);
            fetches.pause(&relay(1).relay, minute, want.user, ctx.now);
            fetch(ctx, &mut links, &mut fetches);
        }
        assert_eq!(asked(&links, 1), 0);
        assert_eq!(ctx.agenda.unfetchable.len(), 3, "what is for others goes on");
        // One can be had of another relay.
        greet(&mut links, 2);
        fetches.relay_is_up();
        fetch(ctx, &mut links, &mut fetches);
        assert_eq!((asked(&links, 1), asked(&links, 2)), (0, 1));
        ctx.now = START.after(minute);
        fetch(ctx, &mut links, &mut fetches);
        assert_eq!((asked(&links, 1), asked(&links, 2)), (3, 1));
    });
}
