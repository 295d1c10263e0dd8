//! What relays refuse that goes to members.

use super::*;

/// This device told two members what it has of theirs.
fn acknowledges(ctx: &mut Context<'_>, group: &Group) {
    let mut delivered = Frontier::default();
    for seed in 1..3 {
        delivered.set(device(seed).device(), FrontierItem { seq: 1, ..FrontierItem::default() });
    }
    let fields = AcknowledgementFields {
        conversation: group.id,
        device: ctx.me.device,
        counter: 1,
        read: delivered.clone(),
        delivered,
        at: ctx.now,
        authors: Authors::default(),
    };
    ctx.tx.put_acknowledgement(&Acknowledgement::issue(&ctx.me.key, fields)).unwrap();
}

/// Whose messages count as told of.
fn told_of(ctx: &Context<'_>, group: &Group) -> Vec<DeviceId> {
    let told = ctx.tx.acknowledgement(&group.id, &ctx.me.device).unwrap().unwrap().fields;
    let [delivered, read] =
        [told.delivered, told.read].map(|told| told.items().map(|(device, _)| *device).collect::<Vec<_>>());
    assert_eq!(delivered, read);
    delivered
}

/// Or what a relay refused of an acknowledgement would never come, as it is no news.
#[test]
fn who_was_told_by_a_token_that_a_relay_refuses_is_told_again() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        gives(ctx, &group, 1, 7);
        acknowledges(ctx, &group);
        not_reached(ctx, &group.id, (&identity(1).user(), &device(1).device()), &mailbox(1, 7).token)
            .unwrap();
        assert_eq!(told_of(ctx, &group), [device(2).device()]);
        assert!(ctx.tx.own_receipts(&group.id).unwrap().due);
    });
}

/// Then there is no way that is left, so it is not told at once.
#[test]
fn what_is_refused_by_the_token_of_a_contact_too_counts_as_not_told() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        acknowledges(ctx, &group);
        not_reached(ctx, &group.id, (&identity(1).user(), &device(1).device()), &mailbox(1, 8).token)
            .unwrap();
        assert_eq!(told_of(ctx, &group), [device(2).device()]);
        assert!(!ctx.tx.own_receipts(&group.id).unwrap().due);
    });
}

/// It may have been refused before, and is no news; and of what was refused nothing is due before.
#[test]
fn a_contact_who_gives_new_tokens_is_told_what_is_held_of_theirs_in_common_groups() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        gives(ctx, &group, 1, 7);
        let again = |ctx: &mut Context<'_>| {
            ctx.tx.put_own_receipts(&group.id, &OwnReceipts::default()).unwrap();
            introduce_again(ctx, &identity(1).user(), &[device(1).device()].into()).unwrap();
            assert_eq!(told_of(ctx, &group), [device(2).device()]);
            assert!(ctx.tx.own_receipts(&group.id).unwrap().due);
        };
        acknowledges(ctx, &group);
        again(ctx);
        again(ctx);
    });
}

/// Or all that goes to a member would be refused for good.
#[test]
fn a_token_that_a_relay_refuses_is_given_up_and_another_asked_for() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        gives(ctx, &group, 1, 7);
        let who = (identity(1).user(), device(1).device());
        ctx.agenda.updates.clear();
        not_reached(ctx, &group.id, (&who.0, &who.1), &mailbox(1, 8).token).unwrap();
        let grants = |ctx: &Context<'_>| ctx.tx.member(&group.id, &who.0).unwrap().unwrap().grants;
        // They gave another one meanwhile.
        assert!(grants(ctx).len() == 1 && !wants(ctx, &group, 1));
        not_reached(ctx, &group.id, (&who.0, &who.1), &mailbox(1, 7).token).unwrap();
        assert!(grants(ctx).is_empty() && wants(ctx, &group, 1));
        // Where each is refused they are not asked each time.
        ctx.agenda.updates.clear();
        gives(ctx, &group, 1, 8);
        not_reached(ctx, &group.id, (&who.0, &who.1), &mailbox(1, 8).token).unwrap();
        assert!(grants(ctx).is_empty() && !wants(ctx, &group, 1));
    });
}

/// Or nobody would be, as there is a token, by which nothing gets there.
#[test]
fn others_are_asked_where_the_token_of_a_contact_is_refused_too() {
    on_a_device(|ctx| {
        let (user, sibling) = (identity(1).user(), device(50).device());
        has_another(ctx, sibling);
        let group = club(ctx, 1..2);
        let DeliveryGrant { device, mailbox, token } = mailbox(1, 8);
        let contact = ctx.tx.contact(&user).unwrap().unwrap();
        let grants = vec![DeliveryGrant { device, mailbox: mailbox.clone(), token: token.clone() }];
        ctx.tx.put_contact(&Contact { grants, ..contact }).unwrap();
        let is_asked = |ctx: &mut Context<'_>| {
            ctx.agenda.updates.clear();
            ctx.now = ctx.now.after(Duration::from_secs(60));
            seek_due(ctx).unwrap();
            ctx.agenda.updates.get(&(group.id, sibling)).is_some_and(|update| update.wants.contains(&user))
        };
        assert!(!is_asked(ctx), "they are reached as a contact");
        ctx.agenda.refusals.denied(device, mailbox.relay.relay, token.clone(), ctx.now);
        not_reached(ctx, &group.id, (&user, &device), &token).unwrap();
        assert!(is_asked(ctx));
    });
}
