//! Entries of this device are made.

use undertone_protocol::entry::{EntryBody, EntryHeader, SignedEntry};
use undertone_protocol::ids::EntryId;
use undertone_protocol::limits::ENTRY_HEADS_MAX;
use undertone_protocol::receipts::Tick;

use super::context::Context;
use crate::log;
use crate::store::{Contact, Delivery, StoreError};

/// Adds an entry of this device to the conversation with a contact; it is sealed when it can be. What a user
/// tells their own devices only is read by them already.
pub(super) fn append(
    ctx: &mut Context<'_>,
    contact: &Contact,
    body: EntryBody,
) -> Result<EntryId, StoreError> {
    let conversation = ctx.me.direct(&contact.user);
    let own = log::frontier_of(ctx.tx, &conversation, &ctx.me.device)?;
    let mut membership_heads = vec![ctx.me.account.device_list.hash()];
    membership_heads.extend(contact.device_list.as_ref().map(|list| list.hash()));
    membership_heads.dedup();
    let header = EntryHeader {
        conversation,
        device: ctx.me.device,
        seq: own.seq + 1,
        prev: own.head,
        heads: ctx.tx.heads(&conversation, ENTRY_HEADS_MAX)?,
        claimed: ctx.now,
        membership_heads,
        body_hash: body.hash(),
        expires: None,
    };
    let entry = SignedEntry::issue(ctx.me.key.signing_key(), header, body);
    let (id, seq) = (entry.id, entry.header.seq);
    log::insert(ctx.tx, entry, ctx.now)?;
    let tick = if contact.user == ctx.me.user { Tick::Read } else { Tick::Queued };
    ctx.tx.put_delivery(&Delivery { entry: id, conversation, seq, sealed: false, tick, failed: None })?;
    ctx.agenda.seal.insert(conversation, contact.user);
    Ok(id)
}
