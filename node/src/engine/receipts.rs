//! Ticks: acknowledgement entries of others move ours, and ours are made when something is due.

use std::collections::BTreeSet;

use undertone_protocol::codec::Signed;
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId, UserId};
use undertone_protocol::log::Frontier;
use undertone_protocol::receipts::{Acknowledgement, AcknowledgementFields, Tick};
use undertone_protocol::wire;
use undertone_protocol::wire::pairwise::Body;

use super::agenda::Agenda;
use super::context::Context;
use super::custody::{self, TICKS_TOLD};
use super::outgoing::{self, NO_GROUP};
use super::{history, own, pairwise, resend, views};
use crate::event::Event;
use crate::log;
use crate::store::{Contact, ContactState, Delivery, Failure, NodeTx, Purpose, StoreError};

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
    let known = ctx.tx.acknowledgement(&conversation, device)?;
    if known.as_ref().is_some_and(|known| known.fields.counter >= fields.counter) {
        return Ok(());
    }
    ctx.tx.put_acknowledgement(&acknowledgement)?;
    let known = known.map(|known| known.fields);
    if is_sibling {
        return received_from_sibling(ctx, &contact, known.as_ref(), &acknowledgement.fields);
    }
    let before = known.as_ref().map(|known| (&known.delivered, &known.read));
    let (delivered, read) = (before.map(|(delivered, _)| delivered), before.map(|(_, read)| read));
    apply(ctx, device, &conversation, delivered, &fields.delivered, Tick::Delivered)?;
    apply(ctx, device, &conversation, read, &fields.read, Tick::Read)?;
    siblings_ticks(ctx, &contact, known.as_ref(), fields)?;
    // What it still lacks when what waits for it had time to come.
    history::spoke(ctx, device, &conversation);
    match fields.delivered.get(&ctx.me.device) {
        Some(held) if !held.ranges.is_empty() => resend::fill_gaps(ctx, &contact, device, held),
        _ => Ok(()),
    }
}

/// Another device of the user says what it has, and what the user read there: that is read here too.
fn received_from_sibling(
    ctx: &mut Context<'_>,
    contact: &Contact,
    before: Option<&AcknowledgementFields>,
    after: &AcknowledgementFields,
) -> Result<(), StoreError> {
    custody::told(ctx, contact, before, after)?;
    let AcknowledgementFields { conversation, device, read, .. } = after;
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
    before: Option<&AcknowledgementFields>,
    after: &AcknowledgementFields,
) -> Result<(), StoreError> {
    for sibling in own::siblings(ctx) {
        let seq = |frontier: &Frontier| frontier.get(&sibling).map_or(0, |item| item.seq);
        let settled = before.map_or(0, |before| seq(&before.delivered).min(seq(&before.read)));
        let through = seq(&after.delivered).max(seq(&after.read));
        let newly = through.saturating_sub(settled).min(TICKS_TOLD as u64);
        let from = through.saturating_sub(newly).saturating_add(1);
        for stored in ctx.tx.entries_of(&after.conversation, &sibling, from, TICKS_TOLD)? {
            if !log::counts(ctx.tx, &stored)? {
                continue;
            }
            let header = &stored.entry.header;
            let elsewhere = views::siblings_tick(ctx, contact, header, Some(&after.device))?;
            let was = before.map_or(elsewhere, |before| views::tick_by(before, header).max(elsewhere));
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

/// Takes in what a device's frontier covers beyond the one before.
fn apply(
    ctx: &mut Context<'_>,
    device: &DeviceId,
    conversation: &ConversationId,
    before: Option<&Frontier>,
    after: &Frontier,
    tick: Tick,
) -> Result<(), StoreError> {
    let own = ctx.me.device;
    let Some(after) = after.get(&own) else { return Ok(()) };
    // They hold what somebody else wrote under this device's name: nothing of it vouches for what was written here.
    let held = ctx.tx.entries_at(conversation, &own, after.seq)?;
    if after.seq > 0 && !held.iter().any(|stored| Some(stored.entry.id) == after.head) {
        return Ok(());
    }
    let done = before.and_then(|before| before.get(&own)).map_or(0, |item| item.seq);
    for delivery in ctx.tx.deliveries_between(conversation, done.saturating_add(1), after.last())? {
        if after.covers(delivery.seq) {
            acknowledged(ctx, delivery, device, tick)?;
        }
    }
    Ok(())
}

/// A device has a message of ours.
fn acknowledged(
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
    for mut delivery in ctx.tx.deliveries_between(conversation, seq, u64::MAX)? {
        if !delivery.is_void() {
            delivery.failed = Some(Failure::Copied);
            keep(ctx, &delivery)?;
        }
    }
    Ok(())
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
