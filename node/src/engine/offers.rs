//! How entries go to devices that seem to lack them: in batches, and again after longer and longer times.

use std::collections::BTreeSet;
use std::time::Duration;

use prost::Message;
use undertone_protocol::ids::{ConversationId, DeviceId};
use undertone_protocol::limits::{ENTRIES_BYTES_MAX, ENTRIES_MAX};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire;
use undertone_protocol::wire::pairwise::Body;

use super::agenda::Offer;
use super::context::Context;
use super::outgoing::{self, NO_GROUP};
use super::pairwise;
use crate::store::{Contact, Purpose, StoreError, StoredEntry};

/// Envelopes of history that go out for one look at what a device lacks.
pub(super) const BATCHES_MAX: usize = 4;
/// Entries of one device that are looked at in one go.
pub(super) const PAGE: usize = 256;
/// What was offered is not offered again sooner; a device that is silent gets it again after twice the time each.
pub(super) const OFFER_LIFE: Duration = Duration::from_secs(60);
pub(super) const OFFER_LIFE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// How long an offer may take, after it was made some times before.
pub(super) fn life(unheard: u32) -> Duration {
    OFFER_LIFE.saturating_mul(1 << unheard.min(16)).min(OFFER_LIFE_MAX)
}

pub(super) fn look_again(ctx: &mut Context<'_>, which: &(DeviceId, ConversationId), at: Timestamp) {
    let known = ctx.agenda.compare.entry(*which).or_insert(at);
    *known = (*known).min(at);
}

/// An own other device never spoke of a group: what told of it may be lost. It is told what this one knows, and asks.
pub(super) fn tell_of_group(
    ctx: &mut Context<'_>,
    which: (DeviceId, ConversationId),
) -> Result<(), StoreError> {
    let (device, group) = which;
    let before = ctx.agenda.offered.get(&which);
    let unheard = before.map_or(0, |offer| offer.unheard.saturating_add(1));
    let again = before.map(|offer| offer.at.after(life(offer.unheard))).filter(|again| ctx.now < *again);
    let on_its_way = !ctx.tx.outbox_of_to(&Purpose::Group(group), &device)?.is_empty();
    if let Some(again) = again.or(on_its_way.then(|| ctx.now.after(OFFER_LIFE))) {
        look_again(ctx, &which, again);
        return Ok(());
    }
    ctx.agenda.updates.entry((group, device)).or_default();
    ctx.agenda.offered.insert(which, Offer { at: ctx.now, entries: BTreeSet::new(), unheard });
    look_again(ctx, &which, ctx.now.after(life(unheard)));
    Ok(())
}

/// Bytes of an envelope that an entry takes.
pub(super) fn size(stored: &StoredEntry) -> usize {
    stored.entry.to_wire().encoded_len() + 8
}

/// Cuts entries into what one envelope holds each.
pub(super) fn batches(entries: Vec<StoredEntry>) -> Vec<Vec<StoredEntry>> {
    let mut batches: Vec<Vec<StoredEntry>> = Vec::new();
    let mut bytes = 0;
    for stored in entries {
        bytes += size(&stored);
        match batches.last_mut() {
            Some(batch) if batch.len() < ENTRIES_MAX && bytes <= ENTRIES_BYTES_MAX => batch.push(stored),
            _ => {
                bytes = size(&stored);
                batches.push(vec![stored]);
            }
        }
    }
    batches
}

pub(super) fn send(
    ctx: &mut Context<'_>,
    to: &Contact,
    device: &DeviceId,
    conversation: &ConversationId,
    entries: Vec<StoredEntry>,
) -> Result<(), StoreError> {
    let entries = entries.iter().map(|stored| stored.entry.to_wire()).collect();
    let body = Body::Entries(wire::Entries { entries });
    let Some(payload) = pairwise::seal(ctx, to, device, body, None)? else { return Ok(()) };
    outgoing::put(ctx, &to.user, &[*device], Purpose::History(*conversation), NO_GROUP, payload)
}
