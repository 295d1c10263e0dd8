//! How far this device's messages have come among the members of a group: as far as with the one with whom they came the
//! least far.

use std::collections::BTreeMap;

use undertone_protocol::ids::{ConversationId, DeviceId, EntryId};
use undertone_protocol::log::{Frontier, FrontierItem};
use undertone_protocol::receipts::Tick;

use super::acknowledged;
use super::agenda::Progress;
use super::circle::Circle;
use super::context::Context;
use super::{elsewhere, ticks};
use crate::store::{Delivery, Purpose, StoreError};

/// A device said what it has of this device's messages.
pub(super) fn note(
    ctx: &mut Context<'_>,
    conversation: &ConversationId,
    device: &DeviceId,
    delivered: &FrontierItem,
    read: &FrontierItem,
) -> Result<(), StoreError> {
    let Some(circle @ Circle::Group(_)) = Circle::of(ctx, conversation)? else { return Ok(()) };
    load(ctx, &circle, conversation)?;
    let Some(user) = circle.user_of(ctx, device) else { return Ok(()) };
    let me = ctx.me.device;
    if let Some(known) = ctx.agenda.progress.get_mut(conversation).and_then(|known| known.get_mut(&user)) {
        known.delivered.merge_item(me, delivered);
        known.read.merge_item(me, read);
    }
    Ok(())
}

/// How far a message has come that some device has, or its user has read: in a group not before all have.
pub(super) fn among_all(ctx: &mut Context<'_>, delivery: &Delivery, one: Tick) -> Result<Tick, StoreError> {
    match Circle::of(ctx, &delivery.conversation)? {
        Some(circle @ Circle::Group(_)) => of_group(ctx, &circle, delivery),
        _ => Ok(one),
    }
}

/// Whether some device of theirs may have a message already, though it has not come to all.
pub(super) fn may_be_there(
    ctx: &mut Context<'_>,
    circle: &Circle,
    delivery: &Delivery,
) -> Result<bool, StoreError> {
    if delivery.tick > Tick::Queued || circle.contact().is_some() {
        return Ok(delivery.tick > Tick::Queued);
    }
    has_some(ctx, circle, delivery)
}

/// Whether some device of a member of a group has a message.
pub(super) fn somebody_has(ctx: &mut Context<'_>, delivery: &Delivery) -> Result<bool, StoreError> {
    match Circle::of(ctx, &delivery.conversation)? {
        Some(circle @ Circle::Group(_)) => has_some(ctx, &circle, delivery),
        _ => Ok(delivery.tick > Tick::Sent),
    }
}

fn has_some(ctx: &mut Context<'_>, circle: &Circle, delivery: &Delivery) -> Result<bool, StoreError> {
    load(ctx, circle, &delivery.conversation)?;
    let known = ctx.agenda.progress.get(&delivery.conversation).into_iter().flat_map(BTreeMap::values);
    let me = ctx.me.device;
    let covers = |frontier: &Frontier| frontier.covers(&me, delivery.seq);
    Ok(known.into_iter().any(|known| covers(&known.delivered) || covers(&known.read)))
}

/// Relays have a message for all who are to get it; in a group there may be nobody left whom it waits for.
pub(super) fn sent(ctx: &mut Context<'_>, entry: &EntryId) -> Result<(), StoreError> {
    let Some(delivery) = ctx.tx.delivery(entry)? else { return Ok(()) };
    let tick = among_all(ctx, &delivery, Tick::Sent)?.max(Tick::Sent);
    ticks::raise_tick(ctx, entry, tick)
}

fn of_group(ctx: &mut Context<'_>, circle: &Circle, delivery: &Delivery) -> Result<Tick, StoreError> {
    // Whoever is out is told nothing more, and knows of no members.
    if !circle.is_open() {
        return Ok(Tick::Queued);
    }
    load(ctx, circle, &delivery.conversation)?;
    let nobody = BTreeMap::new();
    let known = ctx.agenda.progress.get(&delivery.conversation).unwrap_or(&nobody);
    let covers = |frontier: &Frontier| frontier.covers(&ctx.me.device, delivery.seq);
    let (mut all_have, mut all_read) = (true, true);
    for (_, progress) in known.iter().filter(|(_, progress)| progress.from_seq <= delivery.seq) {
        all_read &= covers(&progress.read);
        all_have &= covers(&progress.delivered) || covers(&progress.read);
    }
    Ok(match (all_have, all_read) {
        (_, true) => Tick::Read,
        (true, false) => Tick::Delivered,
        (false, false) => Tick::Queued,
    })
}

/// The members are others than before: what waited for one who is gone may be everywhere now.
pub(super) fn look_again(ctx: &mut Context<'_>, conversation: &ConversationId) -> Result<(), StoreError> {
    ctx.agenda.progress.remove(conversation);
    let Some(circle @ Circle::Group(_)) = Circle::of(ctx, conversation)? else { return Ok(()) };
    for mut delivery in ctx.tx.deliveries_unread(conversation)? {
        if delivery.tick < Tick::Sent && is_on_its_way(ctx, &delivery)? {
            continue;
        }
        let tick = of_group(ctx, &circle, &delivery)?;
        if tick > delivery.tick {
            delivery.tick = tick;
            ticks::keep(ctx, &delivery)?;
        }
    }
    elsewhere::look_again(ctx, &circle, conversation)
}

/// Whether no relay has a message for those who are left. One that says nothing any more goes nowhere.
fn is_on_its_way(ctx: &Context<'_>, delivery: &Delivery) -> Result<bool, StoreError> {
    Ok(!delivery.sealed || !ctx.tx.outbox_heads_of(&Purpose::Entry(delivery.entry))?.is_empty())
}

/// Remembers what the members' devices ever said, so that it is not read for each message.
fn load(ctx: &mut Context<'_>, circle: &Circle, conversation: &ConversationId) -> Result<(), StoreError> {
    if ctx.agenda.progress.contains_key(conversation) {
        return Ok(());
    }
    let mut all = BTreeMap::new();
    for member in circle.members(ctx)? {
        let mut progress = Progress { from_seq: member.from_seq, ..Progress::default() };
        let person = ctx.tx.contact(&member.user)?;
        let listed = person.iter().flat_map(|person| &person.device_list).flat_map(|list| &list.devices);
        for listed in listed {
            let ever = acknowledged::of(ctx.tx, conversation, &listed.certificate.device)?;
            let mine = [(&mut progress.delivered, &ever.delivered), (&mut progress.read, &ever.read)];
            for (known, said) in mine {
                if let Some(item) = said.get(&ctx.me.device) {
                    known.merge_item(ctx.me.device, item);
                }
            }
        }
        all.insert(member.user, progress);
    }
    ctx.agenda.progress.insert(*conversation, all);
    Ok(())
}
