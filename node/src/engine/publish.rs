//! The outbox on its way: which items go to which relay, and what the answers mean.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use undertone_protocol::codec::Signed;
use undertone_protocol::delivery::Next;
use undertone_protocol::ids::{DeviceId, EntryId, PayloadHash, PublishId, RelayId, UserId};
use undertone_protocol::keys::DeliveryGrant;
use undertone_protocol::limits::{
    ENVELOPE_TTL_MAX, EXPIRY_GRACE, PUBLISH_ITEMS_MAX, PUBLISH_PAYLOAD_BYTES_MAX,
};
use undertone_protocol::receipts::{CustodyReceipt, Denial, Outcome, Tick};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::ProofInput;
use undertone_protocol::wire::{self, frame::Body};

use super::context::Context;
use super::links::{Asked, InFlight, InFlightItem, Links};
use super::receipts::{fail, raise_tick};
use super::types::Outputs;
use super::{receipts, resend, revocations, views};
use crate::event::Event;
use crate::store::{Contact, Failure, OutboxItem, OutboxState, Purpose, SEEN_LIFE, StoreError};

/// Items looked at in one go, and at most sent in one go.
const SCAN_PAGE: usize = 128;
const SCAN_MAX: usize = 4_096;
const SWEEP_MAX: usize = 256;

/// One item with the recipients that one relay serves.
struct Draft {
    outbox: u64,
    group: u64,
    item: OutboxItem,
    recipients: Vec<(DeviceId, DeliveryGrant)>,
}

/// Publishes what can go out, in order, and gives the moment when something else may be tried.
pub(super) fn publish(
    ctx: &mut Context<'_>,
    links: &mut Links,
    out: &mut Outputs,
) -> Result<Option<Timestamp>, StoreError> {
    for id in std::mem::take(&mut ctx.agenda.conclude) {
        if let Some(item) = ctx.tx.outbox(id)? {
            conclude(ctx, &item, None)?;
        }
    }
    let mut contacts = BTreeMap::new();
    let mut drafts: BTreeMap<RelayId, Vec<Draft>> = BTreeMap::new();
    let mut retry_at: Option<Timestamp> = None;
    let (mut after_id, mut scanned, mut drafted) = (0, 0, 0);
    while scanned < SCAN_MAX && drafted < SCAN_PAGE {
        let page = ctx.tx.outbox_pending(after_id, SCAN_PAGE)?;
        scanned += page.len();
        let Some(last) = page.last() else { break };
        after_id = last.id;
        for item in page {
            let wake = draft(ctx, links, &mut contacts, item, &mut drafts)?;
            retry_at = retry_at.into_iter().chain(wake).min();
        }
        drafted = drafts.values().map(Vec::len).sum();
    }
    for (relay, drafts) in drafts {
        for frame in frames(drafts) {
            send(ctx, links, relay, frame, out);
        }
    }
    Ok(retry_at)
}

/// Assigns an item's pending recipients to relays. Gives the moment when one that must wait may be tried.
fn draft(
    ctx: &Context<'_>,
    links: &mut Links,
    contacts: &mut BTreeMap<UserId, Option<Contact>>,
    item: OutboxItem,
    drafts: &mut BTreeMap<RelayId, Vec<Draft>>,
) -> Result<Option<Timestamp>, StoreError> {
    let mut by_relay: BTreeMap<RelayId, Vec<(DeviceId, DeliveryGrant)>> = BTreeMap::new();
    let mut wake = None;
    for recipient in &item.recipients {
        let OutboxState::Pending { not_before, .. } = recipient.state else { continue };
        if not_before > ctx.now {
            wake = wake.into_iter().chain([not_before]).min();
            continue;
        }
        if links.is_in_flight(item.id, recipient.device) {
            continue;
        }
        let contact = match contacts.entry(recipient.user) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(ctx.tx.contact(&recipient.user)?),
        };
        let Some(contact) = contact else { continue };
        if let Some(grant) = route(ctx, links, contact, &recipient.device) {
            by_relay.entry(grant.mailbox.relay.relay).or_default().push((recipient.device, grant));
        }
    }
    for (relay, recipients) in by_relay {
        let draft = Draft { outbox: item.id, group: item.group, item: item.clone(), recipients };
        drafts.entry(relay).or_default().push(draft);
    }
    Ok(wake)
}

/// The way to a device: its preferred relay among those that are up; else its preferred one is called.
fn route(
    ctx: &Context<'_>,
    links: &mut Links,
    contact: &Contact,
    device: &DeviceId,
) -> Option<DeliveryGrant> {
    let grants = contact.grants.iter().filter(|grant| grant.device == *device);
    let up = grants.clone().filter(|grant| links.is_ready(&grant.mailbox.relay.relay));
    if let Some(best) = up.min_by_key(|grant| grant.mailbox.priority) {
        return Some(best.clone());
    }
    for grant in grants {
        links.want(&grant.mailbox.relay, false, ctx.now);
    }
    None
}

/// Cuts the items for one relay into publishes within the limits; a group stays together.
fn frames(drafts: Vec<Draft>) -> Vec<Vec<Draft>> {
    let mut frames: Vec<Vec<Draft>> = Vec::new();
    let mut current: Vec<Draft> = Vec::new();
    let mut drafts = drafts.into_iter().peekable();
    while let Some(first) = drafts.next() {
        let group = first.group;
        let mut together = vec![first];
        while let Some(next) = drafts.next_if(|draft| draft.group == group) {
            together.push(next);
        }
        if !current.is_empty() && !fit(current.iter().chain(&together)) {
            frames.push(std::mem::take(&mut current));
        }
        for draft in together {
            // A group larger than a publish is cut: the order still holds.
            if !current.is_empty() && !fit(current.iter().chain([&draft])) {
                frames.push(std::mem::take(&mut current));
            }
            current.push(draft);
        }
    }
    if !current.is_empty() {
        frames.push(current);
    }
    frames
}

fn fit<'a>(drafts: impl Iterator<Item = &'a Draft> + Clone) -> bool {
    let bytes: usize = drafts.clone().map(|draft| draft.item.payload.len()).sum();
    drafts.count() <= PUBLISH_ITEMS_MAX && bytes <= PUBLISH_PAYLOAD_BYTES_MAX
}

fn send(ctx: &mut Context<'_>, links: &mut Links, relay: RelayId, drafts: Vec<Draft>, out: &mut Outputs) {
    let publish_id = PublishId::random(ctx.rng);
    let expiry = ctx.now.after(ENVELOPE_TTL_MAX);
    let mut in_flight = InFlight { publish_id, items: Vec::with_capacity(drafts.len()) };
    let mut items = Vec::with_capacity(drafts.len());
    for Draft { outbox, item, recipients, .. } in drafts {
        let payload_hash = PayloadHash::of(&item.payload);
        let input = ProofInput { publish_id, payload_hash, relay, expiry };
        let route = recipients.iter().map(|(_, grant)| recipient(grant, &input)).collect();
        in_flight.items.push(InFlightItem {
            outbox,
            payload_hash,
            devices: recipients.into_iter().map(|(device, _)| device).collect(),
        });
        items.push(wire::PublishItem {
            payload: item.payload,
            class: u32::from(item.class),
            expiry_ms: expiry.as_ms(),
            route: Some(wire::Route {
                kind: Some(wire::route::Kind::Open(wire::OpenRoute { recipients: route })),
            }),
        });
    }
    let publish = wire::Publish { publish_id: publish_id.to_wire(), items };
    links.ask(&relay, Asked::Publish(in_flight), Body::Publish(publish), ctx.now, out);
}

fn recipient(grant: &DeliveryGrant, input: &ProofInput) -> wire::Recipient {
    grant.token.prove(input).to_recipient(grant.mailbox.mailbox, grant.mailbox.epoch, grant.token.path())
}

/// A custody receipt came. The inner error says how the relay broke the protocol.
pub(super) fn published(
    ctx: &mut Context<'_>,
    relay: &RelayId,
    publish: &InFlight,
    published: wire::Published,
) -> Result<Result<(), String>, StoreError> {
    let receipt = match verify(relay, publish, published) {
        Ok(receipt) => receipt,
        Err(reason) => return Ok(Err(format!("the relay's custody receipt is no good: {reason}"))),
    };
    ctx.agenda.publish = true;
    for (item, outcome) in publish.items.iter().zip(receipt.items) {
        // An acknowledgement of the device may have come first and taken the item out.
        let Some(mut stored) = ctx.tx.outbox(item.outbox)? else { continue };
        let mut failure = None;
        for (device, outcome) in item.devices.iter().zip(outcome.recipients) {
            let failed = apply(ctx, relay, &mut stored, device, outcome);
            if let Some(Failure::Denied(_)) = failed {
                ask_siblings(ctx, &stored, device)?;
            }
            failure = failed.or(failure);
        }
        ctx.tx.put_outbox(&stored)?;
        conclude(ctx, &stored, failure)?;
    }
    Ok(Ok(()))
}

/// What a device said of its mailboxes does not hold any more: another device of this user may know better.
fn ask_siblings(ctx: &mut Context<'_>, item: &OutboxItem, device: &DeviceId) -> Result<(), StoreError> {
    let user = item.recipients.iter().find(|recipient| recipient.device == *device);
    let Some(mut contact) = user.map(|to| ctx.tx.contact(&to.user)).transpose()?.flatten() else {
        return Ok(());
    };
    let known = contact.introduced.len();
    contact.introduced.retain(|(introduced, _)| introduced != device);
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
    let matches = receipt.publish_id == publish.publish_id
        && receipt.items.len() == publish.items.len()
        && receipt.items.iter().zip(&publish.items).all(|(outcome, item)| {
            outcome.payload_hash == item.payload_hash && outcome.recipients.len() == item.devices.len()
        });
    if matches { Ok(receipt) } else { Err("it is for something else".to_owned()) }
}

/// Takes one outcome into an item; gives the failure if it is final.
fn apply(
    ctx: &Context<'_>,
    relay: &RelayId,
    item: &mut OutboxItem,
    device: &DeviceId,
    outcome: Outcome,
) -> Option<Failure> {
    let recipient = item.recipients.iter_mut().find(|recipient| recipient.device == *device)?;
    let OutboxState::Pending { attempts, .. } = recipient.state else { return None };
    let (state, failure) = match Next::after(outcome, attempts, ctx.now) {
        Next::Custody { until } => (OutboxState::Custody { relay: *relay, held_until: until }, None),
        Next::Retry { not_before } => {
            (OutboxState::Pending { attempts: attempts.saturating_add(1), not_before }, None)
        }
        Next::Denied(denial) => (OutboxState::Failed, Some(Failure::Denied(denial))),
        Next::TooLarge { bytes_max } => (OutboxState::Failed, Some(Failure::TooLarge { bytes_max })),
    };
    recipient.state = state;
    failure
}

fn is_pending(item: &OutboxItem) -> bool {
    item.recipients.iter().any(|recipient| matches!(recipient.state, OutboxState::Pending { .. }))
}

/// Whether every recipient's relay holds it, or every recipient has it.
fn is_there(item: &OutboxItem) -> bool {
    let there = |state: OutboxState| matches!(state, OutboxState::Custody { .. } | OutboxState::Acknowledged);
    item.recipients.iter().all(|recipient| there(recipient.state))
}

/// What an answered item means for what it is part of.
fn conclude(ctx: &mut Context<'_>, item: &OutboxItem, failure: Option<Failure>) -> Result<(), StoreError> {
    match item.purpose {
        Purpose::Acknowledgement(_) => {
            if !is_pending(item) {
                ctx.tx.delete_outbox(item.id)?;
                ctx.agenda.receipts = true;
            }
            Ok(())
        }
        Purpose::OwnAcknowledgement(_) if !is_pending(item) => {
            ctx.agenda.receipts = true;
            ctx.tx.delete_outbox(item.id)
        }
        Purpose::OwnEntry(_)
        | Purpose::OwnKey(_)
        | Purpose::OwnAcknowledgement(_)
        | Purpose::Retry(_)
        | Purpose::History(_)
        | Purpose::Link(_)
        | Purpose::DeviceList(_) => {
            if is_pending(item) {
                Ok(())
            } else {
                ctx.tx.delete_outbox(item.id)
            }
        }
        Purpose::Introduction(user) => conclude_introduction(ctx, item, &user, failure),
        Purpose::Entry(entry) | Purpose::Key(entry) => conclude_entry(ctx, item, &entry, failure),
    }
}

fn conclude_entry(
    ctx: &mut Context<'_>,
    item: &OutboxItem,
    entry: &EntryId,
    failure: Option<Failure>,
) -> Result<(), StoreError> {
    if let Some(failure) = failure {
        // Later messages must not stand on a key that did not get there.
        if let Some(delivery) = ctx.tx.delivery(entry)? {
            resend::renew_key(ctx, &delivery.conversation)?;
            // Where another of their devices still takes something, they can say themselves what holds now.
            let by_all = item.recipients.iter().all(|recipient| recipient.state == OutboxState::Failed);
            if let (Failure::Denied(denial), true, Some(contact)) =
                (failure, by_all, views::contact_of(ctx, &delivery.conversation)?)
            {
                refused(ctx, contact, denial)?;
            }
        }
        let of_key = matches!(item.purpose, Purpose::Key(_));
        if of_key && ctx.tx.outbox_of(&Purpose::Entry(*entry))?.is_empty() {
            // The entry is acknowledged already.
            return ctx.tx.delete_outbox(item.id);
        }
        // A key that can't get there leaves the entry unreadable, so it counts the same.
        return fail(ctx, entry, failure);
    }
    let keys = ctx.tx.outbox_of(&Purpose::Key(*entry))?;
    let entries = ctx.tx.outbox_of(&Purpose::Entry(*entry))?;
    let acknowledged = |item: &OutboxItem| {
        item.recipients.iter().all(|recipient| recipient.state == OutboxState::Acknowledged)
    };
    if entries.iter().all(acknowledged) {
        for entry in entries {
            ctx.tx.delete_outbox(entry.id)?;
        }
        return receipts::drop_keys(ctx, entry);
    }
    if !keys.iter().chain(&entries).all(is_there) {
        return Ok(());
    }
    raise_tick(ctx, entry, Tick::Sent)
}

fn conclude_introduction(
    ctx: &mut Context<'_>,
    item: &OutboxItem,
    user: &UserId,
    failure: Option<Failure>,
) -> Result<(), StoreError> {
    if is_pending(item) {
        return Ok(());
    }
    ctx.tx.delete_outbox(item.id)?;
    let Some(mut contact) = ctx.tx.contact(user)? else { return Ok(()) };
    if let Some(Failure::Denied(denial)) = failure {
        return refused(ctx, contact, denial);
    }
    // Not before all their devices can know the new token: they may have to say theirs by the old one.
    if contact.refused.is_none() && ctx.tx.outbox_of(&Purpose::Introduction(*user))?.is_empty() {
        revocations::revoke_former(ctx, &mut contact)?;
        ctx.tx.put_contact(&contact)?;
    }
    // A first text went along.
    for delivery in ctx.tx.deliveries_unread(&ctx.me.direct(user))? {
        if delivery.sealed
            && delivery.tick == Tick::Queued
            && ctx.tx.outbox_of(&Purpose::Entry(delivery.entry))?.is_empty()
        {
            raise_tick(ctx, &delivery.entry, Tick::Sent)?;
        }
    }
    Ok(())
}

/// Drops what has long been out of any relay's hands: some device of each user has it, or it was told as failed, or
/// it was for own devices only, which get it as history.
fn drop_old(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for item in ctx.tx.outbox_page(0, SWEEP_MAX)? {
        let is_old = ctx.now.since(item.created) > ENVELOPE_TTL_MAX + EXPIRY_GRACE;
        let waits_for_user = matches!(item.purpose, Purpose::Entry(_) | Purpose::Key(_))
            && item.recipients.iter().any(|recipient| recipient.state == OutboxState::Failed);
        let has_ended = |state: OutboxState| match state {
            OutboxState::Custody { held_until, .. } => held_until < ctx.now.before(EXPIRY_GRACE),
            OutboxState::Acknowledged | OutboxState::Failed => true,
            OutboxState::Pending { .. } => false,
        };
        if is_old && !waits_for_user && item.recipients.iter().all(|recipient| has_ended(recipient.state)) {
            ctx.tx.delete_outbox(item.id)?;
        }
    }
    Ok(())
}

/// A contact's relay takes nothing from us: the user can ask them for a new link.
fn refused(ctx: &mut Context<'_>, mut contact: Contact, denial: Denial) -> Result<(), StoreError> {
    if contact.refused == Some(denial) {
        return Ok(());
    }
    contact.refused = Some(denial);
    ctx.tx.put_contact(&contact)?;
    let view = views::contact(ctx, &contact)?;
    ctx.events.push(Event::Contact { contact: view });
    Ok(())
}

/// Fails what no device acknowledged in time, and forgets what is too old to matter.
pub(super) fn sweep(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for mut item in ctx.tx.outbox_expired(ctx.now.before(EXPIRY_GRACE), SWEEP_MAX)? {
        if let Purpose::Entry(entry) | Purpose::Key(entry) = item.purpose {
            fail(ctx, &entry, Failure::Expired)?;
            // Its key may have expired with it: later messages must not stand on that.
            if let Some(delivery) = ctx.tx.delivery(&entry)? {
                resend::renew_key(ctx, &delivery.conversation)?;
            }
        }
        for recipient in &mut item.recipients {
            if matches!(recipient.state, OutboxState::Custody { .. }) {
                recipient.state = OutboxState::Failed;
            }
        }
        ctx.tx.put_outbox(&item)?;
    }
    drop_old(ctx)?;
    ctx.tx.forget_receiver_keys(ctx.now.before(SEEN_LIFE))?;
    // A prekey message of an earlier time was for a fallback prekey that is dead.
    let account = &ctx.me.account;
    let oldest = account.superseded.as_ref().map_or(account.keys_made, |key| key.made);
    ctx.tx.forget_prekey_bases(oldest)?;
    ctx.tx.forget_seen(ctx.now.before(SEEN_LIFE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(group: u64, bytes: usize) -> Draft {
        let item = OutboxItem {
            id: 0,
            group,
            purpose: Purpose::Entry(EntryId::new([0; 32])),
            class: 0,
            payload: vec![0; bytes].into(),
            recipients: Vec::new(),
            created: Timestamp::ZERO,
        };
        Draft { outbox: 0, group, item, recipients: Vec::new() }
    }

    fn groups(frames: &[Vec<Draft>]) -> Vec<Vec<u64>> {
        frames.iter().map(|frame| frame.iter().map(|draft| draft.group).collect()).collect()
    }

    #[test]
    fn a_group_stays_together() {
        let drafts = (0..15).map(|group| draft(group, 10)).chain([draft(99, 10), draft(99, 10)]).collect();
        let frames = frames(drafts);
        assert_eq!(groups(&frames), [(0..15).collect::<Vec<_>>(), vec![99, 99]]);
    }

    #[test]
    fn bytes_are_bounded_and_order_holds() {
        let frames = frames((0..6).map(|group| draft(group, 60 * 1024)).collect());
        assert_eq!(groups(&frames), [vec![0, 1], vec![2, 3], vec![4, 5]]);
    }
}
