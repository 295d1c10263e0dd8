//! Acknowledgement entries of others: what they cover moves ticks, and what they lack is sent again.

use undertone_protocol::codec::Signed;
use undertone_protocol::ids::{ConversationId, DeviceId, UserId};
use undertone_protocol::log::{Frontier, FrontierItem, SeqRange};
use undertone_protocol::receipts::{Acknowledgement, AcknowledgementFields, Tick};
use undertone_protocol::wire;

use super::agenda::Agenda;
use super::circle::Circle;
use super::context::Context;
use super::custody;
use super::outgoing;
use super::resend::LOOK_DELIVERIES_MAX;
use super::{acknowledged, elsewhere, history, info, progress, resend, ticks};
use crate::store::{Acknowledged, Delivery, NodeTx, StoreError};

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
    // One's own devices speak of all conversations, others of those in which they take part.
    let is_sibling = *user == ctx.me.user;
    let Some(circle) = Circle::of(ctx, &conversation)? else { return Ok(()) };
    if fields.device != *device || !(is_sibling || circle.knows(ctx, user)) {
        tracing::warn!(device = %device.short(), "an acknowledgement for another conversation or device");
        return Ok(());
    }
    // Nothing of theirs shows; when they are unblocked they say it again.
    if circle.contact().is_some_and(|contact| contact.state.is_blocked()) && !is_sibling {
        return Ok(());
    }
    let newest = ctx.tx.acknowledgement(&conversation, device)?;
    tracing::trace!(
        me = ctx.me.device.short(), from = device.short(), counter = fields.counter, delivered = ?fields.delivered, "is told"
    );
    let Some(counts) = acknowledged::counting(ctx, &circle, newest, &acknowledgement) else {
        return Ok(());
    };
    let before = acknowledged::of(ctx.tx, &conversation, device)?;
    ctx.tx.put_acknowledgement(&counts)?;
    let mut ever = before.clone();
    if is_sibling {
        acknowledged::take(ctx, &circle, &mut ever, &counts.fields, None)?;
        ctx.tx.put_acknowledged(&conversation, device, &ever)?;
        info::note_times(ctx, fields, &ever)?;
        return received_from_sibling(ctx, &circle, &before, fields);
    }
    acknowledged::take(ctx, &circle, &mut ever, &counts.fields, Some(&ctx.me.device))?;
    ever.next = Some(1);
    ctx.tx.put_acknowledged(&conversation, device, &ever)?;
    info::note_times(ctx, fields, &ever)?;
    elsewhere::told(ctx, &circle, &before, &ever, fields)?;
    ctx.agenda.take_in.insert((*device, conversation));
    // What it still lacks when what waits for it had time to come.
    history::spoke(ctx, &circle, user, device)
}

/// Another device of the user says what it has, and what the user read there: that is read here too.
fn received_from_sibling(
    ctx: &mut Context<'_>,
    circle: &Circle,
    before: &Acknowledged,
    said: &AcknowledgementFields,
) -> Result<(), StoreError> {
    custody::told(ctx, circle, before, said)?;
    let AcknowledgementFields { conversation, read, .. } = said;
    let mut own = ctx.tx.own_receipts(conversation)?;
    if own.read.merge(read) {
        ctx.tx.put_own_receipts(conversation, &own)?;
    }
    history::sibling_spoke(ctx, said);
    Ok(())
}

/// At a start: what was not taken in before the end.
pub(super) fn look_at_rest(
    tx: &dyn NodeTx,
    agenda: &mut Agenda,
    devices: &[DeviceId],
    conversation: &ConversationId,
) -> Result<(), StoreError> {
    for device in devices {
        if tx.acknowledged(conversation, device)?.is_some_and(|ever| ever.next.is_some()) {
            agenda.take_in.insert((*device, *conversation));
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
    progress::note(ctx, conversation, device, &delivered, &read)?;
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
    let tick = progress::among_all(ctx, &delivery, tick)?;
    if tick > delivery.tick || delivery.failed.is_some() {
        delivery.tick = delivery.tick.max(tick);
        delivery.failed = None;
        ticks::keep(ctx, &delivery)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
