//! Entries of this device are made.

use undertone_protocol::entry::{EntryBody, EntryHeader, SignedEntry};
use undertone_protocol::ids::{ConversationId, DeviceListHash, EntryId, OperationHash};
use undertone_protocol::limits::{ENTRY_HEADS_MAX, MEMBERSHIP_HEADS_MAX};
use undertone_protocol::receipts::Tick;
use undertone_protocol::time::Timestamp;

use super::circle::Circle;
use super::context::Context;
use super::vanishing;
use crate::log;
use crate::store::{Contact, Delivery, Group, StoreError};

/// Adds an entry of this device to a conversation.
pub(super) fn append_to(
    ctx: &mut Context<'_>,
    circle: &Circle,
    body: EntryBody,
) -> Result<EntryId, StoreError> {
    let expires = vanishing::expiry(ctx, circle, &body)?;
    match circle {
        Circle::Direct(contact) => {
            let (heads, tick) = direct(ctx, contact);
            write(ctx, ctx.me.direct(&contact.user), heads, tick, (body, expires))
        }
        Circle::Group(group) => {
            let heads = operations(&ctx.groups.heads_for(&group.id, &ctx.me.user));
            write(ctx, group.id, heads, Tick::Queued, (body, expires))
        }
    }
}

/// Adds an entry of this device to the conversation with a contact; it is sealed when it can be. What a user
/// tells their own devices only is read by them already.
pub(super) fn append(
    ctx: &mut Context<'_>,
    contact: &Contact,
    body: EntryBody,
) -> Result<EntryId, StoreError> {
    let (heads, tick) = direct(ctx, contact);
    write(ctx, ctx.me.direct(&contact.user), heads, tick, (body, None))
}

fn direct(ctx: &Context<'_>, contact: &Contact) -> (Vec<DeviceListHash>, Tick) {
    let mut heads = vec![ctx.me.account.device_list.hash()];
    heads.extend(contact.device_list.as_ref().map(|list| list.hash()));
    heads.dedup();
    (heads, if contact.user == ctx.me.user { Tick::Read } else { Tick::Queued })
}

/// Adds an entry of this device to a group, by what is known of its membership.
pub(super) fn append_to_group(
    ctx: &mut Context<'_>,
    group: &Group,
    body: EntryBody,
) -> Result<EntryId, StoreError> {
    let heads = ctx.groups.heads_for(&group.id, &ctx.me.user);
    append_knowing(ctx, group, &heads, body)
}

/// The same, by these operations: at most [`MEMBERSHIP_HEADS_MAX`].
pub(super) fn append_knowing(
    ctx: &mut Context<'_>,
    group: &Group,
    heads: &[OperationHash],
    body: EntryBody,
) -> Result<EntryId, StoreError> {
    write(ctx, group.id, operations(heads), Tick::Queued, (body, None))
}

fn operations(heads: &[OperationHash]) -> Vec<DeviceListHash> {
    let heads = heads.iter().take(MEMBERSHIP_HEADS_MAX);
    heads.map(|hash| DeviceListHash::new(*hash.as_bytes())).collect()
}

fn write(
    ctx: &mut Context<'_>,
    conversation: ConversationId,
    membership_heads: Vec<DeviceListHash>,
    tick: Tick,
    (body, expires): (EntryBody, Option<Timestamp>),
) -> Result<EntryId, StoreError> {
    let own = log::frontier_of(ctx.tx, &conversation, &ctx.me.device)?;
    let header = EntryHeader {
        conversation,
        device: ctx.me.device,
        seq: own.seq + 1,
        prev: own.head,
        heads: ctx.tx.heads(&conversation, ENTRY_HEADS_MAX)?,
        claimed: ctx.now,
        membership_heads,
        body_hash: body.hash(),
        expires,
    };
    let entry = SignedEntry::issue(ctx.me.key.signing_key(), header, body);
    let (id, seq) = (entry.id, entry.header.seq);
    if let Some(stored) = log::insert(ctx.tx, entry, ctx.now)?
        && let Some(circle) = Circle::of(ctx, &conversation)?
    {
        vanishing::note(ctx, &circle, &stored)?;
    }
    ctx.tx.put_delivery(&Delivery { entry: id, conversation, seq, sealed: false, tick, failed: None })?;
    ctx.agenda.seal.insert(conversation);
    Ok(id)
}
