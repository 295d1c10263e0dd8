//! The outbox on its way: which items go to which relay, in which frames.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use undertone_protocol::delivery::retry_delay;
use undertone_protocol::ids::{ConversationId, DeviceId, PayloadHash, PublishId, RelayId, UserId};
use undertone_protocol::keys::DeliveryGrant;
use undertone_protocol::limits::{
    ENVELOPE_TTL_MAX, PUBLISH_ITEMS_MAX, PUBLISH_PAYLOAD_BYTES_MAX, SEALED_LIFE,
};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::ProofInput;
use undertone_protocol::wire::{self, frame::Body};

use super::agenda::Side;
use super::asked::{Asked, InFlight, InFlightItem};
use super::context::Context;
use super::link::Link;
use super::links::Links;
use super::types::Outputs;
use super::{outcomes, resend};
use crate::store::{OutboxItem, OutboxState, Purpose, StoreError};

/// Items read in one go, and about as many are sent in one stage.
const SCAN_PAGE: usize = 128;
/// Items looked at in one stage.
const SCAN_MAX: usize = 4_096;

/// One item with the recipients that one relay serves.
struct Draft {
    outbox: u64,
    group: u64,
    item: OutboxItem,
    recipients: Vec<(DeviceId, DeliveryGrant)>,
}

/// A walk through the outbox, from its beginning to its end: in stages, so that however much waits for relays that are
/// away, what comes after it has its turn, and no stage takes long.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Behind which item the next stage begins; 0 between two walks.
    after_id: u64,
    /// Another walk is due when this one has ended.
    again: bool,
    /// When something that was put off may be tried.
    retry_at: Option<Timestamp>,
    /// Until then nothing is published at all.
    silent_until: Option<Timestamp>,
}

impl Walk {
    /// When to go on, or to begin anew.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let due = if self.after_id > 0 || self.again { Some(Timestamp::ZERO) } else { self.retry_at };
        self.silent_until.or(due)
    }

    /// The clock was set back: what was put off by it may be due.
    pub(super) const fn set_back(&mut self) {
        self.again = true;
    }

    /// Where this stage begins, if one is due.
    fn begin(&mut self, is_due: bool, now: Timestamp) -> Option<u64> {
        self.again |= is_due || self.retry_at.is_some_and(|at| at <= now);
        if self.after_id == 0 {
            if !std::mem::take(&mut self.again) {
                return None;
            }
            self.retry_at = None;
        }
        Some(std::mem::take(&mut self.after_id))
    }
}

/// Publishes what can go out, in order. The next stage goes on behind what was looked at and can't go out now; what
/// was drafted is answered, which begins a walk.
pub(super) fn publish(
    ctx: &mut Context<'_>,
    links: &mut Links,
    walk: &mut Walk,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    walk.silent_until = links.silent_until(ctx.now);
    if walk.silent_until.is_some() {
        return Ok(());
    }
    let is_due = std::mem::take(&mut ctx.agenda.publish);
    let Some(mut after_id) = walk.begin(is_due, ctx.now) else { return Ok(()) };
    outcomes::conclude_due(ctx)?;
    let mut grants = Grants::new();
    let mut drafts: BTreeMap<RelayId, Vec<Draft>> = BTreeMap::new();
    let (mut looked_at, mut drafted) = (0, 0);
    while drafted < SCAN_PAGE {
        if looked_at >= SCAN_MAX {
            walk.after_id = after_id;
            break;
        }
        let page = ctx.tx.outbox_pending(after_id, SCAN_PAGE)?;
        looked_at += page.len();
        let Some(last) = page.last() else { break };
        after_id = last.id;
        for item in page {
            let wake = draft(ctx, links, &mut grants, item, &mut drafts)?;
            walk.retry_at = walk.retry_at.into_iter().chain(wake).min();
        }
        drafted = drafts.values().map(Vec::len).sum();
    }
    leave_to_seal_anew(ctx, walk, &mut drafts)?;
    for (relay, drafts) in drafts {
        for frame in frames(drafts) {
            send(ctx, links, relay, frame, out);
        }
    }
    Ok(())
}

/// Takes out what was sealed too long ago, and what is sealed anew with it: that goes out next.
fn leave_to_seal_anew(
    ctx: &mut Context<'_>,
    walk: &mut Walk,
    drafts: &mut BTreeMap<RelayId, Vec<Draft>>,
) -> Result<(), StoreError> {
    let is_late = |draft: &&Draft| ctx.now.since(draft.item.created) >= SEALED_LIFE;
    let late: Vec<Purpose> =
        drafts.values().flatten().filter(is_late).map(|draft| draft.item.purpose).collect();
    for purpose in &late {
        if let Purpose::Entry(entry) = purpose {
            resend::anew(ctx, entry)?;
        }
    }
    if late.is_empty() {
        return Ok(());
    }
    for drafts in drafts.values_mut() {
        let mut left = Vec::with_capacity(drafts.len());
        for draft in drafts.drain(..) {
            if ctx.tx.outbox(draft.outbox)?.is_some() {
                left.push(draft);
            }
        }
        *drafts = left;
    }
    walk.again = true;
    Ok(())
}

/// Assigns an item's pending recipients to relays. Gives the moment when one that must wait may be tried.
fn draft(
    ctx: &Context<'_>,
    links: &mut Links,
    grants: &mut Grants,
    item: OutboxItem,
    drafts: &mut BTreeMap<RelayId, Vec<Draft>>,
) -> Result<Option<Timestamp>, StoreError> {
    let mut by_relay: BTreeMap<RelayId, Vec<(DeviceId, DeliveryGrant)>> = BTreeMap::new();
    let mut wake = None;
    let group = group_of(ctx, &item.purpose)?;
    for recipient in &item.recipients {
        let OutboxState::Pending { not_before, .. } = recipient.state else { continue };
        // By no clock that is right is anything put off for longer.
        if not_before > ctx.now && not_before <= ctx.now.after(retry_delay(u32::MAX, Duration::ZERO)) {
            wake = wake.into_iter().chain([not_before]).min();
            continue;
        }
        if links.is_in_flight(item.id, recipient.device) {
            continue;
        }
        let grants = match grants.entry((group, recipient.user)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(grants_of(ctx, group.as_ref(), &recipient.user)?),
        };
        let grant = route(ctx, links, grants, &recipient.device);
        if let Some(grant) =
            grant.filter(|grant| links.get(&grant.mailbox.relay.relay).is_some_and(Link::takes_publishes))
        {
            by_relay.entry(grant.mailbox.relay.relay).or_default().push((recipient.device, grant));
        }
    }
    for (relay, recipients) in by_relay {
        let draft = Draft { outbox: item.id, group: item.group, item: item.clone(), recipients };
        drafts.entry(relay).or_default().push(draft);
    }
    Ok(wake)
}

/// The mailboxes of users, as members of a group or as contacts.
type Grants = BTreeMap<(Option<ConversationId>, UserId), Vec<DeliveryGrant>>;

/// The group that an item is of.
fn group_of(ctx: &Context<'_>, purpose: &Purpose) -> Result<Option<ConversationId>, StoreError> {
    let conversation = match purpose {
        Purpose::Entry(entry) | Purpose::Key(entry) => {
            ctx.tx.delivery(entry)?.map(|delivery| delivery.conversation)
        }
        Purpose::Acknowledgement(conversation)
        | Purpose::History(conversation)
        | Purpose::Group(conversation) => Some(*conversation),
        Purpose::Introduction(_)
        | Purpose::Retry(_)
        | Purpose::OwnEntry(_)
        | Purpose::OwnKey(_)
        | Purpose::OwnAcknowledgement(_)
        | Purpose::Link(_)
        | Purpose::DeviceList(_) => None,
    };
    let is_group = |of: &ConversationId| ctx.agenda.directory.get(of) == Some(&Side::Group);
    Ok(conversation.filter(is_group))
}

/// A user's mailboxes: by the tokens of a group, and where there are none by any other that this device has.
fn grants_of(
    ctx: &Context<'_>,
    group: Option<&ConversationId>,
    user: &UserId,
) -> Result<Vec<DeliveryGrant>, StoreError> {
    let mut grants = Vec::new();
    if let Some(group) = group {
        grants = ctx.tx.member(group, user)?.map(|member| member.grants).unwrap_or_default();
    }
    let contact = ctx.tx.contact(user)?.filter(|contact| !contact.state.is_blocked());
    let of_contact = contact.map(|contact| contact.grants).unwrap_or_default();
    extend(&mut grants, of_contact);
    if group.is_none() && grants.is_empty() {
        for common in ctx.tx.groups_of(user)? {
            extend(
                &mut grants,
                ctx.tx.member(&common, user)?.map(|member| member.grants).unwrap_or_default(),
            );
        }
    }
    Ok(grants)
}

/// Adds the mailboxes of devices of which there is none yet.
fn extend(grants: &mut Vec<DeliveryGrant>, others: Vec<DeliveryGrant>) {
    let known: BTreeSet<DeviceId> = grants.iter().map(|grant| grant.device).collect();
    grants.extend(others.into_iter().filter(|grant| !known.contains(&grant.device)));
}

/// The way to a device: its preferred relay among those that are up; else its preferred one is called.
fn route(
    ctx: &Context<'_>,
    links: &mut Links,
    grants: &[DeliveryGrant],
    device: &DeviceId,
) -> Option<DeliveryGrant> {
    let grants = grants.iter().filter(|grant| grant.device == *device);
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

#[cfg(test)]
mod tests {
    use undertone_protocol::ids::EntryId;

    use super::*;
    use crate::store::Purpose;

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
