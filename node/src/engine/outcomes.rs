//! What relays answered for what was published, and what that means for what it was part of.

use std::collections::BTreeSet;
use std::time::Duration;

use undertone_protocol::codec::Signed;
use undertone_protocol::delivery::{Next, retry_delay};
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId, RelayId, UserId};
use undertone_protocol::receipts::{CustodyReceipt, Denial, Outcome, Tick};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::TokenGrant;
use undertone_protocol::wire;

use super::asked::InFlight;
use super::circle::Circle;
use super::context::Context;
use super::groups::{self, departures};
use super::links::Links;
use super::ticks::{fail, raise_tick};
use super::{healing, outgoing, progress, resend, revocations, routes, views, ways};
use crate::event::Event;
use crate::store::{
    Contact, ContactState, Failure, OutboxHead, OutboxRecipient, OutboxState, Purpose, SentItem, StoreError,
};

/// So often something goes on to the next mailbox without a wait: as often as a device has mailboxes.
const TRIES_AT_ONCE: u32 = 8;

/// Looks at items that wait for fewer devices than before.
pub(super) fn conclude_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for id in std::mem::take(&mut ctx.agenda.conclude) {
        if let Some(item) = ctx.tx.outbox_head(id)? {
            conclude(ctx, &item, None)?;
        }
    }
    Ok(())
}

/// A custody receipt came. The inner error says how the relay broke the protocol.
pub(super) fn published(
    ctx: &mut Context<'_>,
    links: &Links,
    relay: &RelayId,
    publish: &InFlight,
    published: wire::Published,
) -> Result<Result<(), String>, StoreError> {
    let receipt = match verify(relay, publish, published) {
        Ok(receipt) => receipt,
        Err(reason) => return Ok(Err(format!("the relay's custody receipt is no good: {reason}"))),
    };
    settle(ctx, links, relay, &publish.items, receipt)?;
    Ok(Ok(()))
}

/// A relay said what it did with each of these: straight, or over another one.
pub(super) fn settle(
    ctx: &mut Context<'_>,
    links: &Links,
    relay: &RelayId,
    items: &[SentItem],
    receipt: CustodyReceipt,
) -> Result<(), StoreError> {
    ctx.agenda.publish = true;
    let making_room = making_room(items, &receipt);
    for (item, outcome) in items.iter().zip(receipt.items) {
        let mut steps = Vec::with_capacity(item.devices.len());
        let mut failure = None;
        let message = departures::message_of(ctx, item.outbox)?;
        let head = ctx.tx.outbox_head(item.outbox)?;
        let group = match &head {
            Some(head) => routes::group_of(ctx, &head.purpose)?,
            None => None,
        };
        for ((device, token), outcome) in item.devices.iter().zip(&item.tokens).zip(outcome.recipients) {
            // An acknowledgement of the device may have come first, and taken the item out.
            let recipient = ctx.tx.outbox_recipient(item.outbox, device)?;
            let Some((recipient, attempts)) = recipient.and_then(pending) else { continue };
            let attempts = if making_room.contains(device) { 0 } else { attempts };
            let (state, failed) = match step(relay, outcome, attempts, ctx.now) {
                // It may have got there, or not: nothing is heard of that.
                (OutboxState::Custody { .. } | OutboxState::Failed, _)
                    if departures::is_over(ctx, message.as_ref(), &recipient.user)? =>
                {
                    (OutboxState::Acknowledged, None)
                }
                (OutboxState::Custody { .. }, _) if outgoing::is_known_key(ctx, head.as_ref(), device)? => {
                    (OutboxState::Acknowledged, None)
                }
                (state, failed) => {
                    let answer = Answer { relay, token, attempts, group: group.as_ref() };
                    let goes_on = elsewhere(ctx, links, &recipient, &answer, (state, failed))?;
                    goes_on.map_or((state, failed), |state| (state, None))
                }
            };
            steps.push((*device, state));
            if let Outcome::Denied(denial) = outcome
                && state != OutboxState::Acknowledged
            {
                let (me, item) = (ctx.me.device.short(), item.outbox);
                tracing::debug!(me, item, to = %device.short(), ?denial, "a relay refused");
                ask_siblings(ctx, &recipient)?;
                if let Some(group) = &group {
                    groups::not_reached(ctx, group, (&recipient.user, device), token)?;
                }
            }
            failure = failed.or(failure);
        }
        ctx.tx.set_outbox_recipients(item.outbox, &steps)?;
        // It may be in other publishes too: what it means is said by all its recipients together.
        if let Some(head) = ctx.tx.outbox_head(item.outbox)? {
            conclude(ctx, &head, failure)?;
        }
    }
    Ok(())
}

/// A relay could not be reached for as long as another one tried. A message has failed where the device has no other mailbox;
/// what goes on without anybody's doing is tried again.
pub(super) fn unreachable(
    ctx: &mut Context<'_>,
    links: &Links,
    relay: &RelayId,
    items: &[SentItem],
) -> Result<(), StoreError> {
    for item in items {
        let Some(head) = ctx.tx.outbox_head(item.outbox)? else { continue };
        let group = routes::group_of(ctx, &head.purpose)?;
        let is_message = matches!(head.purpose, Purpose::Entry(_) | Purpose::Key(_));
        let (mut steps, mut failure) = (Vec::with_capacity(item.devices.len()), None);
        for device in &item.devices {
            let recipient = ctx.tx.outbox_recipient(item.outbox, device)?;
            let Some((recipient, attempts)) = recipient.and_then(pending) else { continue };
            let grants = routes::grants_of(ctx, group.as_ref(), &recipient.user)?;
            let other = ways::another(ctx, links, &grants, device, relay);
            let state = match other {
                None if is_message => {
                    failure = Some(Failure::Unreachable);
                    OutboxState::Failed
                }
                other => {
                    let not_before =
                        other.unwrap_or_else(|| ctx.now.after(retry_delay(attempts, Duration::ZERO)));
                    OutboxState::Pending { attempts: attempts.saturating_add(1), not_before }
                }
            };
            steps.push((*device, state));
        }
        ctx.tx.set_outbox_recipients(item.outbox, &steps)?;
        if let Some(head) = ctx.tx.outbox_head(item.outbox)? {
            conclude(ctx, &head, failure)?;
        }
    }
    Ok(())
}

/// The relay took nothing of a publish, just now or ever: it is tried again ever more rarely.
pub(super) fn put_off(
    ctx: &mut Context<'_>,
    links: &Links,
    relay: &RelayId,
    publish: &InFlight,
    retry_after: Duration,
) -> Result<(), StoreError> {
    ctx.agenda.publish = true;
    for item in &publish.items {
        let mut steps = Vec::with_capacity(item.devices.len());
        let group = match ctx.tx.outbox_head(item.outbox)? {
            Some(head) => routes::group_of(ctx, &head.purpose)?,
            None => continue,
        };
        for (device, token) in item.devices.iter().zip(&item.tokens) {
            let recipient = ctx.tx.outbox_recipient(item.outbox, device)?;
            let Some((recipient, attempts)) = recipient.and_then(pending) else { continue };
            let not_before = ctx.now.after(retry_delay(attempts, retry_after));
            let state = OutboxState::Pending { attempts: attempts.saturating_add(1), not_before };
            let answer = Answer { relay, token, attempts, group: group.as_ref() };
            let goes_on = elsewhere(ctx, links, &recipient, &answer, (state, None))?;
            steps.push((*device, goes_on.unwrap_or(state)));
        }
        ctx.tx.set_outbox_recipients(item.outbox, &steps)?;
    }
    Ok(())
}

/// What a relay answered for one recipient.
struct Answer<'a> {
    relay: &'a RelayId,
    token: &'a TokenGrant,
    /// How often it was tried before.
    attempts: u32,
    /// The group that it is of.
    group: Option<&'a ConversationId>,
}

/// Takes note of how a mailbox took something. If it does not for longer than seconds, or ever, and the device has another
/// mailbox that may: how it goes on.
fn elsewhere(
    ctx: &mut Context<'_>,
    links: &Links,
    to: &OutboxRecipient,
    answer: &Answer<'_>,
    step: (OutboxState, Option<Failure>),
) -> Result<Option<OutboxState>, StoreError> {
    let Answer { relay, token, attempts, group } = *answer;
    let refusals = &mut ctx.agenda.refusals;
    match step {
        (OutboxState::Custody { .. }, _) => {
            refusals.took(to.device, *relay);
            return Ok(None);
        }
        (OutboxState::Pending { not_before, .. }, _) => {
            if !refusals.full(to.device, *relay, not_before, ctx.now) {
                return Ok(None);
            }
        }
        (_, Some(Failure::Denied(denial))) if ways::falls_over(denial) => {
            refusals.denied(to.device, *relay, token.clone(), ctx.now);
        }
        _ => return Ok(None),
    }
    let grants = routes::grants_of(ctx, group, &to.user)?;
    let when = ways::another(ctx, links, &grants, &to.device, relay);
    Ok(when.map(|when| {
        // Beyond so many tries it was at each of them.
        let late = if attempts < TRIES_AT_ONCE {
            ctx.now
        } else {
            ctx.now.after(retry_delay(attempts, Duration::ZERO))
        };
        OutboxState::Pending { attempts: attempts.saturating_add(1), not_before: when.max(late) }
    }))
}

/// One that is still waited for, and how often it was tried.
const fn pending(recipient: OutboxRecipient) -> Option<(OutboxRecipient, u32)> {
    match recipient.state {
        OutboxState::Pending { attempts, .. } => Some((recipient, attempts)),
        _ => None,
    }
}

/// What a device said of its mailboxes does not hold any more: another device of this user may know better.
fn ask_siblings(ctx: &mut Context<'_>, to: &OutboxRecipient) -> Result<(), StoreError> {
    let Some(mut contact) = ctx.tx.contact(&to.user)? else { return Ok(()) };
    let known = contact.introduced.len();
    contact.introduced.retain(|(introduced, _)| *introduced != to.device);
    if contact.introduced.len() < known {
        ctx.tx.put_contact(&contact)?;
        ctx.agenda.followed.insert(contact.user);
    }
    Ok(())
}

fn verify(relay: &RelayId, publish: &InFlight, published: wire::Published) -> Result<CustodyReceipt, String> {
    let signed =
        Signed::required("publish answer", "receipt", published.receipt).map_err(|e| e.to_string())?;
    let receipt = CustodyReceipt::verify(&signed, relay).map_err(|e| e.to_string())?;
    if receipt.publish_id == publish.publish_id && fits(&receipt, &publish.items) {
        Ok(receipt)
    } else {
        Err("it is for something else".to_owned())
    }
}

/// Whether a receipt is for these items.
pub(super) fn fits(receipt: &CustodyReceipt, items: &[SentItem]) -> bool {
    receipt.items.len() == items.len()
        && receipt.items.iter().zip(items).all(|(outcome, item)| {
            outcome.payload_hash == item.payload_hash && outcome.recipients.len() == item.devices.len()
        })
}

/// Devices for which the relay took something: they fetch. Where a mailbox had no room for all at once, what is left
/// is tried again as if for the first time, or a few messages would pass in ten minutes.
fn making_room(items: &[SentItem], receipt: &CustodyReceipt) -> BTreeSet<DeviceId> {
    let outcomes = items.iter().zip(&receipt.items);
    let outcomes = outcomes.flat_map(|(item, outcome)| item.devices.iter().zip(&outcome.recipients));
    let taken = outcomes.filter(|(_, outcome)| matches!(outcome, Outcome::Stored { .. }));
    taken.map(|(device, _)| *device).collect()
}

/// What one outcome makes of a recipient that waits; and the failure, if it is final.
fn step(relay: &RelayId, outcome: Outcome, attempts: u32, now: Timestamp) -> (OutboxState, Option<Failure>) {
    match Next::after(outcome, attempts, now) {
        Next::Custody { until } => (OutboxState::Custody { relay: *relay, held_until: until }, None),
        Next::Retry { not_before } => {
            (OutboxState::Pending { attempts: attempts.saturating_add(1), not_before }, None)
        }
        Next::Denied(denial) => (OutboxState::Failed, Some(Failure::Denied(denial))),
        Next::TooLarge { bytes_max } => (OutboxState::Failed, Some(Failure::TooLarge { bytes_max })),
    }
}

/// What an answered item means for what it is part of.
fn conclude(ctx: &mut Context<'_>, item: &OutboxHead, failure: Option<Failure>) -> Result<(), StoreError> {
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

/// Whether none of those for whom an entry was sealed can get it.
pub(super) fn reaches_nobody(ctx: &Context<'_>, entry: &EntryId) -> Result<bool, StoreError> {
    let entries = ctx.tx.outbox_heads_of(&Purpose::Entry(*entry))?;
    Ok(entries.iter().all(|item| item.counts.is_failed()))
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
    if let Some(Failure::Denied(denial)) = failure {
        return refused(ctx, contact, denial);
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
