//! What the user writes on another device.

use undertone_protocol::ids::{DeviceListHash, EntryId};

use super::*;
use crate::engine::{history, receipts, views};
use crate::event::Event;

/// The user's other device.
const OTHER: u8 = 50;

/// The user has another device, which wrote something in a group with two others. Gives its id.
fn written_elsewhere(ctx: &mut Context<'_>) -> (Group, EntryId) {
    has_another(ctx, device(OTHER).device());
    let group = club(ctx, 1..3);
    (1..3).for_each(|seed| listed(ctx, seed));
    let heads = ctx.groups.heads(&group.id);
    let body = EntryBody::text("said", ctx.rng).unwrap();
    let header = EntryHeader {
        membership_heads: heads.iter().map(|head| DeviceListHash::new(*head.as_bytes())).collect(),
        body_hash: body.hash(),
        ..header(OTHER, group.id)
    };
    let entry = SignedEntry::issue(device(OTHER).signing_key(), header, body);
    let id = entry.id;
    direct::take(ctx, Circle::Group(group.clone()), entry, Bearer::Author).unwrap();
    assert!(ctx.tx.entry(&id).unwrap().is_some());
    (group, id)
}

/// Somebody says that they have what the other device wrote, or have read it.
fn acknowledges(ctx: &mut Context<'_>, group: &Group, by: u8, counter: u64, is_read: bool) {
    let id = ctx.tx.entries_at(&group.id, &device(OTHER).device(), 1).unwrap().first().unwrap().entry.id;
    let mut delivered = Frontier::default();
    delivered.set(device(OTHER).device(), FrontierItem { seq: 1, head: Some(id), ..FrontierItem::default() });
    let fields = AcknowledgementFields {
        conversation: group.id,
        device: device(by).device(),
        counter,
        read: if is_read { delivered.clone() } else { Frontier::default() },
        delivered,
        at: START,
        authors: Authors::default(),
    };
    let signed = Acknowledgement::issue(&device(by), fields).signed.to_wire();
    receipts::received(ctx, &identity(by).user(), &device(by).device(), signed).unwrap();
}

/// The ticks that were told, and how the message shows.
fn shows(ctx: &mut Context<'_>, id: &EntryId) -> (Vec<String>, String) {
    let told = std::mem::take(ctx.events).into_iter().filter_map(|event| match event {
        Event::Tick { state, id: of, .. } => Some((state, of)),
        _ => None,
    });
    let told = told.filter(|(_, of)| *of == id.to_hex()).map(|(state, _)| state).collect();
    let stored = ctx.tx.entry(id).unwrap().unwrap();
    let circle = Circle::of(ctx, &stored.entry.header.conversation).unwrap().unwrap();
    (told, views::message(ctx, &circle, &stored).unwrap().state)
}

/// Somebody leaves; or never did, since their device forked.
fn leaves(ctx: &mut Context<'_>, group: &Group, by: u8) -> Signed {
    let other = made(ctx, group, by, Action::InviteLink { handle: Handle::new([7; 8]), not_after: None });
    changes(ctx, group, by, Action::Leave { successor: None });
    other
}

/// They read nothing of it, and were thought to be out.
#[test]
fn what_showed_as_read_does_so_when_somebody_is_back_who_never_left() {
    on_a_device(|ctx| {
        let (group, id) = written_elsewhere(ctx);
        let other = leaves(ctx, &group, 2);
        shows(ctx, &id);
        acknowledges(ctx, &group, 1, 1, true);
        assert_eq!(shows(ctx, &id), (vec!["read".to_owned()], "read".to_owned()));
        brings(ctx, &group, 2, other);
        assert!(ctx.groups.view(&group.id).unwrap().is_in(&identity(2).user()));
        acknowledges(ctx, &group, 2, 1, false);
        assert_eq!(shows(ctx, &id), (Vec::new(), "read".to_owned()));
        acknowledges(ctx, &group, 2, 2, true);
        assert_eq!(shows(ctx, &id), (Vec::new(), "read".to_owned()));
    });
}

#[test]
fn what_waits_for_somebody_who_leaves_has_come_to_all() {
    on_a_device(|ctx| {
        let (group, id) = written_elsewhere(ctx);
        acknowledges(ctx, &group, 1, 1, false);
        assert_eq!(shows(ctx, &id), (Vec::new(), "queued".to_owned()));
        let other = leaves(ctx, &group, 2);
        assert_eq!(shows(ctx, &id), (vec!["delivered".to_owned()], "delivered".to_owned()));
        brings(ctx, &group, 2, other);
        assert_eq!(shows(ctx, &id), (Vec::new(), "delivered".to_owned()));
    });
}

/// What told it of the group is lost, and nobody else could.
#[test]
fn another_own_device_that_never_spoke_of_a_group_is_told_again_and_again() {
    on_a_device(|ctx| {
        let other = device(OTHER).device();
        has_another(ctx, other);
        let group = club(ctx, 1..2);
        let told = |ctx: &mut Context<'_>, after_s| {
            ctx.now = ctx.now.after(Duration::from_secs(after_s));
            ctx.agenda.updates.clear();
            history::compare_due(ctx).unwrap();
            ctx.agenda.updates.contains_key(&(group.id, other))
        };
        ctx.agenda.compare.insert((other, group.id), ctx.now);
        let again = [0, 59, 1, 119, 1].map(|after_s| told(ctx, after_s));
        assert_eq!(again, [true, false, true, false, true], "after twice the time each");
        let (delivered, read) = (Frontier::default(), Frontier::default());
        let (conversation, at, authors) = (group.id, ctx.now, Authors::default());
        let fields =
            AcknowledgementFields { conversation, device: other, counter: 1, delivered, read, at, authors };
        ctx.tx.put_acknowledgement(&Acknowledgement::issue(&device(OTHER), fields)).unwrap();
        assert!(!told(ctx, 24 * 3_600));
    });
}
