//! This device's own acknowledgement entries: what makes them due, and how they are made.

use std::collections::BTreeSet;

use undertone_protocol::ids::{ConversationId, DeviceId, UserId};
use undertone_protocol::keys::DeviceList;
use undertone_protocol::log::Frontier;
use undertone_protocol::receipts::{Acknowledgement, AcknowledgementFields, Authors};

use super::agenda::{Agenda, Side};
use super::circle::Circle;
use super::context::Context;
use super::{acknowledged, acknowledgements, custody, group_acknowledging, own, pairwise};
use crate::log;
use crate::store::{Contact, NodeTx, Purpose, StoreError};

/// Something new must be acknowledged.
pub(super) fn make_due(ctx: &mut Context<'_>, conversation: &ConversationId) -> Result<(), StoreError> {
    due(ctx, conversation, true)
}

/// Own other devices must be told what this one holds of a conversation.
pub(super) fn make_own_due(ctx: &mut Context<'_>, conversation: &ConversationId) -> Result<(), StoreError> {
    due(ctx, conversation, false)
}

/// A device that could not be reached before gets what it missed: what is held here of its user's conversations, of
/// all conversations if it is this user's.
pub(super) fn tell_new_device(ctx: &mut Context<'_>, user: &UserId) -> Result<(), StoreError> {
    if *user != ctx.me.user {
        return make_all_due(ctx, user);
    }
    let conversations: Vec<(ConversationId, Side)> =
        ctx.agenda.directory.iter().map(|(conversation, side)| (*conversation, *side)).collect();
    for (conversation, side) in conversations {
        make_own_due(ctx, &conversation)?;
        if side == Side::Group {
            ctx.agenda.share.insert(conversation);
        }
    }
    Ok(())
}

/// Whatever is said to a user must be said again: in the conversation with them, and in common groups.
pub(super) fn make_all_due(ctx: &mut Context<'_>, user: &UserId) -> Result<(), StoreError> {
    make_due(ctx, &ctx.me.direct(user))?;
    for group in ctx.tx.groups_of(user)? {
        // What was said to their devices may be lost.
        let known = ctx.tx.contact(user)?.and_then(|contact| contact.device_list);
        let devices = known.iter().flat_map(DeviceList::active).map(|certificate| certificate.device);
        ctx.agenda.behind.extend(devices.map(|device| (group, device)));
        make_due(ctx, &group)?;
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

/// The user has read all that shows of a conversation. Gives what was read before, and what is now.
pub(super) fn mark_read(
    ctx: &mut Context<'_>,
    conversation: &ConversationId,
) -> Result<(Frontier, Frontier), StoreError> {
    let conversation = *conversation;
    let mut own = ctx.tx.own_receipts(&conversation)?;
    let before = own.read.clone();
    let mut seen = Frontier::default();
    for (device, item) in log::held(ctx.tx, &conversation)? {
        if !own::is_own(ctx, &device) {
            let cut = ctx.tx.cut(&conversation, &device)?;
            let counting =
                cut.map(|cut| log::up_to(ctx.tx, &conversation, &device, &item, &cut)).transpose()?;
            seen.set(device, counting.unwrap_or(item));
        }
    }
    if own.read.merge(&seen) {
        ctx.tx.put_own_receipts(&conversation, &own)?;
        make_due(ctx, &conversation)?;
    }
    Ok((before, own.read))
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

/// Makes the acknowledgements that are due. One of a conversation, in as many parts as it takes, is on its way to each
/// device at a time: what comes meanwhile goes into the next. A device that can't be reached holds up no other.
pub(super) fn seal_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    let is_time = ctx.agenda.receipts_at.take_if(|at| *at <= ctx.now).is_some();
    if !std::mem::take(&mut ctx.agenda.receipts) && !is_time {
        return Ok(());
    }
    let own_contact = own::own_contact(ctx)?;
    let mut conversations: BTreeSet<ConversationId> = ctx.tx.receipts_due()?.into_iter().collect();
    conversations.extend(ctx.agenda.behind.iter().map(|(conversation, _)| *conversation));
    for conversation in conversations {
        let Some(circle) = Circle::of(ctx, &conversation)? else { continue };
        let due = ctx.tx.own_receipts(&conversation)?;
        match &circle {
            Circle::Direct(contact) if circle.is_open() && !own::is_me(ctx, contact) => {
                seal(ctx, contact, &conversation, Purpose::Acknowledgement(conversation), due.due)?;
            }
            Circle::Group(_) if circle.is_open() => group_acknowledging::seal(ctx, &circle, &conversation)?,
            Circle::Direct(_) | Circle::Group(_) => {}
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
    let mut delivered = acknowledged::received(ctx, conversation)?;
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
        authors: Authors::default(),
    };
    let all = Acknowledgement::issue_all(&ctx.me.key, fields);
    own.counter = acknowledgements::last_counter(&all);
    for device in devices {
        ctx.agenda.behind.remove(&(*conversation, device));
        acknowledgements::send(ctx, to, &device, purpose, &all)?;
    }
    ctx.tx.put_own_receipts(conversation, &own)
}

#[cfg(test)]
mod tests;
