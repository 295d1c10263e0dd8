//! What is looked at every ten minutes: messages that nobody acknowledged in time, and what is too old to matter.

use std::time::Duration;

use undertone_protocol::ids::{EntryId, UserId};
use undertone_protocol::limits::{ENVELOPE_TTL_MAX, EXPIRY_GRACE, RETENTION};
use undertone_protocol::receipts::Denial;
use undertone_protocol::time::Timestamp;

use super::agenda::Side;
use super::context::Context;
use super::ticks::fail;
use super::{conclusions, introducing, resend, revocations};
use crate::store::{ContactState, Failure, OutboxItem, OutboxState, Purpose, StoreError};

/// Items looked at in one sweep.
const SWEEP_MAX: usize = 1_024;
/// Former tokens are taken back after this long at the latest, when some device does not know the new one yet.
const FORMER_TOKEN_LIFE: Duration = Duration::from_secs(24 * 3600);

/// Fails what no device acknowledged in time, and forgets what is too old to matter.
pub(super) fn sweep(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for mut item in ctx.tx.outbox_expired(ctx.now.before(EXPIRY_GRACE), SWEEP_MAX)? {
        // First: whether anybody gets it is asked of what is stored.
        for recipient in &mut item.recipients {
            if matches!(recipient.state, OutboxState::Custody { .. }) {
                recipient.state = OutboxState::Failed;
            }
        }
        ctx.tx.put_outbox(&item)?;
        if let Purpose::Entry(entry) | Purpose::Key(entry) = item.purpose {
            if !is_of_group(ctx, &entry)? || conclusions::reaches_nobody(ctx, &entry)? {
                fail(ctx, &entry, Failure::Expired)?;
            }
            introduce_again(ctx, &item)?;
            // Its key may have expired with it: later messages must not stand on that.
            if let Some(delivery) = ctx.tx.delivery(&entry)? {
                resend::renew_key(ctx, &delivery.conversation)?;
            }
        }
        if let Purpose::Introduction(user) = item.purpose {
            request_expired(ctx, &user)?;
        }
    }
    drop_old(ctx)?;
    take_back_late(ctx)?;
    ctx.tx.forget_receiver_keys(ctx.now.before(RETENTION))?;
    // A prekey message of an earlier time was for a fallback prekey that is dead.
    let account = &ctx.me.account;
    let oldest = account.superseded.as_ref().map_or(account.keys_made, |key| key.made);
    ctx.tx.forget_prekey_bases(oldest)?;
    ctx.tx.forget_seen(ctx.now.before(RETENTION))
}

/// Drops what has long been out of any relay's hands: some device of each user has it, or it was told as failed and is
/// sealed anew when the user wants it again, or it was for own devices only, which get it as history. Goes on behind
/// what it looked at last time.
fn drop_old(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    let page = ctx.tx.outbox_heads(ctx.agenda.swept_to, SWEEP_MAX)?;
    ctx.agenda.swept_to = page.last().filter(|_| page.len() == SWEEP_MAX).map_or(0, |last| last.id);
    for head in page {
        let has_ended = !head.counts.is_pending() || is_made_anew(&head.purpose);
        let is_old = has_ended && ctx.now.since(head.created) > ENVELOPE_TTL_MAX + EXPIRY_GRACE;
        // The recipients of most need not be looked at.
        if is_old || is_ahead(head.created, head.custody_ends, ctx.now) {
            drop_if_old(ctx, head.id, is_old)?;
        }
    }
    Ok(())
}

fn drop_if_old(ctx: &mut Context<'_>, id: u64, is_old: bool) -> Result<(), StoreError> {
    let Some(mut item) = ctx.tx.outbox(id)? else { return Ok(()) };
    if mend(&mut item, ctx.now) {
        ctx.tx.put_outbox(&item)?;
    }
    let has_ended = |state: OutboxState| match state {
        OutboxState::Custody { held_until, .. } => held_until < ctx.now.before(EXPIRY_GRACE),
        OutboxState::Acknowledged | OutboxState::Failed | OutboxState::LeftOut => true,
        OutboxState::Pending { .. } => is_made_anew(&item.purpose),
    };
    if is_old && item.recipients.iter().all(|recipient| has_ended(recipient.state)) {
        ctx.tx.delete_outbox(item.id)?;
    }
    Ok(())
}

/// Whether something was sealed, or taken into custody, by a clock that was ahead.
fn is_ahead(created: Timestamp, held_until: Option<Timestamp>, now: Timestamp) -> bool {
    created > now || held_until.is_some_and(|until| until > now.after(ENVELOPE_TTL_MAX))
}

/// What a clock that was ahead said is of now at the latest. Says whether there was such a thing.
fn mend(item: &mut OutboxItem, now: Timestamp) -> bool {
    let mut was_ahead = is_ahead(item.created, None, now);
    item.created = item.created.min(now);
    for recipient in &mut item.recipients {
        if let OutboxState::Custody { held_until, .. } = &mut recipient.state {
            was_ahead |= is_ahead(item.created, Some(*held_until), now);
            *held_until = (*held_until).min(now.after(ENVELOPE_TTL_MAX));
        }
    }
    was_ahead
}

/// Whether something is made anew where a device still needs it: then it need not wait for ever for a relay that does
/// not come back.
const fn is_made_anew(purpose: &Purpose) -> bool {
    match purpose {
        Purpose::OwnEntry(_) | Purpose::OwnKey(_) | Purpose::History(_) | Purpose::Retry(_) => true,
        Purpose::Entry(_)
        | Purpose::Key(_)
        | Purpose::Acknowledgement(_)
        | Purpose::OwnAcknowledgement(_)
        | Purpose::Introduction(_)
        | Purpose::Link(_)
        | Purpose::DeviceList(_)
        | Purpose::Group(_) => false,
    }
}

fn is_of_group(ctx: &Context<'_>, entry: &EntryId) -> Result<bool, StoreError> {
    let delivery = ctx.tx.delivery(entry)?;
    let side = delivery.and_then(|delivery| ctx.agenda.directory.get(&delivery.conversation));
    Ok(side == Some(&Side::Group))
}

/// Where messages expired, what this device said of itself may have, too.
fn introduce_again(ctx: &mut Context<'_>, item: &OutboxItem) -> Result<(), StoreError> {
    let Some(to) = item.recipients.first() else { return Ok(()) };
    match ctx.tx.contact(&to.user)? {
        Some(mut contact) if contact.state == ContactState::Accepted && !contact.introduction_due => {
            introducing::answer(ctx, &mut contact);
            ctx.tx.put_contact(&contact)
        }
        _ => Ok(()),
    }
}

/// Nobody answered a request while a relay held it: the text that went along has failed, and the user is told.
fn request_expired(ctx: &mut Context<'_>, user: &UserId) -> Result<(), StoreError> {
    let Some(contact) = ctx.tx.contact(user)?.filter(|contact| contact.state == ContactState::Requesting)
    else {
        return Ok(());
    };
    for delivery in ctx.tx.deliveries_unread(&ctx.me.direct(user))? {
        if delivery.sealed {
            fail(ctx, &delivery.entry, Failure::Expired)?;
        }
    }
    conclusions::refused(ctx, contact, Denial::Expired)
}

/// Takes former tokens back although some device could not be told of the new one for long: it can't keep a token
/// alive that others may have.
fn take_back_late(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for mut contact in ctx.tx.contacts()? {
        if contact.former_tokens.is_empty() || contact.introduction_due {
            continue;
        }
        let introductions = ctx.tx.outbox_of(&Purpose::Introduction(contact.user))?;
        if introductions.iter().all(|item| ctx.now.since(item.created) > FORMER_TOKEN_LIFE) {
            revocations::revoke_former(ctx, &mut contact)?;
            ctx.tx.put_contact(&contact)?;
        }
    }
    Ok(())
}
