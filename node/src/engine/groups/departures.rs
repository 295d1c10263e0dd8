//! Whoever is out of a group acknowledges nothing of it: what relays hold for them is waited for no longer.

use undertone_protocol::ids::{ConversationId, UserId};

use crate::engine::context::Context;
use crate::store::{Group, OutboxHead, OutboxState, Purpose, Standing, StoreError};

/// Items looked at in one go.
const PAGE: usize = 128;

/// Somebody is out: what was on its way to them may come, but nothing here waits for it. What no relay took yet still
/// goes: they were in when it was written.
pub(super) fn settle(ctx: &mut Context<'_>, group: &ConversationId, user: &UserId) -> Result<(), StoreError> {
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
                    ctx.tx.set_outbox_recipients(head.id, &[(device, OutboxState::Acknowledged)])?;
                    ctx.agenda.conclude.insert(head.id);
                }
            }
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
    match item.purpose {
        Purpose::Entry(entry) | Purpose::Key(entry) => {
            Ok(ctx.tx.delivery(&entry)?.map(|delivery| delivery.conversation))
        }
        _ => Ok(None),
    }
}
