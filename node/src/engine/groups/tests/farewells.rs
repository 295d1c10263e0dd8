//! Whoever is out, or turns out never to have been in.

use std::collections::BTreeSet;

use undertone_protocol::ids::{DeviceListHash, OperationHash};

use super::super::admit_entry;
use super::*;

/// What they did not do, need not be told.
#[test]
fn somebody_who_did_nothing_goes_silently() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..9);
        ctx.agenda.updates.clear();
        operate(ctx, &group, Action::Remove { user: identity(1).user(), cut: None }).unwrap().unwrap();
        assert_eq!(told(ctx, &group), []);
    });
}

/// The one that left may have been lost since.
#[test]
fn another_device_of_somebody_who_left_is_told_that_they_did() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        let known = ctx.groups.heads(&group.id);
        changes(ctx, &group, 1, Action::Leave { successor: None });
        let leave = ctx.groups.heads(&group.id);
        let (user, other) = (identity(1).user(), device(60).device());
        ctx.agenda.updates.clear();
        tell_gone(ctx, &group.id, &user, &other, &leave);
        assert_eq!(told(ctx, &group), [], "it knows");
        tell_gone(ctx, &group.id, &user, &other, &known);
        let update = ctx.agenda.updates.get(&(group.id, other)).unwrap();
        assert_eq!(update.named.iter().copied().collect::<Vec<_>>(), leave);
    });
}

/// Nobody else may be able to tell them.
#[test]
fn whoever_leaves_still_welcomes_whom_they_let_in() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        let [added, stranger] = [1, 2].map(|seed| identity(seed).user());
        welcome(ctx, &group.id, &added).unwrap();
        ctx.agenda.meet.clear();
        operate(ctx, &group, Action::Leave { successor: Some(added) }).unwrap().unwrap();
        let due = |ctx: &Context<'_>, user| ctx.tx.member(&group.id, &user).unwrap().unwrap().welcome_due;
        assert!(due(ctx, added) && !due(ctx, stranger));
        // It was on its way, and could not be read, or was refused until they said anew how they are reached.
        for again in [welcome_again, |ctx: &mut Context<'_>, user: &UserId| {
            introduce_again(ctx, user, &BTreeSet::new())
        }] {
            let member = ctx.tx.member(&group.id, &stranger).unwrap().unwrap();
            ctx.tx.put_member(&Member { welcome_due: false, ..member }).unwrap();
            ctx.agenda.meet.clear();
            again(ctx, &stranger).unwrap();
            assert!(due(ctx, stranger) && ctx.agenda.meet.contains(&(group.id, stranger)));
        }
    });
}

/// Or they would be taken for newcomers when this user is back, and lack what was for them.
#[test]
fn where_what_is_for_somebody_begins_outlasts_their_token_while_this_user_is_out() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        let [heir, other] = [1, 2].map(|seed| identity(seed).user());
        let member = |ctx: &Context<'_>| ctx.tx.member(&group.id, &other).unwrap().unwrap();
        let before = member(ctx);
        operate(ctx, &group, Action::Leave { successor: Some(heir) }).unwrap().unwrap();
        ctx.now = ctx.now.after(REMOVED_TOKEN_LIFE);
        sweep(ctx).unwrap();
        let kept = member(ctx);
        assert_eq!(kept.from_seq, before.from_seq);
        assert_ne!(kept.token, before.token);
        sweep(ctx).unwrap();
        assert_eq!(member(ctx), kept, "nobody has this token: it is not taken back again");
    });
}

#[test]
fn whoever_is_put_out_is_welcomed_no_more() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        let user = identity(1).user();
        welcome(ctx, &group.id, &user).unwrap();
        operate(ctx, &group, Action::Remove { user, cut: None }).unwrap().unwrap();
        welcome_again(ctx, &user).unwrap();
        assert!(!ctx.tx.member(&group.id, &user).unwrap().unwrap().welcome_due);
    });
}

/// Nobody put them out, but what let them in does not count.
#[test]
fn whoever_was_let_in_with_a_revoked_device_is_told_of_that() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        let user = identity(5).user();
        contact(ctx, 5);
        listed(ctx, 5);
        changes(ctx, &group, 1, Action::Add { user, role: Role::Member });
        let knows = ctx.groups.heads(&group.id);
        let lost = device(1).device();
        let list = person(1, &[]).device_list.hash();
        let conversation = group.id;
        let fields =
            DeviceRevokeFields { user: identity(1).user(), list, device: lost, conversation, cut: None };
        let revoke = DeviceRevoke::issue_in_group(&identity(1), fields, None);
        operate(ctx, &group, Action::DeviceRevoke(Box::new(revoke))).unwrap().unwrap();
        assert!(!ctx.groups.view(&group.id).unwrap().is_in(&user));
        ctx.agenda.updates.clear();
        tell_gone(ctx, &group.id, &user, &device(5).device(), &knows);
        let told = ctx.agenda.updates.get(&(group.id, device(5).device())).map(|update| &update.named);
        assert_eq!(told.map(|named| named.iter().copied().collect()), Some(ctx.groups.heads(&group.id)));
    });
}

/// It goes nowhere any more, so no relay ever says that it holds it.
#[test]
fn what_says_nothing_any_more_waits_for_nobody_who_went() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        let body = EntryBody::new(Content::Text(Text::plain("lost")), ctx.rng).unwrap();
        let lost = writing::append_to_group(ctx, &group, body).unwrap();
        ctx.tx.drop_body(&lost).unwrap();
        let delivery = ctx.tx.delivery(&lost).unwrap().unwrap();
        ctx.tx.put_delivery(&Delivery { sealed: true, ..delivery }).unwrap();
        for (seed, tick) in [(1, Tick::Queued), (2, Tick::Read)] {
            operate(ctx, &group, Action::Remove { user: identity(seed).user(), cut: None }).unwrap().unwrap();
            assert_eq!(ctx.tx.delivery(&lost).unwrap().unwrap().tick, tick);
        }
    });
}

/// Nobody was put out; but who let them in, or let those in who did, had no right to any more.
#[test]
fn whoever_was_let_in_without_the_right_to_is_told_of_what_took_it() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        let [adder, added] = [5, 6].map(|seed| identity(seed).user());
        [5, 6].into_iter().for_each(|seed| contact(ctx, seed));
        [5, 6].into_iter().for_each(|seed| listed(ctx, seed));
        let before = ctx.groups.heads(&group.id);
        let first = made(ctx, &group, 1, Action::Add { user: adder, role: Role::Admin });
        let lowered = Action::SetRole { user: identity(1).user(), role: Role::Member };
        operate(ctx, &group, lowered).unwrap().unwrap();
        let lowering = ctx.groups.heads(&group.id);
        brings(ctx, &group, 1, first);
        // Of the adder's, who knows of no more than that they are in.
        let heads = ctx.groups.heads(&group.id).into_iter();
        let parents = heads.filter(|head| !lowering.contains(head)).collect();
        let second = drafted(ctx, &group, 5, Action::Add { user: added, role: Role::Member });
        let second = SignedOperation::issue(&device(5), Operation { parents, ..second });
        brings(ctx, &group, 5, second.unwrap().signed());
        assert!(!ctx.groups.view(&group.id).unwrap().is_in(&adder));
        for (who, seed) in [(adder, 5), (added, 6)] {
            ctx.agenda.updates.clear();
            tell_gone(ctx, &group.id, &who, &device(seed).device(), &before);
            let told = ctx.agenda.updates.get(&(group.id, device(seed).device())).map(|update| &update.named);
            assert_eq!(told.map(|named| named.iter().copied().collect()), Some(lowering.clone()), "{seed}");
        }
    });
}

/// Or a device that could not be reached when its user was put out writes on for ever, and for nobody.
#[test]
fn who_is_out_is_told_so_when_they_can_be_reached() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        for seed in 1..3 {
            listed(ctx, seed);
        }
        operate(ctx, &group, Action::Remove { user: identity(1).user(), cut: None }).unwrap().unwrap();
        ctx.agenda.updates.clear();
        for seed in 1..3 {
            tell_late(ctx, &identity(seed).user(), &device(seed).device()).unwrap();
        }
        let named = |ctx: &Context<'_>| -> Vec<(DeviceId, usize)> {
            ctx.agenda.updates.iter().map(|((_, device), update)| (*device, update.named.len())).collect()
        };
        assert_eq!(named(ctx), [(device(1).device(), 1)]);

        // There is a way to them that was not there before.
        ctx.agenda.updates.clear();
        tell_again(ctx, &identity(1).user(), &BTreeSet::from([device(1).device()])).unwrap();
        assert_eq!(named(ctx), [(device(1).device(), 1)]);
    });
}

/// Or the others would write to them for ever, and wait.
#[test]
fn who_is_out_tells_those_who_write_as_if_they_were_in() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        (1..3).for_each(|seed| listed(ctx, seed));
        let before = ctx.groups.heads(&group.id);
        let writes = |ctx: &mut Context<'_>, heads: &[OperationHash]| {
            let body = EntryBody::text("said", ctx.rng).unwrap();
            let membership_heads = heads.iter().map(|head| DeviceListHash::new(*head.as_bytes())).collect();
            let header = EntryHeader { membership_heads, body_hash: body.hash(), ..header(2, group.id) };
            let entry = SignedEntry::issue(device(2).signing_key(), header, body);
            assert!(admit_entry(ctx, &group, &entry).unwrap().is_ok());
        };
        let is_told = |ctx: &Context<'_>| {
            let update = ctx.agenda.updates.get(&(group.id, device(2).device()));
            update.is_some_and(|update| update.since == Some(before.clone()))
        };
        writes(ctx, &before);
        assert!(!is_told(ctx), "this user is in");
        let heir = Some(identity(1).user());
        operate(ctx, &group, Action::Leave { successor: heir }).unwrap().unwrap();
        ctx.agenda.updates.clear();
        writes(ctx, &before);
        assert!(is_told(ctx));
        ctx.agenda.updates.clear();
        let heads = ctx.groups.heads(&group.id);
        writes(ctx, &heads);
        assert!(!is_told(ctx), "they know");
    });
}

/// A group that this user left, and then somebody else was put out of.
struct Out {
    group: Group,
    user: UserId,
    /// The heads before both.
    knows: Vec<OperationHash>,
    /// And between them.
    leave: Vec<OperationHash>,
}

fn two_are_out(ctx: &mut Context<'_>) -> Out {
    let group = club(ctx, 1..3);
    let (heir, user) = (identity(1).user(), identity(5).user());
    contact(ctx, 5);
    listed(ctx, 5);
    changes(ctx, &group, 1, Action::Add { user, role: Role::Member });
    let knows = ctx.groups.heads(&group.id);
    operate(ctx, &group, Action::Leave { successor: Some(heir) }).unwrap().unwrap();
    let leave = ctx.groups.heads(&group.id);
    changes(ctx, &group, 1, Action::Remove { user, cut: None });
    Out { group, user, knows, leave }
}

/// Who put several out may have told one of them alone.
#[test]
fn who_is_out_of_a_small_group_tells_others_who_are() {
    on_a_device(|ctx| {
        let Out { group, user, knows, .. } = two_are_out(ctx);
        ctx.agenda.updates.clear();
        tell_gone(ctx, &group.id, &user, &device(5).device(), &knows);
        let told = ctx.agenda.updates.get(&(group.id, device(5).device())).map(|update| &update.named);
        assert_eq!(told.map(|named| named.iter().copied().collect()), Some(ctx.groups.heads(&group.id)));
    });
}

/// Each would tell the other for ever.
#[test]
fn of_two_who_are_both_out_neither_answers_what_tells_them_so() {
    on_a_device(|ctx| {
        let Out { group, user, knows, leave } = two_are_out(ctx);
        for (heads, is_told) in [(leave, false), (knows, true)] {
            ctx.agenda.updates.clear();
            let update = GroupUpdate { heads, ..GroupUpdate::of(group.id) };
            update_received(ctx, &user, &device(5).device(), update.to_wire()).unwrap();
            assert_eq!(told(ctx, &group).contains(&device(5).device()), is_told);
        }
    });
}

/// Else what they did would wait for ever at whoever asks: nothing is held without its author's certificate.
#[test]
fn who_asks_is_told_whose_the_operations_are_of_those_who_never_were_in() {
    on_a_device(|ctx| {
        let group = club(ctx, 1..3);
        contact(ctx, 5);
        listed(ctx, 5);
        let to_admin = Action::SetRole { user: identity(1).user(), role: Role::Admin };
        operate(ctx, &group, to_admin).unwrap().unwrap();
        // One who is removed meanwhile lets them in, and they do something.
        let add = made(ctx, &group, 1, Action::Add { user: identity(5).user(), role: Role::Member });
        let theirs = {
            let before = ctx.groups.document(&group.id).unwrap().clone();
            brings(ctx, &group, 1, add.clone());
            let theirs = made(ctx, &group, 5, Action::Leave { successor: None });
            ctx.groups.put(before);
            theirs
        };
        operate(ctx, &group, Action::Remove { user: identity(1).user(), cut: None }).unwrap().unwrap();
        [add, theirs].into_iter().for_each(|operation| brings(ctx, &group, 2, operation));
        assert!(!ctx.groups.view(&group.id).unwrap().is_in(&identity(5).user()));
        let told: Vec<UserId> =
            people(ctx, &group.id, None).unwrap().iter().map(|person| person.device_list.user).collect();
        let all: BTreeSet<UserId> = [1, 2, 5].map(|seed| identity(seed).user()).into();
        assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), all);
    });
}
