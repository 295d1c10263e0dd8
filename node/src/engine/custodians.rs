//! Relays that hold something and can't be reached: it goes out again by other mailboxes of the device, if it has some.
//! Custody is not delivery.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use undertone_protocol::ids::UserId;
use undertone_protocol::keys::DeliveryGrant;
use undertone_protocol::limits::CUSTODIAN_WAIT;

use super::context::Context;
use super::links::Links;
use super::{outgoing, routes};
use crate::LinkId;
use crate::store::StoreError;

/// Devices, with the relays that hold something for them, that are looked at in one go.
const CUSTODIANS_MAX: usize = 4_096;
/// A relay that can't be reached is called again after this long at the latest: before the connection counts as idle.
const LOOK: Duration = Duration::from_secs(240);

/// Calls the relays that hold something for devices with other mailboxes. What lies at one that can't be reached for
/// long, or where a device has no mailbox any more, goes out again.
pub(super) fn look(ctx: &mut Context<'_>, links: &mut Links) -> Result<(), StoreError> {
    ctx.agenda.custodians_at = None;
    let mut known: BTreeMap<UserId, Vec<DeliveryGrant>> = BTreeMap::new();
    for (device, user, relay) in ctx.tx.outbox_custodians(CUSTODIANS_MAX)? {
        let grants = match known.entry(user) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => unknown.insert(routes::all_of(ctx, &user)?),
        };
        let grants = grants.iter().filter(|grant| grant.device == device);
        let (there, elsewhere): (Vec<_>, Vec<_>) =
            grants.partition(|grant| grant.mailbox.relay.relay == relay);
        if elsewhere.is_empty() {
            continue;
        }
        // Where it has no mailbox any more it may not fetch.
        let Some(there) = there.first() else {
            outgoing::not_fetched(ctx, &device, &relay)?;
            continue;
        };
        // It is called before it is judged: that it was away once says nothing of now. Of a home relay it is known already.
        if links.get(&LinkId::home(relay)).is_none() {
            links.want(&there.mailbox.relay, ctx.now);
        }
        let gone = links.unreachable_since(&relay, ctx.now);
        if gone.is_some_and(|since| ctx.now >= since.after(CUSTODIAN_WAIT)) {
            tracing::info!(relay = %relay.short(), "what a relay holds that can't be reached goes out again");
            outgoing::not_fetched(ctx, &device, &relay)?;
            continue;
        }
        if let Some(since) = gone {
            let at = since.after(CUSTODIAN_WAIT).min(ctx.now.after(LOOK));
            ctx.agenda.custodians_at = ctx.agenda.custodians_at.into_iter().chain([at]).min();
        }
    }
    Ok(())
}

/// Looks where that is due.
pub(super) fn due(ctx: &mut Context<'_>, links: &mut Links) -> Result<(), StoreError> {
    if ctx.agenda.custodians_at.is_some_and(|at| at <= ctx.now) { look(ctx, links) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
