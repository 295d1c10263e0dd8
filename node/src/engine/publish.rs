//! The outbox on its way: which items go to which relay.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use undertone_protocol::delivery::retry_delay;
use undertone_protocol::ids::{ConversationId, DeviceId, PublishId, RelayId, UserId};
use undertone_protocol::keys::DeliveryGrant;
use undertone_protocol::limits::{ENVELOPE_TTL_MAX, SEALED_LIFE};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, frame::Body};

use super::asked::{Asked, InFlight};
use super::context::Context;
use super::drafts::{Draft, FORWARD_BYTES_MAX, PUBLISH_BYTES_MAX, Proved, Recipient, publishes};
use super::link::Link;
use super::links::Links;
use super::routing::Topic;
use super::types::Outputs;
use super::ways::{self, Tried, Way};
use super::{conclusions, forwards, resend, routes};
use crate::LinkId;
use crate::store::{PendingItem, PendingRecipient, Purpose, StoreError};

/// Items read in one go.
const SCAN_PAGE: usize = 16;
/// About so many items are sent in one stage, and to about so many recipients.
const DRAFTS_MAX: usize = 128;
const RECIPIENTS_MAX: usize = 4_096;
/// Items looked at in one stage.
const SCAN_MAX: usize = 4_096;

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
    conclusions::conclude_due(ctx)?;
    forwards::drop_unconfirmed(ctx, links)?;
    forwards::sound(ctx, links, out);
    let mut stage = Stage::default();
    let mut looked_at = 0;
    while stage.has_room() {
        if looked_at >= SCAN_MAX {
            walk.after_id = after_id;
            break;
        }
        let page = ctx.tx.outbox_pending(after_id, SCAN_PAGE)?;
        looked_at += page.len();
        let Some(last) = page.last() else { break };
        after_id = last.id;
        for item in page {
            let wake = stage.draft(ctx, links, item)?;
            walk.retry_at = walk.retry_at.into_iter().chain(wake).min();
        }
    }
    let mut drafts = stage.drafts;
    leave_to_seal_anew(ctx, walk, &mut drafts)?;
    for (course, drafts) in drafts {
        match (course.via, course.topic) {
            (Some(via), Some(topic)) => {
                for drafts in publishes(drafts, FORWARD_BYTES_MAX) {
                    forwards::send(ctx, links, (course.relay, via, topic), drafts, out)?;
                }
            }
            _ => {
                for drafts in publishes(drafts, PUBLISH_BYTES_MAX) {
                    send(ctx, links, course.relay, drafts, out);
                }
            }
        }
    }
    forwards::ask_for_keys(ctx, links, out);
    let opens = links.next_stuck(ctx.now).into_iter().chain(ctx.agenda.routing.next_deadline(ctx.now));
    walk.retry_at = walk.retry_at.into_iter().chain(opens).min();
    Ok(())
}

/// Takes out what was sealed too long ago, and what is sealed anew with it: that goes out next.
fn leave_to_seal_anew(
    ctx: &mut Context<'_>,
    walk: &mut Walk,
    drafts: &mut BTreeMap<Course, Vec<Draft>>,
) -> Result<(), StoreError> {
    let is_late = |draft: &&Draft| ctx.now.since(draft.created) >= SEALED_LIFE;
    let late: Vec<Purpose> = drafts.values().flatten().filter(is_late).map(|draft| draft.purpose).collect();
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
            if ctx.tx.outbox_head(draft.outbox)?.is_some() {
                left.push(draft);
            }
        }
        *drafts = left;
    }
    walk.again = true;
    Ok(())
}

/// Where something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Course {
    /// The relay that takes it.
    relay: RelayId,
    /// The home relay that it goes over; `None`: straight.
    via: Option<RelayId>,
    /// What it is about, where it goes over another relay.
    topic: Option<Topic>,
}

/// The mailboxes of users, as members of a group or as contacts.
type Grants = BTreeMap<(Option<ConversationId>, UserId), Vec<DeliveryGrant>>;

/// What one stage sends. What it learns of contacts and relays holds for the stage.
#[derive(Default)]
struct Stage {
    grants: Grants,
    /// Whether a relay takes publishes.
    takes: BTreeMap<LinkId, bool>,
    drafts: BTreeMap<Course, Vec<Draft>>,
    drafts_count: usize,
    recipients_count: usize,
}

impl Stage {
    const fn has_room(&self) -> bool {
        self.drafts_count < DRAFTS_MAX && self.recipients_count < RECIPIENTS_MAX
    }

    /// Assigns an item's pending recipients to relays. Gives the moment when one that must wait may be tried.
    fn draft(
        &mut self,
        ctx: &mut Context<'_>,
        links: &mut Links,
        item: PendingItem,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut by_course: BTreeMap<Course, Vec<Recipient>> = BTreeMap::new();
        let mut wake = None;
        let group = routes::group_of(ctx, &item.purpose)?;
        for PendingRecipient { device, user, not_before } in &item.recipients {
            // By no clock that is right is anything put off for longer.
            if *not_before > ctx.now && *not_before <= ctx.now.after(retry_delay(u32::MAX, Duration::ZERO)) {
                wake = wake.into_iter().chain([*not_before]).min();
                continue;
            }
            // What is not answered for long goes another way, too, if there is one.
            let Some(tried) = Tried::of(ctx, links, item.id, *device) else { continue };
            match self.way(ctx, links, (group, *user), device, &tried)? {
                Way::By { grant, via, has_others } => {
                    let topic = via.map(|_| group.map_or(Topic::User(*user), Topic::Group));
                    let course = Course { relay: grant.mailbox.relay.relay, via, topic };
                    let recipient = Recipient::new(*device, grant, has_others);
                    by_course.entry(course).or_default().push(recipient);
                }
                Way::Later(again) => wake = wake.into_iter().chain(again).min(),
            }
        }
        for (course, recipients) in by_course {
            self.drafts_count += 1;
            self.recipients_count += recipients.len();
            self.drafts.entry(course).or_default().push(Draft::new(&item, recipients));
        }
        Ok(wake)
    }

    /// The way to a device, if something can go there now, but those that were tried.
    fn way(
        &mut self,
        ctx: &mut Context<'_>,
        links: &mut Links,
        (group, user): (Option<ConversationId>, UserId),
        device: &DeviceId,
        tried: &Tried,
    ) -> Result<Way, StoreError> {
        let grants = match self.grants.entry((group, user)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(routes::grants_of(ctx, group.as_ref(), &user)?),
        };
        let way = ways::way(ctx, links, grants, (group.as_ref(), device), tried);
        let Way::By { grant, via, .. } = &way else { return Ok(way) };
        let link = via.map_or(LinkId::hidden(grant.mailbox.relay.relay), LinkId::home);
        let takes = || links.get(&link).is_some_and(Link::takes_publishes);
        let takes = *self.takes.entry(link).or_insert_with(takes);
        Ok(if takes { way } else { Way::Later(None) })
    }
}

fn send(ctx: &mut Context<'_>, links: &mut Links, relay: RelayId, drafts: Vec<Draft>, out: &mut Outputs) {
    // Beyond what may be unanswered nothing is proved in vain: an answer begins another walk.
    let link = LinkId::hidden(relay);
    if !links.get(&link).is_some_and(Link::takes_publishes) {
        return;
    }
    let publish_id = PublishId::random(ctx.rng);
    let expiry = ctx.now.after(ENVELOPE_TTL_MAX);
    let has_others = drafts.iter().flat_map(|draft| &draft.recipients).any(|recipient| recipient.has_others);
    let mut in_flight = InFlight { publish_id, items: Vec::with_capacity(drafts.len()), has_others };
    let mut items = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let Proved { sent, payload, class, route } = draft.prove(publish_id, relay, expiry);
        in_flight.items.push(sent);
        items.push(wire::PublishItem {
            payload,
            class: u32::from(class),
            expiry_ms: expiry.as_ms(),
            route: Some(wire::Route {
                kind: Some(wire::route::Kind::Open(wire::OpenRoute { recipients: route })),
            }),
        });
    }
    let publish = wire::Publish { publish_id: publish_id.to_wire(), items };
    links.ask(&link, Asked::Publish(in_flight), Body::Publish(publish), ctx.now, out);
}

#[cfg(test)]
mod tests;
