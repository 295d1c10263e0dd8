//! How home relays end that were given up.

use super::*;

/// What a sweep says to relays.
fn swept(ctx: &mut Context<'_>, links: &mut Links) -> Vec<Body> {
    let mut out = Outputs::default();
    sweep(ctx, links, &mut out).unwrap();
    let frames = out.net.into_iter().filter_map(|output| match output {
        NetOutput::Send { frame, .. } => frame.body,
        _ => None,
    });
    frames.collect()
}

#[test]
fn one_that_was_given_up_ends_two_weeks_after_the_last_contact_was_told() {
    on_a_device(|ctx| {
        let (mut links, user) = (links(ctx), friend(ctx));
        let (first, mut out) = (first(ctx), Outputs::default());
        add(ctx, &mut links, 0);
        stored(ctx, &key(0));
        told(ctx, &user);
        relay_commands::remove(ctx, &mut links, &first.to_hex()[..8], &mut out).unwrap().map(drop).unwrap();
        assert_eq!(offers(ctx), [key(0)]);
        assert!(is_due(ctx, &user));
        registered(ctx, &first);
        let is_there = |ctx: &mut Context<'_>, links: &mut Links, days: u32| {
            ctx.now = START.after(DAY * days);
            sweep(ctx, links, &mut Outputs::default()).unwrap();
            ctx.tx.home_relay(&first).unwrap().is_some()
        };
        assert!(is_there(ctx, &mut links, 10));
        told(ctx, &user);
        assert!(is_there(ctx, &mut links, 23));
        assert!(is_there(ctx, &mut links, 24), "nothing is known of it yet");
        ready(ctx, &mut links, &key(0));
        links.down(&LinkId::home(first), "nobody listens there", ctx.now);
        assert!(!is_there(ctx, &mut links, 24));
        assert!(links.get(&LinkId::home(first)).is_none());
    });
}

/// Or it would be kept for ever, as somebody's device never comes back.
#[test]
fn nobody_who_can_not_be_told_keeps_a_relay() {
    on_a_device(|ctx| {
        let mut links = links(ctx);
        friend(ctx);
        let (first, mut out) = (first(ctx), Outputs::default());
        add(ctx, &mut links, 0);
        stored(ctx, &key(0));
        relay_commands::remove(ctx, &mut links, &first.to_hex(), &mut out).unwrap().map(drop).unwrap();
        for day in 1..=36 {
            ctx.now = START.after(DAY * day);
            sweep(ctx, &mut links, &mut out).unwrap();
            assert_eq!(ctx.tx.home_relay(&first).unwrap().is_some(), day < 34, "day {day}");
        }
    });
}

#[test]
fn one_that_answers_is_cleared_before_it_is_forgotten() {
    on_a_device(|ctx| {
        let mut links = links(ctx);
        let (first, mut out) = (first(ctx), Outputs::default());
        add(ctx, &mut links, 0);
        stored(ctx, &key(0));
        relay_commands::remove(ctx, &mut links, &first.to_hex(), &mut out).unwrap().map(drop).unwrap();
        registered(ctx, &first);
        let home = ctx.tx.home_relay(&first).unwrap().unwrap();
        ctx.now = START.after(DAY * 15);
        ready(ctx, &mut links, &first);
        let frames = swept(ctx, &mut links);
        assert!(matches!(&frames[..], [Body::Register(shut), Body::PutBundle(put)]
            if shut.epoch == home.epoch + 1 && shut.secret != home.secret.expose()[..] && put.bundle.is_empty()));
        assert!(swept(ctx, &mut links).is_empty(), "once");
        assert!(ctx.tx.home_relay(&first).unwrap().is_some());
        cleared(ctx, &mut links, &first, &mut out).unwrap();
        assert_eq!(ctx.tx.home_relays().unwrap().len(), 1);
    });
}

#[test]
fn one_that_is_taken_again_while_it_is_cleared_stays() {
    on_a_device(|ctx| {
        let (mut links, user, first) = (links(ctx), friend(ctx), first(ctx));
        let mut out = Outputs::default();
        add(ctx, &mut links, 0);
        stored(ctx, &key(0));
        told(ctx, &user);
        registered(ctx, &first);
        relay_commands::remove(ctx, &mut links, &first.to_hex(), &mut out).unwrap().map(drop).unwrap();
        told(ctx, &user);
        ctx.now = START.after(DAY * 15);
        ready(ctx, &mut links, &first);
        let frames = swept(ctx, &mut links);
        let [Body::Register(shut), Body::PutBundle(_)] = &frames[..] else { panic!("{frames:?}") };
        let address = ctx.tx.home_relay(&first).unwrap().unwrap().address;
        take_again(ctx, &mut links, address);
        let home = ctx.tx.home_relay(&first).unwrap().unwrap();
        assert_eq!((shut.epoch, &shut.secret[..]), (home.epoch, &home.secret.expose()[..]));
        assert_eq!(offers(ctx), [key(0)], "nobody finds it there before it has the bundle");
        cleared(ctx, &mut links, &first, &mut out).unwrap();
        let home = ctx.tx.home_relay(&first).unwrap().unwrap();
        assert!(home.stays() && !home.bundle_stored && ctx.agenda.prekeys.contains(&first));
        stored(ctx, &first);
        assert_eq!((offers(ctx), is_due(ctx, &user)), (vec![first, key(0)], true));
    });
}

fn take_again(ctx: &mut Context<'_>, links: &mut Links, address: RelayAddress) {
    let home = ctx.tx.home_relay(&address.relay).unwrap().unwrap();
    assert!(change(ctx, links, &home, NamedRelay { address, invitation: Bytes::new() }, None).unwrap());
}
