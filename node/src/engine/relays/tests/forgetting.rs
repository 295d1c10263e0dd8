//! Home relays that lost what they held.

use super::*;

#[test]
fn one_that_has_forgotten_all_is_left_out_until_it_has_the_bundle_again() {
    on_a_device(|ctx| {
        let (mut links, user, first) = (links(ctx), friend(ctx), first(ctx));
        add(ctx, &mut links, 0);
        stored(ctx, &key(0));
        told(ctx, &user);
        forgotten(ctx, &first).unwrap();
        assert_eq!((offers(ctx), is_due(ctx, &user)), (vec![key(0)], true));
        told(ctx, &user);
        stored(ctx, &first);
        assert_eq!((offers(ctx), is_due(ctx, &user)), (vec![first, key(0)], true));
    });
}

/// Its senders would wait for what it held until that expires.
#[test]
fn where_the_only_one_has_forgotten_all_everybody_gets_another_token() {
    on_a_device(|ctx| {
        let (user, first) = (friend(ctx), first(ctx));
        let path = |ctx: &mut Context<'_>| {
            let contact = ctx.tx.contact(&user).unwrap().unwrap();
            let (_, grants) = own_addresses(ctx, &contact, &DeviceId::new([9; 32])).unwrap();
            grants.first().unwrap().token.path().to_vec()
        };
        let before = path(ctx);
        forgotten(ctx, &first).unwrap();
        assert_eq!((offers(ctx), is_due(ctx, &user)), (vec![first], true));
        let once = path(ctx);
        assert!(once.starts_with(&before) && once.len() == before.len() + 1);
        told(ctx, &user);
        forgotten(ctx, &first).unwrap();
        let mut links = links(ctx);
        let look = |ctx: &mut Context<'_>, links: &mut Links| {
            sweep(ctx, links, &mut Outputs::default()).unwrap();
        };
        ctx.now = START.after(HOME_RELAY_WAIT - Duration::from_secs(1));
        look(ctx, &mut links);
        assert_eq!((path(ctx), is_due(ctx, &user)), (once.clone(), false), "not again and again");
        // Also where the device starts in between.
        ctx.agenda.forgotten.clear();
        ctx.now = START.after(HOME_RELAY_WAIT);
        look(ctx, &mut links);
        let again = path(ctx);
        assert!(again.starts_with(&before) && again.len() == once.len() && again != once);
        assert!(is_due(ctx, &user));
        ctx.now = START.after(HOME_RELAY_WAIT * 2);
        look(ctx, &mut links);
        assert_eq!(path(ctx), again, "it forgot twice, not three times");
    });
}

/// Nobody knows another one yet.
#[test]
fn one_that_was_given_up_and_still_serves_alone_has_forgotten_all() {
    on_a_device(|ctx| {
        let (mut links, user, first) = (links(ctx), friend(ctx), first(ctx));
        relay_commands::move_to(ctx, &mut links, &address(0), &mut Outputs::default())
            .unwrap()
            .map(drop)
            .unwrap();
        let renewed = |ctx: &Context<'_>| ctx.tx.home_relay(&first).unwrap().unwrap().renewed;
        assert_eq!((offers(ctx), is_due(ctx, &user), renewed(ctx)), (vec![first], false, None));
        forgotten(ctx, &first).unwrap();
        assert_eq!((offers(ctx), is_due(ctx, &user)), (vec![first], true));
        assert!(renewed(ctx).is_some());
        // The one in its place, of which nobody knows, has nothing to lose.
        told(ctx, &user);
        forgotten(ctx, &key(0)).unwrap();
        assert!(!is_due(ctx, &user));
    });
}

#[test]
fn a_bundle_that_is_not_the_newest_any_more_counts_as_none() {
    on_a_device(|ctx| {
        let (mut links, first) = (links(ctx), first(ctx));
        stored(ctx, &first);
        let before = bundle_of(ctx, ctx.now).unwrap();
        add(ctx, &mut links, 0);
        stored(ctx, &key(0));
        bundle_stored(ctx, &first, &before).unwrap();
        assert!(!ctx.tx.home_relay(&first).unwrap().unwrap().bundle_stored, "it lacks the new mailbox");
        stored(ctx, &first);
        assert!(ctx.tx.home_relay(&first).unwrap().unwrap().bundle_stored);
    });
}

#[test]
fn one_that_forgets_again_and_again_moves_nobody_again_and_again() {
    on_a_device(|ctx| {
        let (mut links, user, first) = (links(ctx), friend(ctx), first(ctx));
        add(ctx, &mut links, 0);
        stored(ctx, &key(0));
        forgotten(ctx, &first).unwrap();
        stored(ctx, &first);
        told(ctx, &user);
        ctx.now = START.after(HOME_RELAY_WAIT - Duration::from_secs(1));
        forgotten(ctx, &first).unwrap();
        assert_eq!((offers(ctx), is_due(ctx, &user)), (vec![first, key(0)], false));
        ctx.now = START.after(HOME_RELAY_WAIT);
        sweep(ctx, &mut links, &mut Outputs::default()).unwrap();
        assert_eq!((offers(ctx), is_due(ctx, &user)), (vec![key(0)], true), "but when it is time");
    });
}
