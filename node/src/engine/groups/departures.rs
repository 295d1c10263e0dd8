//! Whoever is out of a group acknowledges nothing of it: what relays hold for them is waited for no longer.

use std::collections::BTreeSet;

use undertone_protocol::ids::{ConversationId, EntryId, UserId};

use crate::engine::context::Context;
use crate::engine::{outgoing, progress, routes};
use crate::store::{Group, OutboxHead, OutboxState, Purpose, Standing, StoreError};

/// Items looked at in one go.
const PAGE: usize = 128;

/// Somebody is out: what was on its way to them may come, but nothing here waits for it. What no relay took yet still
/// goes, if there is a way: they were in when it was written.
pub(super) fn settle(ctx: &mut Context<'_>, group: &ConversationId, user: &UserId) -> Result<(), StoreError> {
    let mut entries = BTreeSet::new();
    let list = ctx.tx.contact(user)?.and_then(|contact| contact.device_list);
    let ways = routes::grants_of(ctx, Some(group), user)?;
    for listed in list.iter().flat_map(|list| &list.devices) {
        let device = listed.certificate.device;
        let has_way = ways.iter().any(|grant| grant.device == device);
        let mut after_id = 0;
        loop {
            let page = ctx.tx.outbox_to(&device, after_id, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after_id = last.id;
            for (head, state) in page {
                let is_over = match state {
                    OutboxState::Acknowledged => false,
                    OutboxState::Pending { .. } => !has_way,
                    OutboxState::Custody { .. } | OutboxState::Failed | OutboxState::LeftOut => true,
                };
                if is_over && conversation_of(ctx, &head)? == Some(*group) {
                    outgoing::settled(ctx, &head, &device)?;
                    entries.extend(entry_of(&head));
                }
            }
        }
    }
    for entry in entries {
        outgoing::drop_keys_of_acknowledged(ctx, &entry)?;
        if ctx.tx.outbox_is_there(&Purpose::Entry(entry), true)? {
            progress::sent(ctx, &entry)?;
        }
    }
    Ok(())
}

/// The group of which an item is a message, with its number there.
pub(in crate::engine) fn message_of(
    ctx: &Context<'_>,
    item: u64,
) -> Result<Option<(Group, u64)>, StoreError> {
    let entry = ctx.tx.outbox_head(item)?.and_then(|head| entry_of(&head));
    let Some(delivery) = entry.map(|entry| ctx.tx.delivery(&entry)).transpose()?.flatten() else {
        return Ok(None);
    };
    Ok(ctx.tx.group(&delivery.conversation)?.map(|group| (group, delivery.seq)))
}

/// Whether somebody gets nothing any more of a message of a group: they are out, or this user is; or they came back since,
/// and begin anew.
pub(in crate::engine) fn is_over(
    ctx: &Context<'_>,
    message: Option<&(Group, u64)>,
    user: &UserId,
) -> Result<bool, StoreError> {
    let Some((group, seq)) = message else { return Ok(false) };
    let is_in = ctx.groups.view(&group.id).is_some_and(|view| view.is_in(user));
    let begins_later = ctx.tx.member(&group.id, user)?.is_some_and(|member| *seq < member.from_seq);
    Ok(group.standing != Standing::In || !is_in || begins_later)
}

fn conversation_of(ctx: &Context<'_>, item: &OutboxHead) -> Result<Option<ConversationId>, StoreError> {
    match item.purpose {
        Purpose::Entry(entry) | Purpose::Key(entry) => {
            Ok(ctx.tx.delivery(&entry)?.map(|delivery| delivery.conversation))
        }
        Purpose::Group(group) | Purpose::Acknowledgement(group) | Purpose::History(group) => Ok(Some(group)),
        _ => Ok(None),
    }
}

/// The message that an item is, or that it brings the key of.
const fn entry_of(item: &OutboxHead) -> Option<EntryId> {
    match item.purpose {
        Purpose::Entry(entry) | Purpose::Key(entry) => Some(entry),
        _ => None,
    }
}
