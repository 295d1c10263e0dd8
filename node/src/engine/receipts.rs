//! Ticks: acknowledgement entries of others move ours, and ours are made when something is due.

use std::collections::BTreeSet;

use undertone_protocol::codec::Signed;
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId, UserId};
use undertone_protocol::log::{Frontier, FrontierItem, SeqRange};
use undertone_protocol::receipts::{Acknowledgement, AcknowledgementFields, Tick};
use undertone_protocol::wire;
use undertone_protocol::wire::pairwise::Body;

use super::agenda::Agenda;
use super::context::Context;
use super::custody::{self, TICKS_TOLD};
use super::outgoing::{self, NO_GROUP};
use super::resend::LOOK_DELIVERIES_MAX;
use super::{acknowledged, history, own, pairwise, resend, views};
use crate::event::Event;
use crate::log;
use crate::store::{Acknowledged, Contact, ContactState, Delivery, Failure, NodeTx, Purpose, StoreError};

/// Messages that are looked at in one go.
const VOID_PAGE: usize = 256;

/// An acknowledgement from a device that Olm proved.
pub(super) fn received(
    ctx: &mut Context<'_>,
    user: &UserId,
    device: &DeviceId,
    signed: wire::Signed,
) -> Result<(), StoreError> {
    let acknowledgement =
        match Signed::from_wire(signed).map_err(Into::into).and_then(Acknowledgement::verify) {
            Ok(acknowledgement) => acknowledgement,
            Err(error) => {
                tracing::warn!(device = %device.short(), %error, "an acknowledgement was refused");
                return Ok(());
            }
        };
    let fields = &acknowledgement.fields;
    let conversation = fields.conversation;
    // One's own devices speak of all conversations, others of the one with them.
    let is_sibling = *user == ctx.me.user;
    if fields.device != *device || !(is_sibling || conversation == ctx.me.direct(user)) {
        tracing::warn!(device = %device.short(), "an acknowledgement for another conversation or device");
        return Ok(());
    }
    let Some(contact) = views::contact_of(ctx, &conversation)? else { return Ok(()) };
    // Nothing of theirs shows; when they are unblocked they say it again.
    if contact.state.is_blocked() && !is_sibling {
        return Ok(());
    }
    let newest = ctx.tx.acknowledgement(&conversation, device)?;
    if newest.is_some_and(|newest| newest.fields.counter >= fields.counter) {
        return Ok(());
    }
    let before = acknowledged::of(ctx.tx, &conversation, device)?;
    ctx.tx.put_acknowledgement(&acknowledgement)?;
    let mut ever = before.clone();
    if is_sibling {
        acknowledged::take(ctx, &contact, &mut ever, fields, None)?;
        ctx.tx.put_acknowledged(&conversation, device, &ever)?;
        return received_from_sibling(ctx, &contact, &before, fields);
    }
    acknowledged::take(ctx, &contact, &mut ever, fields, Some(&ctx.me.device))?;
    ever.next = Some(1);
    ctx.tx.put_acknowledged(&conversation, device, &ever)?;
    siblings_ticks(ctx, &contact, &before, &ever, fields)?;
    ctx.agenda.take_in.insert((*device, conversation));
    // What it still lacks when what waits for it had time to come.
    history::spoke(ctx, device, &conversation);
    Ok(())
}

/// Another device of the user says what it has, and what the user read there: that is read here too.
fn received_from_sibling(
    ctx: &mut Context<'_>,
    contact: &Contact,
    before: &Acknowledged,
    said: &AcknowledgementFields,
) -> Result<(), StoreError> {
    custody::told(ctx, contact, before, said)?;
    let AcknowledgementFields { conversation, device, read, .. } = said;
    let mut own = ctx.tx.own_receipts(conversation)?;
    if own.read.merge(read) {
        ctx.tx.put_own_receipts(conversation, &own)?;
    }
    history::sibling_spoke(ctx, device, conversation);
    Ok(())
}

/// Tells of messages that the user wrote on other devices and that have come further by what a contact's device says.
fn siblings_ticks(
    ctx: &mut Context<'_>,
    contact: &Contact,
    before: &Acknowledged,
    after: &Acknowledged,
    said: &AcknowledgementFields,
) -> Result<(), StoreError> {
    for sibling in own::siblings(ctx) {
        let seq = |frontier: &Frontier| frontier.get(&sibling).map_or(0, |item| item.seq);
        let settled = seq(&before.delivered).min(seq(&before.read));
        let through = seq(&after.delivered).max(seq(&after.read));
        let newly = through.saturating_sub(settled).min(TICKS_TOLD as u64);
        let from = through.saturating_sub(newly).saturating_add(1);
        for stored in ctx.tx.entries_of(&said.conversation, &sibling, from, TICKS_TOLD)? {
            if !log::counts(ctx.tx, &stored)? {
                continue;
            }
            let header = &stored.entry.header;
            let elsewhere = views::siblings_tick(ctx, contact, header, Some(&said.device))?;
            let was = views::tick_by(before, header).max(elsewhere);
            let tick = views::tick_by(after, header).max(elsewhere);
            if tick > was {
                ctx.events.push(Event::Tick {
                    contact: contact.name.to_string(),
                    id: stored.entry.id.to_hex(),
                    state: tick.as_str().to_owned(),
                    failed: None,
                });
            }
        }
    }
    Ok(())
}

/// At a start: what was not taken in before the end.
pub(super) fn look_at_rest(
    tx: &dyn NodeTx,
    agenda: &mut Agenda,
    contact: &Contact,
    conversation: &ConversationId,
) -> Result<(), StoreError> {
    for listed in contact.device_list.iter().flat_map(|list| &list.devices) {
        let device = listed.certificate.device;
        if tx.acknowledged(conversation, &device)?.is_some_and(|ever| ever.next.is_some()) {
            agenda.take_in.insert((device, *conversation));
        }
    }
    Ok(())
}

/// Takes in what devices say of this device's messages, of so many at a time that no transaction takes long: what is
/// left comes next.
pub(super) fn take_in_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    let mut room = LOOK_DELIVERIES_MAX;
    while room > 0
        && let Some(which) = ctx.agenda.next_to_take_in()
    {
        let (device, conversation) = which;
        if take_in(ctx, &device, &conversation, &mut room)? {
            ctx.agenda.take_in.remove(&which);
        }
    }
    Ok(())
}

/// False: some is left.
fn take_in(
    ctx: &mut Context<'_>,
    device: &DeviceId,
    conversation: &ConversationId,
    room: &mut usize,
) -> Result<bool, StoreError> {
    let mut ever = acknowledged::of(ctx.tx, conversation, device)?;
    let newest = ctx.tx.acknowledgement(conversation, device)?;
    let (Some(mut next), Some(newest)) = (ever.next, newest) else { return Ok(true) };
    let delivered = said_of_mine(ctx, conversation, &newest.fields.delivered)?;
    let read = said_of_mine(ctx, conversation, &newest.fields.read)?;
    let mut lead = None;
    while let Some(run) = newly(ctx, &ever, &delivered, &read, next) {
        let page = ctx.tx.deliveries_between(conversation, run.from, run.through, *room)?;
        *room = room.saturating_sub(page.len());
        ctx.agenda.looks.acknowledged(device, page.len(), ctx.now);
        lead = page.last().map(|last| (last.seq, last.entry)).or(lead);
        // Where the page is full there may be more in this run.
        next = lead.filter(|_| *room == 0).map_or(run.through, |(seq, _)| seq).saturating_add(1);
        for delivery in page {
            let tick = if read.covers(delivery.seq) { Tick::Read } else { Tick::Delivered };
            arrived(ctx, delivery, device, tick)?;
        }
        if *room == 0 {
            break;
        }
    }
    let own = ctx.me.device;
    let is_over = newly(ctx, &ever, &delivered, &read, next).is_none();
    for (ever, said) in [(&mut ever.delivered, delivered), (&mut ever.read, read)] {
        match lead {
            _ if is_over => ever.merge_item(own, &said),
            Some((seq, entry)) => ever.merge_item(own, &said.until(seq, entry)),
            None => false,
        };
    }
    ever.next = (!is_over).then_some(next);
    ctx.tx.put_acknowledged(conversation, device, &ever)?;
    if is_over {
        resend::fill_gaps(ctx, device, conversation, &ever);
    }
    Ok(is_over)
}

fn said_of_mine(
    ctx: &Context<'_>,
    conversation: &ConversationId,
    said: &Frontier,
) -> Result<FrontierItem, StoreError> {
    let Some(item) = said.get(&ctx.me.device) else { return Ok(FrontierItem::default()) };
    Ok(acknowledged::of_mine(ctx, conversation, item)?.unwrap_or_default())
}

/// The first numbers from `next` on that are acknowledged, or read, and were not before.
fn newly(
    ctx: &Context<'_>,
    ever: &Acknowledged,
    delivered: &FrontierItem,
    read: &FrontierItem,
    next: u64,
) -> Option<SeqRange> {
    let mine = |frontier: &Frontier| frontier.get(&ctx.me.device).cloned().unwrap_or_default();
    let newly = delivered.beyond(&mine(&ever.delivered)).into_iter().chain(read.beyond(&mine(&ever.read)));
    let left = newly.filter(|run| run.through >= next);
    left.map(|run| SeqRange { from: run.from.max(next), ..run }).min_by_key(|run| (run.from, run.through))
}

/// A device has a message of ours.
fn arrived(
    ctx: &mut Context<'_>,
    mut delivery: Delivery,
    device: &DeviceId,
    tick: Tick,
) -> Result<(), StoreError> {
    outgoing::acknowledged(ctx, &delivery.entry, device)?;
    if delivery.is_void() {
        return Ok(());
    }
    if tick > delivery.tick || delivery.failed.is_some() {
        delivery.tick = delivery.tick.max(tick);
        delivery.failed = None;
        keep(ctx, &delivery)?;
    }
    Ok(())
}

/// Moves a message's tick forward, never back.
pub(super) fn raise_tick(ctx: &mut Context<'_>, entry: &EntryId, tick: Tick) -> Result<(), StoreError> {
    match ctx.tx.delivery(entry)? {
        Some(mut delivery) if delivery.tick < tick => {
            delivery.tick = tick;
            make_own_due(ctx, &delivery.conversation)?;
            keep(ctx, &delivery)
        }
        _ => Ok(()),
    }
}

/// Flags a message as failed, unless a device has it by now.
pub(super) fn fail(ctx: &mut Context<'_>, entry: &EntryId, failure: Failure) -> Result<(), StoreError> {
    match ctx.tx.delivery(entry)? {
        Some(mut delivery)
            if delivery.tick < Tick::Delivered && delivery.failed != Some(failure) && !delivery.is_void() =>
        {
            delivery.failed = Some(failure);
            keep(ctx, &delivery)
        }
        _ => Ok(()),
    }
}

/// What this device wrote from a number on counts nowhere, whoever has it.
pub(super) fn void_from(
    ctx: &mut Context<'_>,
    conversation: &ConversationId,
    seq: u64,
) -> Result<(), StoreError> {
    let mut from = seq;
    loop {
        let page = ctx.tx.deliveries_between(conversation, from, u64::MAX, VOID_PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        from = last.seq.saturating_add(1);
        for mut delivery in page.into_iter().filter(|delivery| !delivery.is_void()) {
            delivery.failed = Some(Failure::Copied);
            keep(ctx, &delivery)?;
        }
    }
}

fn keep(ctx: &mut Context<'_>, delivery: &Delivery) -> Result<(), StoreError> {
    ctx.tx.put_delivery(delivery)?;
    let contact = views::contact_name(ctx, &delivery.conversation)?;
    ctx.events.push(Event::Tick {
        contact,
        id: delivery.entry.to_hex(),
        state: delivery.tick.as_str().to_owned(),
        failed: delivery.failed.map(views::failure),
    });
    Ok(())
}

/// Something new must be acknowledged.
pub(super) fn make_due(ctx: &mut Context<'_>, conversation: &ConversationId) -> Result<(), StoreError> {
    due(ctx, conversation, true)
}

/// Own other devices must be told what this one holds of a conversation.
pub(super) fn make_own_due(ctx: &mut Context<'_>, conversation: &ConversationId) -> Result<(), StoreError> {
    due(ctx, conversation, false)
}

/// A device that could not be reached before gets what it missed: what is held here of its user's conversation, of
/// all conversations if it is this user's.
pub(super) fn tell_new_device(ctx: &mut Context<'_>, user: &UserId) -> Result<(), StoreError> {
    if *user != ctx.me.user {
        return make_due(ctx, &ctx.me.direct(user));
    }
    for contact in ctx.tx.contacts()? {
        make_own_due(ctx, &ctx.me.direct(&contact.user))?;
    }
    Ok(())
}

fn due(ctx: &mut Context<'_>, conversation: &ConversationId, theirs: bool) -> Result<(), StoreError> {
    let mut own = ctx.tx.own_receipts(conversation)?;
    let before = (own.due, own.own_due);
    own.due |= theirs && *conversation != ctx.me.direct(&ctx.me.user);
    own.own_due |= !own::siblings(ctx).is_empty();
    if before != (own.due, own.own_due) {
        ctx.tx.put_own_receipts(conversation, &own)?;
    }
    ctx.agenda.receipts = true;
    Ok(())
}

/// The user has read all that shows of a contact. Gives how many messages that newly covers.
pub(super) fn mark_read(ctx: &mut Context<'_>, contact: &Contact) -> Result<usize, StoreError> {
    let conversation = ctx.me.direct(&contact.user);
    let mut own = ctx.tx.own_receipts(&conversation)?;
    let before = own.read.count();
    let mut seen = Frontier::default();
    for (device, item) in log::held(ctx.tx, &conversation)? {
        if !own::is_own(ctx, &device) {
            let cut = ctx.tx.cut(&conversation, &device)?;
            seen.set(device, cut.map_or_else(|| item.clone(), |cut| log::up_to(&item, &cut)));
        }
    }
    own.read.merge(&seen);
    let newly = own.read.count().saturating_sub(before);
    if newly > 0 {
        ctx.tx.put_own_receipts(&conversation, &own)?;
        make_due(ctx, &conversation)?;
    }
    Ok(usize::try_from(newly).unwrap_or(usize::MAX))
}

/// What is held of all other devices.
fn received_frontier(ctx: &Context<'_>, conversation: &ConversationId) -> Result<Frontier, StoreError> {
    let mut frontier = Frontier::default();
    for (device, item) in log::held(ctx.tx, conversation)? {
        if device != ctx.me.device {
            frontier.set(device, item);
        }
    }
    Ok(frontier)
}

/// Acknowledgements that are on their way at a start may have been made before the last one.
pub(super) fn look_behind(
    tx: &dyn NodeTx,
    agenda: &mut Agenda,
    conversation: &ConversationId,
) -> Result<(), StoreError> {
    for purpose in [Purpose::Acknowledgement(*conversation), Purpose::OwnAcknowledgement(*conversation)] {
        for item in tx.outbox_of(&purpose)? {
            agenda.behind.extend(item.recipients.iter().map(|to| (*conversation, to.device)));
        }
    }
    Ok(())
}

/// Makes the acknowledgements that are due. One of a conversation is on its way to each device at a time: what comes
/// meanwhile goes into the next. A device that can't be reached holds up no other.
pub(super) fn seal_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    if !std::mem::take(&mut ctx.agenda.receipts) {
        return Ok(());
    }
    let own_contact = own::own_contact(ctx)?;
    let mut conversations: BTreeSet<ConversationId> = ctx.tx.receipts_due()?.into_iter().collect();
    conversations.extend(ctx.agenda.behind.iter().map(|(conversation, _)| *conversation));
    for conversation in conversations {
        let Some(contact) = views::contact_of(ctx, &conversation)? else { continue };
        let due = ctx.tx.own_receipts(&conversation)?;
        if contact.state == ContactState::Accepted && !own::is_me(ctx, &contact) {
            seal(ctx, &contact, &conversation, Purpose::Acknowledgement(conversation), due.due)?;
        }
        if let Some(own) = &own_contact {
            seal(ctx, own, &conversation, Purpose::OwnAcknowledgement(conversation), due.own_due)?;
        }
    }
    Ok(())
}

/// Seals one for the devices of a contact, who may be oneself: for all if it is due, else for those that are behind.
fn seal(
    ctx: &mut Context<'_>,
    to: &Contact,
    conversation: &ConversationId,
    purpose: Purpose,
    is_due: bool,
) -> Result<(), StoreError> {
    let on_their_way = ctx.tx.outbox_of(&purpose)?;
    let waits = |device: &DeviceId| {
        on_their_way.iter().flat_map(|item| &item.recipients).any(|recipient| recipient.device == *device)
    };
    let (later, mut devices): (Vec<_>, Vec<_>) = own::authorised(ctx, to).into_iter().partition(waits);
    if !is_due {
        devices.retain(|device| ctx.agenda.behind.contains(&(*conversation, *device)));
    }
    let Some(devices) = pairwise::reach(ctx, to, &devices)? else { return Ok(()) };
    if is_due {
        ctx.agenda.behind.extend(later.into_iter().map(|device| (*conversation, device)));
    }
    let mut own = ctx.tx.own_receipts(conversation)?;
    let mut delivered = received_frontier(ctx, conversation)?;
    own.counter += 1;
    if own::is_me(ctx, to) {
        own.own_due = false;
        if let Some(item) = custody::in_custody(ctx, conversation)? {
            delivered.set(ctx.me.device, item);
        }
    } else {
        own.due = false;
    }
    let fields = AcknowledgementFields {
        conversation: *conversation,
        device: ctx.me.device,
        counter: own.counter,
        delivered,
        read: own.read.clone(),
        at: ctx.now,
    };
    let signed = Acknowledgement::issue(&ctx.me.key, fields).signed;
    for device in devices {
        let body = Body::Acknowledgement(signed.to_wire());
        ctx.agenda.behind.remove(&(*conversation, device));
        let Some(payload) = pairwise::seal(ctx, to, &device, body, None)? else { continue };
        outgoing::put(ctx, &to.user, &[device], purpose, NO_GROUP, payload)?;
    }
    ctx.tx.put_own_receipts(conversation, &own)
}
