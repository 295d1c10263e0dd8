//! Which entries of a group count, by the operations that are held.

use std::cell::RefCell;

use undertone_protocol::entry::EntryHeader;
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId, UserId};
use undertone_protocol::membership::{EntryPlace, EntryVerdict, UnknownHead};

use crate::engine::circle::Circle;
use crate::engine::context::Context;
use crate::engine::membership::heads_of;
use crate::log;
use crate::store::{Group, StoreError, StoredEntry};

/// Entries that are looked at in one go.
const PAGE: usize = 256;

/// Whether an entry counts.
pub(super) fn verdict(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    user: &UserId,
    header: &EntryHeader,
    id: &EntryId,
) -> Result<Result<EntryVerdict, UnknownHead>, StoreError> {
    let heads = heads_of(header);
    let place = EntryPlace { user: *user, device: header.device, heads: &heads };
    let failed: RefCell<Option<StoreError>> = RefCell::new(None);
    let tx = &*ctx.tx;
    // A cut names entries of the same device, of which each follows the one before.
    let is_below = |head: &EntryId| match tx.entry(head) {
        Ok(Some(named)) => {
            let named = &named.entry;
            let is_of_device = named.header.conversation == *group && named.header.device == header.device;
            named.id == *id || (is_of_device && header.seq < named.header.seq)
        }
        Ok(None) => head == id,
        Err(error) => {
            *failed.borrow_mut() = Some(error);
            false
        }
    };
    let Some(document) = ctx.groups.document(group) else { return Ok(Ok(EntryVerdict::NotIn)) };
    let verdict = document.entry_counts(place, is_below);
    match failed.into_inner() {
        Some(error) => Err(error),
        None => Ok(verdict),
    }
}

/// Notes whether a new entry counts. Where a cut may name it, those before it are looked at again.
pub(in crate::engine) fn judge_entry(
    ctx: &mut Context<'_>,
    group: &Group,
    stored: &StoredEntry,
) -> Result<(), StoreError> {
    let header = &stored.entry.header;
    let circle = Circle::Group(group.clone());
    let Some(user) = circle.user_of(ctx, &header.device) else { return Ok(()) };
    let is_end = ctx.groups.document(&group.id).is_some_and(|document| document.is_end(&stored.entry.id));
    let before = header.prev.map(|prev| ctx.tx.is_void(&prev)).transpose()?;
    if is_end || before == Some(true) {
        judge_device(ctx, &group.id, &user, &header.device)
    } else {
        judge(ctx, &group.id, &user, stored)
    }
}

fn judge(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    user: &UserId,
    stored: &StoredEntry,
) -> Result<(), StoreError> {
    let verdict = verdict(ctx, group, user, &stored.entry.header, &stored.entry.id)?;
    log::set_void(ctx.tx, stored, verdict != Ok(EntryVerdict::Counts))
}

/// Looks again which entries of a user count.
pub(super) fn judge_user(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    user: &UserId,
) -> Result<(), StoreError> {
    let wrote = ctx.tx.frontier(group)?.into_iter().map(|(device, _)| device);
    let circle = Circle::of(ctx, group)?;
    let devices: Vec<DeviceId> = wrote
        .filter(|device| {
            circle.as_ref().and_then(|circle| circle.user_of(ctx, device)).as_ref() == Some(user)
        })
        .collect();
    for device in devices {
        judge_device(ctx, group, user, &device)?;
    }
    Ok(())
}

fn judge_device(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    user: &UserId,
    device: &DeviceId,
) -> Result<(), StoreError> {
    let mut from = 1;
    loop {
        let page = ctx.tx.entries_of(group, device, from, PAGE)?;
        let last = page.last().map(|last| last.entry.header.seq);
        for stored in page {
            judge(ctx, group, user, &stored)?;
        }
        // Whoever cheats may have given an entry the largest number that there is.
        let Some(next) = last.and_then(|last| last.checked_add(1)) else { return Ok(()) };
        from = next;
    }
}
