//! Which entries of a group are taken, and which of them count.

use std::cell::RefCell;

use undertone_protocol::entry::{Content, EntryHeader, SignedEntry};
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId, UserId};
use undertone_protocol::membership::{EntryPlace, EntryVerdict, Operation, UnknownHead};

use super::updates;
use crate::engine::admission::Admission;
use crate::engine::circle::Circle;
use crate::engine::context::Context;
use crate::engine::membership::heads_of;
use crate::log;
use crate::store::{Group, StoreError, StoredEntry};

/// Entries that are looked at in one go.
const PAGE: usize = 256;

/// Whether an entry may go into a group's log, or why not. What it does to the membership is done either way: who may do
/// what, the operations say themselves.
pub(in crate::engine) fn admit_entry(
    ctx: &mut Context<'_>,
    group: &Group,
    entry: &SignedEntry,
) -> Result<Result<(), Admission>, StoreError> {
    let header = &entry.header;
    if let Content::Operation(signed) = &entry.body.content {
        let is_own = Operation::from_bytes(&signed.body).is_ok_and(|made| made.device == header.device);
        if !is_own {
            return Ok(Err(Admission::Refused("a change of the group by another device")));
        }
        updates::take_operations(ctx, &group.id, &header.device, vec![signed.clone()])?;
    }
    let circle = Circle::Group(group.clone());
    let Some(user) = circle.user_of(ctx, &header.device) else { return Ok(Err(Admission::Later)) };
    match verdict(ctx, &group.id, &user, header, &entry.id)? {
        Err(UnknownHead(_)) => {
            updates::ask(ctx, &group.id, &header.device);
            Ok(Err(Admission::Later))
        }
        Ok(EntryVerdict::NotIn) => Ok(Err(Admission::Refused("its author was not in the group"))),
        Ok(_) if !may_write(ctx, &group.id, &user, entry) => {
            Ok(Err(Admission::Refused("its author may not write in the group")))
        }
        Ok(EntryVerdict::Counts | EntryVerdict::DeviceRevoked | EntryVerdict::Removed) => Ok(Ok(())),
    }
}

/// Whether the author may say this, by what they knew.
fn may_write(ctx: &Context<'_>, group: &ConversationId, user: &UserId, entry: &SignedEntry) -> bool {
    if matches!(entry.body.content, Content::Operation(_) | Content::Devices(_)) {
        return true;
    }
    let view = ctx.groups.view_at(group, &heads_of(&entry.header));
    view.is_some_and(|view| view.may_write(user))
}

fn verdict(
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
            named.id == *id || (named.header.device == header.device && header.seq < named.header.seq)
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
    let is_suspect = ctx.groups.view(&group.id).is_some_and(|view| !view.is_active(&user, &header.device));
    let before = header.prev.map(|prev| ctx.tx.is_void(&prev)).transpose()?;
    if is_suspect || before == Some(true) {
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
        let Some(last) = page.last() else { return Ok(()) };
        from = last.entry.header.seq.saturating_add(1);
        for stored in page {
            judge(ctx, group, user, &stored)?;
        }
    }
}
