//! What devices ever acknowledged: the union of all that each signed. A frontier that is lowered asks for nothing again,
//! and no tick goes back.

use undertone_protocol::entry::EntryHeader;
use undertone_protocol::ids::{ConversationId, DeviceId};
use undertone_protocol::log::{Frontier, FrontierItem, SeqRange};
use undertone_protocol::receipts::{Acknowledgement, AcknowledgementFields, Tick};

use super::circle::Circle;
use super::context::Context;
use super::own;
use crate::log;
use crate::store::{Acknowledged, NodeTx, StoreError};

/// What a device ever acknowledged of a conversation; nothing, if it never spoke of it.
pub(super) fn of(
    tx: &dyn NodeTx,
    conversation: &ConversationId,
    device: &DeviceId,
) -> Result<Acknowledged, StoreError> {
    if let Some(known) = tx.acknowledged(conversation, device)? {
        return Ok(known);
    }
    // A store of an earlier version has no more than the newest one, which was taken in.
    let newest = tx.acknowledgement(conversation, device)?.map(|newest| newest.fields);
    Ok(newest
        .map(|AcknowledgementFields { delivered, read, .. }| Acknowledged { delivered, read, next: None })
        .unwrap_or_default())
}

/// Whether a device ever acknowledged this device's entry of a number.
pub(super) fn has(
    ctx: &Context<'_>,
    conversation: &ConversationId,
    device: &DeviceId,
    seq: u64,
) -> Result<bool, StoreError> {
    Ok(of(ctx.tx, conversation, device)?.delivered.covers(&ctx.me.device, seq))
}

/// How far a message has come by this.
pub(super) fn tick(ever: &Acknowledged, header: &EntryHeader) -> Tick {
    if ever.read.covers(&header.device, header.seq) {
        Tick::Read
    } else if ever.delivered.covers(&header.device, header.seq) {
        Tick::Delivered
    } else {
        Tick::Queued
    }
}

/// What is held of all other devices, as it is acknowledged: of one that forked nothing from there on, by which others
/// see that this one knows of it.
pub(super) fn received(ctx: &Context<'_>, conversation: &ConversationId) -> Result<Frontier, StoreError> {
    let mut frontier = Frontier::default();
    for (device, item) in log::held(ctx.tx, conversation)? {
        if device == ctx.me.device {
            continue;
        }
        let cut = log::fork(ctx.tx, conversation, &device)?;
        let known = cut.map(|cut| log::up_to(ctx.tx, conversation, &device, &item, &cut)).transpose()?;
        let item = known.unwrap_or(item);
        if item != FrontierItem::default() {
            frontier.set(device, item);
        }
    }
    Ok(frontier)
}

/// What a device's word comes to with what it said before; `None`: it changes nothing. Of devices that no list names only
/// what it says now is kept, or whoever names ever other ones would fill the disk.
pub(super) fn counting(
    ctx: &Context<'_>,
    circle: &Circle,
    newest: Option<Acknowledgement>,
    said: &Acknowledgement,
) -> Option<Acknowledgement> {
    let Some(newest) = newest else { return Some(said.clone()) };
    let mut joined = said.fields.joined(&newest.fields)?;
    if joined == said.fields {
        return Some(said.clone());
    }
    let AcknowledgementFields { delivered, read, .. } = &said.fields;
    for (kept, said_of) in [(&mut joined.delivered, delivered), (&mut joined.read, read)] {
        kept.retain(|device| is_listed(ctx, circle, device) || said_of.get(device).is_some());
    }
    // For this device alone: its maker signed each part.
    Some(Acknowledgement::issue(&ctx.me.key, joined))
}

/// Whether a list names a device, so that it may have written here.
fn is_listed(ctx: &Context<'_>, circle: &Circle, device: &DeviceId) -> bool {
    let is_theirs = match circle {
        Circle::Direct(contact) => {
            contact.device_list.as_ref().is_some_and(|list| list.device(device).is_some())
        }
        Circle::Group(_) => ctx.agenda.devices.contains_key(device),
    };
    is_theirs || own::is_own(ctx, device)
}

/// Takes in what a device says of all entries but those of one author. A device that no list names is remembered for
/// as long as it is said something of. Where it has other entries than those here under this user's numbers, nothing
/// can be concluded: they are exchanged (`log.md`).
pub(super) fn take(
    ctx: &Context<'_>,
    circle: &Circle,
    known: &mut Acknowledged,
    said: &AcknowledgementFields,
    without: Option<&DeviceId>,
) -> Result<(), StoreError> {
    for (known, said_of) in [(&mut known.delivered, &said.delivered), (&mut known.read, &said.read)] {
        known.retain(|device| is_listed(ctx, circle, device) || said_of.get(device).is_some());
        for (author, item) in said_of.items().filter(|(author, _)| without != Some(*author)) {
            let is_tick = own::is_own(ctx, author) && !own::is_own(ctx, &said.device);
            let has_room = known.has_room(author);
            if has_room && (!is_tick || agrees(ctx, &said.conversation, author, item)?) {
                known.merge_item(*author, item);
            }
        }
    }
    Ok(())
}

/// What a device says of this device's entries, as far as they were written; `None` where it has others under their
/// numbers.
pub(super) fn of_mine(
    ctx: &Context<'_>,
    conversation: &ConversationId,
    item: &FrontierItem,
) -> Result<Option<FrontierItem>, StoreError> {
    let own = ctx.me.device;
    if !agrees(ctx, conversation, &own, item)? {
        return Ok(None);
    }
    let last = log::frontier_of(ctx.tx, conversation, &own)?.last();
    let cut = |range: &SeqRange| SeqRange { from: range.from, through: range.through.min(last) };
    let ranges = item.ranges.iter().filter(|range| range.from <= last).map(cut).collect();
    Ok(Some(FrontierItem { ranges, ends: Vec::new(), ..item.clone() }))
}

/// Whether the head that is said of an author is the entry that is held under its number. Of another device it may not
/// be held yet.
fn agrees(
    ctx: &Context<'_>,
    conversation: &ConversationId,
    author: &DeviceId,
    item: &FrontierItem,
) -> Result<bool, StoreError> {
    let Some(head) = item.head else { return Ok(true) };
    let here = ctx.tx.entries_at(conversation, author, item.seq)?;
    let is_mine = *author == ctx.me.device;
    if here.is_empty() {
        return Ok(!is_mine);
    }
    // Of two entries under one number of this device, only one was written here.
    let is_written_here = !is_mine || here.len() == 1 || ctx.tx.delivery(&head)?.is_some();
    Ok(is_written_here && here.iter().any(|stored| stored.entry.id == head))
}
