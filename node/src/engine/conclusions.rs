//! What an outbox item comes to that was answered for its recipients: what it is part of has gone out, or has failed.

use undertone_protocol::ids::{EntryId, UserId};
use undertone_protocol::receipts::{Denial, Tick};

use super::circle::Circle;
use super::context::Context;
use super::ticks::{fail, raise_tick};
use super::{healing, outgoing, progress, resend, revocations, views};
use crate::event::Event;
use crate::store::{Contact, ContactState, Failure, OutboxHead, Purpose, StoreError};

/// Looks at items that wait for fewer devices than before.
pub(super) fn conclude_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for id in std::mem::take(&mut ctx.agenda.conclude) {
        if let Some(item) = ctx.tx.outbox_head(id)? {
            conclude(ctx, &item, None)?;
        }
    }
    Ok(())
}

/// What an answered item means for what it is part of.
pub(super) fn conclude(
    ctx: &mut Context<'_>,
    item: &OutboxHead,
    failure: Option<Failure>,
) -> Result<(), StoreError> {
    match item.purpose {
        Purpose::Acknowledgement(_)
        | Purpose::OwnAcknowledgement(_)
        | Purpose::OwnEntry(_)
        | Purpose::OwnKey(_)
        | Purpose::Retry(_)
        | Purpose::History(_)
        | Purpose::Link(_)
        | Purpose::DeviceList(_)
        | Purpose::Group(_)
            if item.counts.is_pending() =>
        {
            Ok(())
        }
        Purpose::Acknowledgement(_) | Purpose::OwnAcknowledgement(_) => {
            ctx.agenda.receipts = true;
            ctx.tx.delete_outbox(item.id)
        }
        Purpose::Link(device) => {
            ctx.agenda.links_refused.extend(failure.map(|failure| (device, failure)));
            ctx.tx.delete_outbox(item.id)
        }
        Purpose::Retry(user) if failure.is_some() => healing::refused(ctx, item, &user),
        Purpose::OwnEntry(_)
        | Purpose::OwnKey(_)
        | Purpose::Retry(_)
        | Purpose::History(_)
        | Purpose::DeviceList(_)
        | Purpose::Group(_) => ctx.tx.delete_outbox(item.id),
        Purpose::Introduction(user) => conclude_introduction(ctx, item, &user, failure),
        Purpose::Entry(entry) | Purpose::Key(entry) => conclude_entry(ctx, item, &entry, failure),
    }
}

fn conclude_entry(
    ctx: &mut Context<'_>,
    item: &OutboxHead,
    entry: &EntryId,
    failure: Option<Failure>,
) -> Result<(), StoreError> {
    let circle = match ctx.tx.delivery(entry)? {
        Some(delivery) => Circle::of(ctx, &delivery.conversation)?,
        None => None,
    };
    let is_group = matches!(circle, Some(Circle::Group(_)));
    if let Some(failure) = failure {
        // Later messages must not stand on a key that did not get there.
        if let Some(delivery) = ctx.tx.delivery(entry)? {
            resend::renew_key(ctx, &delivery.conversation)?;
            // Where another of their devices still takes something, they can say themselves what holds now.
            if let (Failure::Denied(denial), true, Some(Circle::Direct(contact))) =
                (failure, item.counts.is_failed(), circle)
            {
                refused(ctx, *contact, denial)?;
            }
        }
        let of_key = matches!(item.purpose, Purpose::Key(_));
        if of_key && ctx.tx.outbox_heads_of(&Purpose::Entry(*entry))?.is_empty() {
            // The entry is acknowledged already.
            return ctx.tx.delete_outbox(item.id);
        }
        // A key that can't get there leaves the entry unreadable, so it counts the same. In a group the others have it.
        if !is_group || reaches_nobody(ctx, entry)? {
            return fail(ctx, entry, failure);
        }
    }
    let entries = ctx.tx.outbox_heads_of(&Purpose::Entry(*entry))?;
    if entries.iter().all(|item| item.counts.is_acknowledged()) {
        for entry in entries {
            ctx.tx.delete_outbox(entry.id)?;
        }
        outgoing::drop_keys_of_acknowledged(ctx, entry)?;
        return progress::sent(ctx, entry);
    }
    for purpose in [Purpose::Entry(*entry), Purpose::Key(*entry)] {
        // In a group what can't get to one has got to the others.
        if !ctx.tx.outbox_is_there(&purpose, is_group)? {
            return Ok(());
        }
    }
    progress::sent(ctx, entry)
}

/// Whether none of those for whom an entry was sealed has it, or can get it.
pub(super) fn reaches_nobody(ctx: &mut Context<'_>, entry: &EntryId) -> Result<bool, StoreError> {
    let entries = ctx.tx.outbox_heads_of(&Purpose::Entry(*entry))?;
    if !entries.iter().all(|item| item.counts.is_failed()) {
        return Ok(false);
    }
    // What somebody has left the outbox before what nobody fetched, where that went into custody late.
    Ok(match ctx.tx.delivery(entry)? {
        Some(delivery) => !progress::somebody_has(ctx, &delivery)?,
        None => true,
    })
}

fn conclude_introduction(
    ctx: &mut Context<'_>,
    item: &OutboxHead,
    user: &UserId,
    failure: Option<Failure>,
) -> Result<(), StoreError> {
    if item.counts.is_pending() {
        return Ok(());
    }
    let contact = ctx.tx.contact(user)?;
    // A request is kept until it is answered: nothing else would tell that it expired unread.
    let asks = contact.as_ref().is_some_and(|contact| contact.state == ContactState::Requesting);
    if !asks || failure.is_some() {
        ctx.tx.delete_outbox(item.id)?;
    }
    let Some(mut contact) = contact else { return Ok(()) };
    match failure {
        // Their relay forgot everything, and they were not there since: then they say so, and are answered.
        Some(Failure::Denied(Denial::UnknownMailbox)) if contact.state == ContactState::Accepted => {
            return Ok(());
        }
        Some(Failure::Denied(denial)) => return refused(ctx, contact, denial),
        _ => {}
    }
    // Not before all their devices can know the new token: they may have to say theirs by the old one.
    let introductions = ctx.tx.outbox_heads_of(&Purpose::Introduction(*user))?;
    if contact.refused.is_none() && !introductions.iter().any(|item| item.counts.is_pending()) {
        revocations::revoke_former(ctx, &mut contact)?;
        ctx.tx.put_contact(&contact)?;
    }
    // A first text went along.
    for delivery in ctx.tx.deliveries_unread(&ctx.me.direct(user))? {
        if delivery.sealed
            && delivery.tick < Tick::Sent
            && ctx.tx.outbox_heads_of(&Purpose::Entry(delivery.entry))?.is_empty()
        {
            raise_tick(ctx, &delivery.entry, Tick::Sent)?;
        }
    }
    Ok(())
}

/// A contact's relay takes nothing from us: the user can ask them for a new link.
pub(super) fn refused(ctx: &mut Context<'_>, mut contact: Contact, denial: Denial) -> Result<(), StoreError> {
    if contact.refused == Some(denial) {
        return Ok(());
    }
    contact.refused = Some(denial);
    ctx.tx.put_contact(&contact)?;
    let view = views::contact(ctx, &contact)?;
    ctx.events.push(Event::Contact { contact: view });
    Ok(())
}
