//! Where relays are, by their own word, and home relays that are asked for it (`spec/federation.md`, "Where relays are").

use std::collections::BTreeSet;
use std::time::Duration;

use undertone_protocol::codec::Signed;
use undertone_protocol::federation::RelayRecord;
use undertone_protocol::ids::RelayId;
use undertone_protocol::wire::{self, frame::Body};

use super::asked::Asked;
use super::context::Context;
use super::links::Links;
use super::relays;
use super::types::Outputs;
use crate::LinkId;
use crate::store::StoreError;

/// Between two questions for one relay; the time doubles with each, from the first to the second.
const ASK_EVERY: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(600));

/// Asks a home relay for those that can't be reached, each only every now and then. A call that failed is what brings this
/// about, so that nothing else has to.
pub(super) fn ask(ctx: &mut Context<'_>, links: &mut Links, out: &mut Outputs) {
    let is_lost = |relay: &RelayId| links.unreachable_since(relay, ctx.now).is_some();
    ctx.agenda.sought.retain(|relay, _| is_lost(relay) && links.to(relay).next().is_some());
    let sought = &ctx.agenda.sought;
    let is_due = |relay: &RelayId| sought.get(relay).is_none_or(|(at, _)| *at <= ctx.now);
    let called = links.iter().map(|(link, _)| link.relay);
    let lost: BTreeSet<RelayId> = called.filter(|relay| is_due(relay) && is_lost(relay)).collect();
    for relay in lost {
        let homes = links.homes().filter(|(via, link)| link.is_attached() && **via != relay);
        let best = homes.filter_map(|(via, link)| Some((link.health(ctx.now)?, *via))).min();
        let Some((_, via)) = best else { continue };
        let body = Body::FindRelay(wire::FindRelay { relay: relay.to_wire() });
        if links.ask(&LinkId::home(via), Asked::FindRelay(relay), body, ctx.now, out) {
            let last = ctx.agenda.sought.get(&relay).map(|(_, wait)| *wait * 2);
            let wait = last.map_or(ASK_EVERY.0, |wait| wait.min(ASK_EVERY.1));
            ctx.agenda.sought.insert(relay, (ctx.now.after(wait), wait));
        }
    }
}

/// A relay says where it is, or a home relay what another one says.
pub(super) fn said(
    ctx: &mut Context<'_>,
    links: &mut Links,
    relay: &RelayId,
    signed: Option<wire::Signed>,
) -> Result<(), StoreError> {
    let signed = Signed::required("relay at", "record", signed);
    let record = signed.ok().and_then(|signed| RelayRecord::verify(signed).ok());
    match record.filter(|record| record.address.relay == *relay && record.is_current(ctx.now)) {
        Some(record) => relays::is_at(ctx, links, record.address),
        None => {
            tracing::warn!(relay = %relay.short(), "a relay's record can't be used");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
