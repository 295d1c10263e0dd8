//! Checkpoints at the home relays: what they know of this device proves a store that was rolled back
//! (`spec/devices.md`, "Rolled back").

use std::time::Duration;

use undertone_protocol::codec::Signed;
use undertone_protocol::ids::RelayId;
use undertone_protocol::keys::Checkpoint;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, frame::Body};

use super::asked::Asked;
use super::context::Context;
use super::link::Link;
use super::links::Links;
use super::types::Outputs;
use crate::LinkId;
use crate::store::{Fault, StoreError};

/// Between two checkpoints at one relay: well below its `requests_per_minute`.
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(200);

/// Where nothing was made yet: no relay has to keep that.
const FIRST: u64 = 1;

/// The number of the next envelope: each stands in the outbox once, and no number is given twice.
fn next(ctx: &Context<'_>) -> Result<u64, StoreError> {
    Ok(ctx.tx.outbox_last()?.saturating_add(1))
}

/// Says to each home relay how far this device is, before the envelopes go out. One at a time, and not too often: what
/// is made meanwhile is in the next one.
pub(super) fn put_due(ctx: &mut Context<'_>, links: &mut Links, out: &mut Outputs) -> Result<(), StoreError> {
    let next = next(ctx)?;
    let mut checkpoint = None;
    let homes: Vec<LinkId> = links.homes().map(|(relay, _)| LinkId::home(*relay)).collect();
    for home in homes {
        if !links.get_mut(&home).is_some_and(|link| begins(link, next, ctx.now)) {
            continue;
        }
        let checkpoint = checkpoint.get_or_insert_with(|| Checkpoint::issue(&ctx.me.key, next));
        let put = wire::PutCheckpoint { checkpoint: Some(checkpoint.signed.to_wire()) };
        links.ask(&home, Asked::PutCheckpoint(next), Body::PutCheckpoint(put), ctx.now, out);
    }
    Ok(())
}

/// Whether the relay is to have another checkpoint now; else it is noted when.
fn begins(link: &mut Link, next: u64, now: Timestamp) -> bool {
    let is_asking = link.questions.any(|asked| matches!(asked, Asked::PutCheckpoint(_)));
    let is_behind = link.is_attached() && link.checkpoint.next < next && !is_asking;
    let is_early = now < link.checkpoint.not_before;
    link.checkpoint.due = (is_behind && is_early).then_some(link.checkpoint.not_before);
    if !is_behind || is_early || !link.begins_upkeep(now) {
        return false;
    }
    link.checkpoint.not_before = now.after(CHECKPOINT_PAUSE);
    true
}

/// The relay has it durably.
pub(super) fn stored(links: &mut Links, relay: &RelayId, next: u64) {
    if let Some(link) = links.get_mut(&LinkId::home(*relay)) {
        link.checkpoint.next = next;
    }
}

/// What the relay has. One that is ahead of the store, and signed by this device, proves that the store was rolled back
/// or is a copy: its keys and numbers were used already. Nothing goes out of it any more.
pub(super) fn found(
    ctx: &mut Context<'_>,
    links: &mut Links,
    relay: &RelayId,
    checkpoint: Option<wire::Signed>,
) -> Result<(), StoreError> {
    let signed = checkpoint.and_then(|signed| Signed::from_wire(signed).ok());
    let checkpoint = signed.and_then(|signed| Checkpoint::verify(signed, &ctx.me.device).ok());
    // None, or one that this device did not sign: it is given a new one.
    let found = checkpoint.map_or(FIRST, |checkpoint| checkpoint.next);
    stored(links, relay, found);
    links.told();
    if found <= next(ctx)? || ctx.me.account.fault.is_some() {
        return Ok(());
    }
    tracing::error!(relay = %relay.short(), "the store is an old copy: the relay knows what this device sent since");
    ctx.silence(Fault::RolledBack)
}
