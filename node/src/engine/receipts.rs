//! Ticks: acknowledgement entries of others move ours, and ours are made when something is due.

use undertone_protocol::codec::Signed;
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId, UserId};
use undertone_protocol::log::Frontier;
use undertone_protocol::receipts::{Acknowledgement, AcknowledgementFields, Tick};
use undertone_protocol::wire;
use undertone_protocol::wire::pairwise::Body;

use super::context::Context;
use super::outgoing::{self, NO_GROUP};
use super::sealing::authorised;
use super::{pairwise, resend, views};
use crate::event::Event;
use crate::store::{Contact, ContactState, Delivery, Failure, OutboxState, OwnReceipts, Purpose, StoreError};

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
    // Nothing of theirs shows; when they are unblocked they say it again.
    if ctx.tx.contact(user)?.is_none_or(|contact| contact.state.is_blocked()) {
        return Ok(());
    }
    let fields = &acknowledgement.fields;
    let conversation = ctx.me.direct(user);
    if fields.device != *device || fields.conversation != conversation {
        tracing::warn!(device = %device.short(), "an acknowledgement for another conversation or device");
        return Ok(());
    }
    let known = ctx.tx.acknowledgement(&conversation, device)?;
    if known.as_ref().is_some_and(|known| known.fields.counter >= fields.counter) {
        return Ok(());
    }
    ctx.tx.put_acknowledgement(&acknowledgement)?;
    let known = known.map(|known| known.fields);
    let before = known.as_ref().map(|known| (&known.delivered, &known.read));
    apply(
        ctx,
        device,
        &conversation,
        before.map(|(delivered, _)| delivered),
        &fields.delivered,
        Tick::Delivered,
    )?;
    apply(ctx, device, &conversation, before.map(|(_, read)| read), &fields.read, Tick::Read)?;
    match (ctx.tx.contact(user)?, fields.delivered.get(&ctx.me.device)) {
        (Some(contact), Some(held)) if !held.ranges.is_empty() => {
            resend::fill_gaps(ctx, &contact, device, held)
        }
        _ => Ok(()),
    }
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
    let mut items = ctx.tx.outbox_of(&Purpose::Entry(delivery.entry))?;
    items.extend(ctx.tx.outbox_of(&Purpose::Key(delivery.entry))?);
    for mut item in items {
        for recipient in item.recipients.iter_mut().filter(|recipient| recipient.device == *device) {
            // The entry may have come another way, and its key not yet.
            let key_to_send = matches!(item.purpose, Purpose::Key(_))
                && matches!(recipient.state, OutboxState::Pending { .. });
            if !key_to_send {
                recipient.state = OutboxState::Acknowledged;
            }
        }
        if item.recipients.iter().all(|recipient| recipient.state == OutboxState::Acknowledged) {
            ctx.tx.delete_outbox(item.id)?;
        } else {
            ctx.tx.put_outbox(&item)?;
        }
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
            keep(ctx, &delivery)
        }
        _ => Ok(()),
    }
}

/// Flags a message as failed, unless a device has it by now.
pub(super) fn fail(ctx: &mut Context<'_>, entry: &EntryId, failure: Failure) -> Result<(), StoreError> {
    match ctx.tx.delivery(entry)? {
        Some(mut delivery) if delivery.tick < Tick::Delivered && delivery.failed != Some(failure) => {
            delivery.failed = Some(failure);
            keep(ctx, &delivery)
        }
        _ => Ok(()),
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
    let mut own = ctx.tx.own_receipts(conversation)?;
    if !own.due {
        own.due = true;
        ctx.tx.put_own_receipts(conversation, &own)?;
    }
    ctx.agenda.receipts = true;
    Ok(())
}

/// The user has read all that came from a contact. Gives how many messages that newly covers.
pub(super) fn mark_read(ctx: &mut Context<'_>, contact: &Contact) -> Result<usize, StoreError> {
    let conversation = ctx.me.direct(&contact.user);
    let mut own = ctx.tx.own_receipts(&conversation)?;
    let read = received_frontier(ctx, &conversation)?;
    let newly = read.count().saturating_sub(own.read.count());
    if newly > 0 {
        own.read = read;
        own.due = true;
        ctx.tx.put_own_receipts(&conversation, &own)?;
        ctx.agenda.receipts = true;
    }
    Ok(usize::try_from(newly).unwrap_or(usize::MAX))
}

/// What is held of everybody else's devices.
fn received_frontier(ctx: &Context<'_>, conversation: &ConversationId) -> Result<Frontier, StoreError> {
    let mut frontier = Frontier::default();
    for (device, item) in ctx.tx.frontier(conversation)? {
        if device != ctx.me.device {
            frontier.set(device, item);
        }
    }
    Ok(frontier)
}

/// Makes the acknowledgements that are due. One per conversation is on its way at a time: what comes
/// meanwhile goes into the next.
pub(super) fn seal_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    if !std::mem::take(&mut ctx.agenda.receipts) {
        return Ok(());
    }
    for conversation in ctx.tx.receipts_due()? {
        let Some(contact) = views::contact_of(ctx, &conversation)? else { continue };
        let waits = contact.state != ContactState::Accepted
            || !ctx.tx.outbox_of(&Purpose::Acknowledgement(conversation))?.is_empty();
        if !waits {
            seal(ctx, &contact, &conversation)?;
        }
    }
    Ok(())
}

fn seal(ctx: &mut Context<'_>, contact: &Contact, conversation: &ConversationId) -> Result<(), StoreError> {
    let own = ctx.tx.own_receipts(conversation)?;
    let fields = AcknowledgementFields {
        conversation: *conversation,
        device: ctx.me.device,
        counter: own.counter + 1,
        delivered: received_frontier(ctx, conversation)?,
        read: own.read.clone(),
        at: ctx.now,
    };
    let signed = Acknowledgement::issue(&ctx.me.key, fields).signed;
    let devices = authorised(contact);
    if !pairwise::can_reach(ctx, contact, &devices)? {
        return Ok(());
    }
    for device in devices {
        let body = Body::Acknowledgement(signed.to_wire());
        let Some(payload) = pairwise::seal(ctx, contact, &device, body, None)? else { continue };
        let purpose = Purpose::Acknowledgement(*conversation);
        outgoing::put(ctx, &contact.user, &[device], purpose, NO_GROUP, payload)?;
    }
    ctx.tx.put_own_receipts(conversation, &OwnReceipts { counter: own.counter + 1, due: false, ..own })
}
