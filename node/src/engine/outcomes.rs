//! What relays answered for what was published, and what that means for what it was part of.

use std::collections::BTreeSet;
use std::time::Duration;

use undertone_protocol::codec::Signed;
use undertone_protocol::delivery::{Next, retry_delay};
use undertone_protocol::ids::{ConversationId, DeviceId, RelayId};
use undertone_protocol::receipts::{CustodyReceipt, Outcome};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::TokenGrant;
use undertone_protocol::wire;

use super::asked::InFlight;
use super::context::Context;
use super::groups::{self, departures};
use super::links::Links;
use super::{conclusions, outgoing, routes, ways};
use crate::store::{Failure, OutboxRecipient, OutboxState, Purpose, SentItem, StoreError};

/// So often something goes on to the next mailbox without a wait: as often as a device has mailboxes.
const TRIES_AT_ONCE: u32 = 8;

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
                doubt(ctx, &recipient, token)?;
                if let Some(group) = &group {
                    groups::not_reached(ctx, group, (&recipient.user, device), token)?;
                }
            }
            failure = failed.or(failure);
        }
        ctx.tx.set_outbox_recipients(item.outbox, &steps)?;
        // It may be in other publishes too: what it means is said by all its recipients together.
        if let Some(head) = ctx.tx.outbox_head(item.outbox)? {
            conclusions::conclude(ctx, &head, failure)?;
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
            // Another home relay may get there.
            if ctx.agenda.routing.carrying(item.outbox, *device).next().is_some() {
                continue;
            }
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
            conclusions::conclude(ctx, &head, failure)?;
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

/// What a device said of its mailboxes does not hold any more, unless it has given another token meanwhile: another device of
/// this user may know better. Its own earlier word does not: it may be of a token that was taken back long ago.
fn doubt(ctx: &mut Context<'_>, to: &OutboxRecipient, denied: &TokenGrant) -> Result<(), StoreError> {
    let Some(mut contact) = ctx.tx.contact(&to.user)? else { return Ok(()) };
    if !contact.grants.iter().any(|grant| grant.device == to.device && grant.token == *denied) {
        return Ok(());
    }
    let (known, said) = (contact.introduced.len(), contact.introduced_by(&to.device));
    contact.introduced.retain(|(introduced, _)| *introduced != to.device);
    if contact.introduced.len() < known {
        ctx.agenda.note_doubted(to.device, said);
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
