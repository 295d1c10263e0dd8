//! The outbox: how something sealed begins its way out, and when it need not go any more.

use prost::bytes::Bytes;
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId, RelayId, UserId};
use undertone_protocol::time::Timestamp;

use super::context::Context;
use super::routes;
use crate::store::{NodeTx, OutboxHead, OutboxItem, OutboxRecipient, OutboxState, Purpose, StoreError};

/// Items that go out one by one.
pub(super) const NO_GROUP: u64 = 0;
/// Items looked at in one go.
const PAGE: usize = 128;

/// Puts something sealed into the outbox, for devices of one user. Acknowledgements are of class 1, all else
/// of class 0.
pub(super) fn put(
    ctx: &mut Context<'_>,
    user: &UserId,
    devices: &[DeviceId],
    purpose: Purpose,
    group: u64,
    payload: Bytes,
) -> Result<(), StoreError> {
    let state = OutboxState::Pending { attempts: 0, not_before: ctx.now };
    put_to(ctx, recipients(user, devices, state), purpose, group, payload)
}

/// The same for one device, and it does not go out before a moment.
pub(super) fn put_for_later(
    ctx: &mut Context<'_>,
    user: &UserId,
    device: &DeviceId,
    purpose: Purpose,
    payload: Bytes,
    not_before: Timestamp,
) -> Result<(), StoreError> {
    let state = OutboxState::Pending { attempts: 0, not_before };
    put_to(ctx, recipients(user, &[*device], state), purpose, NO_GROUP, payload)
}

/// A message for the devices that it is sealed for, each with its user; it is noted which ones it is not sealed for, as
/// they can't be reached.
pub(super) fn put_message(
    ctx: &mut Context<'_>,
    devices: &[(UserId, DeviceId)],
    left_out: &[(UserId, DeviceId)],
    purpose: Purpose,
    (group, payload): (u64, Bytes),
) -> Result<(), StoreError> {
    let pending = OutboxState::Pending { attempts: 0, not_before: ctx.now };
    let to = devices.iter().map(|to| (to, pending));
    let to = to.chain(left_out.iter().map(|to| (to, OutboxState::LeftOut)));
    let to = to.map(|(&(user, device), state)| OutboxRecipient { device, user, state });
    put_to(ctx, to.collect(), purpose, group, payload)
}

fn recipients(user: &UserId, devices: &[DeviceId], state: OutboxState) -> Vec<OutboxRecipient> {
    devices.iter().map(|device| OutboxRecipient { device: *device, user: *user, state }).collect()
}

fn put_to(
    ctx: &mut Context<'_>,
    recipients: Vec<OutboxRecipient>,
    purpose: Purpose,
    group: u64,
    payload: Bytes,
) -> Result<(), StoreError> {
    ctx.tx.put_outbox(&OutboxItem {
        id: 0,
        group,
        purpose,
        class: u8::from(matches!(purpose, Purpose::Acknowledgement(_) | Purpose::OwnAcknowledgement(_))),
        payload,
        recipients,
        created: ctx.now,
    })?;
    ctx.agenda.publish = true;
    Ok(())
}

/// A device gets nothing more: what is kept for it is dropped.
pub(super) fn forget(ctx: &mut Context<'_>, device: &DeviceId) -> Result<(), StoreError> {
    let mut after_id = 0;
    loop {
        let page = ctx.tx.outbox_to(device, after_id, PAGE)?;
        let Some(last) = page.last() else { break };
        after_id = last.0.id;
        for (head, _) in page {
            if head.counts.all() == 1 {
                ctx.tx.delete_outbox(head.id)?;
                if let Purpose::Entry(entry) = head.purpose {
                    drop_keys_of_acknowledged(ctx, &entry)?;
                }
            } else {
                ctx.tx.delete_outbox_recipient(head.id, device)?;
                // It may have waited for this device only.
                ctx.agenda.conclude.insert(head.id);
                ctx.agenda.publish = true;
            }
        }
    }
    ctx.agenda.forget(device);
    // What is on its way from it is refused, or comes by other devices.
    for session in ctx.tx.olm_sessions(device)? {
        ctx.tx.delete_olm_session(device, &session.id)?;
    }
    ctx.tx.delete_outbound_channel(device)?;
    for channel in ctx.tx.inbound_channels_of(device)? {
        ctx.tx.delete_inbound_channel(&channel)?;
    }
    ctx.tx.delete_peer_device(device)
}

/// A device is not even listed any more: nothing that it told, or gave the key of, is looked at again.
pub(super) fn forget_all(
    ctx: &mut Context<'_>,
    conversation: &ConversationId,
    device: &DeviceId,
) -> Result<(), StoreError> {
    ctx.tx.delete_acknowledgement(conversation, device)?;
    ctx.tx.forget_receiver_keys_of(device, Timestamp::from_ms(u64::MAX))
}

/// A device has no mailbox any more at a relay that holds something for it: it goes out again, as it is, to those that the
/// device has. To somebody who is blocked nothing goes but what is of a group.
pub(super) fn not_fetched(
    ctx: &mut Context<'_>,
    device: &DeviceId,
    relay: &RelayId,
) -> Result<(), StoreError> {
    let pending = OutboxState::Pending { attempts: 0, not_before: ctx.now };
    let mut after_id = 0;
    loop {
        let page = ctx.tx.outbox_to(device, after_id, PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        after_id = last.0.id;
        for (head, state) in page {
            let is_there =
                matches!(state, OutboxState::Custody { relay: custodian, .. } if custodian == *relay);
            if is_there && !is_shut_out(ctx, &head, device)? {
                ctx.tx.set_outbox_recipients(head.id, &[(*device, pending)])?;
                ctx.agenda.publish = true;
            }
        }
    }
}

/// Whether an item is for somebody who is blocked, and of no group.
fn is_shut_out(ctx: &Context<'_>, head: &OutboxHead, device: &DeviceId) -> Result<bool, StoreError> {
    let Some(to) = ctx.tx.outbox_recipient(head.id, device)? else { return Ok(false) };
    let is_blocked = ctx.tx.contact(&to.user)?.is_some_and(|contact| contact.state.is_blocked());
    Ok(is_blocked && routes::group_of(ctx, &head.purpose)?.is_none())
}

/// Whether some message in the outbox is so far on its way to a device.
pub(super) fn any_message_to(
    tx: &dyn NodeTx,
    device: &DeviceId,
    so_far: impl Fn(OutboxState) -> bool,
) -> Result<bool, StoreError> {
    let mut after_id = 0;
    loop {
        let page = tx.outbox_to(device, after_id, PAGE)?;
        let Some(last) = page.last() else { return Ok(false) };
        after_id = last.0.id;
        let mut messages = page.iter().filter(|(head, _)| matches!(head.purpose, Purpose::Entry(_)));
        if messages.any(|(_, state)| so_far(*state)) {
            return Ok(true);
        }
    }
}

/// What a device acknowledged need not reach it any more.
pub(super) fn acknowledged(
    ctx: &mut Context<'_>,
    entry: &EntryId,
    device: &DeviceId,
) -> Result<(), StoreError> {
    let mut items = ctx.tx.outbox_of_to(&Purpose::Entry(*entry), device)?;
    items.extend(ctx.tx.outbox_of_to(&Purpose::Key(*entry), device)?);
    for (head, state) in items {
        // The entry may have come another way, and its key not yet.
        let key_to_send =
            matches!(head.purpose, Purpose::Key(_)) && matches!(state, OutboxState::Pending { .. });
        if key_to_send || state == OutboxState::Acknowledged {
            continue;
        }
        settled(ctx, &head, device)?;
    }
    drop_keys_of_acknowledged(ctx, entry)
}

/// Whether an item is the key of an entry that a device acknowledged before the key went out: the relay has it now, which
/// is all that was waited for, whoever else has not acknowledged the entry.
pub(super) fn is_known_key(
    ctx: &Context<'_>,
    head: Option<&OutboxHead>,
    device: &DeviceId,
) -> Result<bool, StoreError> {
    let Some(Purpose::Key(entry)) = head.map(|head| head.purpose) else { return Ok(false) };
    let entries = ctx.tx.outbox_of_to(&Purpose::Entry(entry), device)?;
    Ok(entries.iter().any(|(_, state)| *state == OutboxState::Acknowledged))
}

/// An item need not reach a device any more that has not acknowledged it yet.
pub(super) fn settled(ctx: &mut Context<'_>, head: &OutboxHead, device: &DeviceId) -> Result<(), StoreError> {
    // The others may all have acknowledged it before.
    if head.counts.acknowledged + 1 == head.counts.all() {
        ctx.tx.delete_outbox(head.id)
    } else {
        ctx.tx.set_outbox_recipients(head.id, &[(*device, OutboxState::Acknowledged)])
    }
}

/// When an entry is acknowledged by all, keys that went along are dropped as soon as a relay has them: later entries
/// need them.
pub(super) fn drop_keys_of_acknowledged(ctx: &mut Context<'_>, entry: &EntryId) -> Result<(), StoreError> {
    if !ctx.tx.outbox_heads_of(&Purpose::Entry(*entry))?.is_empty() {
        return Ok(());
    }
    for key in ctx.tx.outbox_heads_of(&Purpose::Key(*entry))? {
        if !key.counts.is_pending() {
            ctx.tx.delete_outbox(key.id)?;
        }
    }
    Ok(())
}
