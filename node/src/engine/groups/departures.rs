//! Whoever is out of a group acknowledges nothing of it: what relays hold for them is waited for no longer.

use std::collections::BTreeSet;

use undertone_protocol::ids::{ConversationId, EntryId, UserId};

use crate::engine::context::Context;
use crate::engine::{outgoing, progress};
use crate::store::{Group, OutboxHead, OutboxState, Purpose, Standing, StoreError};

/// Items looked at in one go.
const PAGE: usize = 128;

/// Somebody is out: what was on its way to them may come, but nothing here waits for it. What no relay took yet still
/// goes: they were in when it was written.
pub(super) fn settle(ctx: &mut Context<'_>, group: &ConversationId, user: &UserId) -> Result<(), StoreError> {
    let mut entries = BTreeSet::new();
    let list = ctx.tx.contact(user)?.and_then(|contact| contact.device_list);
    for listed in list.iter().flat_map(|list| &list.devices) {
        let device = listed.certificate.device;
        let mut after_id = 0;
        loop {
            let page = ctx.tx.outbox_to(&device, after_id, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after_id = last.id;
            for (head, state) in page {
                let waits = !matches!(state, OutboxState::Pending { .. } | OutboxState::Acknowledged);
                if waits {
                    eprintln!(
                        "DBG {} {} settles {:?} {:?} of {}",
                        ctx.now.as_ms(),
                        ctx.me.device.short(),
                        head.purpose,
                        state,
                        device.short()
                    );
                }
                if waits && conversation_of(ctx, &head)? == Some(*group) {
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

/// The group of which an item is a message.
pub(in crate::engine) fn group_of(ctx: &Context<'_>, item: u64) -> Result<Option<Group>, StoreError> {
    let Some(head) = ctx.tx.outbox_head(item)? else { return Ok(None) };
    match conversation_of(ctx, &head)? {
        Some(conversation) => ctx.tx.group(&conversation),
        None => Ok(None),
    }
}

/// Whether somebody is out of a group, or this user is.
pub(in crate::engine) fn is_over(ctx: &Context<'_>, group: Option<&Group>, user: &UserId) -> bool {
    let Some(group) = group else { return false };
    group.standing != Standing::In || !ctx.groups.view(&group.id).is_some_and(|view| view.is_in(user))
}

fn conversation_of(ctx: &Context<'_>, item: &OutboxHead) -> Result<Option<ConversationId>, StoreError> {
    match entry_of(item) {
        Some(entry) => Ok(ctx.tx.delivery(&entry)?.map(|delivery| delivery.conversation)),
        None => Ok(None),
    }
}

/// The message that an item is, or that it brings the key of.
const fn entry_of(item: &OutboxHead) -> Option<EntryId> {
    match item.purpose {
        Purpose::Entry(entry) | Purpose::Key(entry) => Some(entry),
        _ => None,
    }
}
