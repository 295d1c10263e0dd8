//! Which of a device's mailboxes something goes to: one at the healthiest relay, of those that take it. What a relay does
//! not take goes another way, if there is one (`spec/receipts.md`, "Several mailboxes").

use undertone_protocol::ids::{DeviceId, RelayId};
use undertone_protocol::keys::DeliveryGrant;
use undertone_protocol::limits::CUSTODIAN_WAIT;
use undertone_protocol::receipts::Denial;
use undertone_protocol::time::Timestamp;

use super::context::Context;
use super::link::Health;
use super::links::Links;
use super::refusals::Standing;

/// Whether the other mailboxes of a device may take what one denied. Where a link is used up, or anything is over, it is
/// so at all of them.
pub(super) const fn falls_over(denial: Denial) -> bool {
    !matches!(denial, Denial::UsedUp | Denial::Expired)
}

/// How something goes on.
pub(super) enum Way {
    By {
        grant: DeliveryGrant,
        /// Whether the device has other mailboxes that were not asked.
        has_others: bool,
    },
    /// Not now; at this moment something may have changed that nothing else tells of.
    Later(Option<Timestamp>),
}

/// The way to a device, but by relays that have it already: of the mailboxes that take something, that of the healthiest
/// relay that is up. Others are called where none is up, or none is healthy. Where none takes anything the one that is best
/// otherwise is asked again.
pub(super) fn way(
    ctx: &Context<'_>,
    links: &mut Links,
    grants: &[DeliveryGrant],
    device: &DeviceId,
    but: &[RelayId],
) -> Way {
    let relay = |grant: &DeliveryGrant| grant.mailbox.relay.relay;
    let ways = grants.iter().filter(|grant| grant.device == *device && !but.contains(&relay(grant)));
    let mut ways: Vec<(Standing, &DeliveryGrant)> =
        ways.map(|grant| (ctx.agenda.refusals.standing(grant, ctx.now), grant)).collect();
    let has_others = ways.len() > 1;
    let again = ways.iter().filter_map(|(standing, _)| standing.until()).min();
    if ways.iter().any(|(standing, _)| *standing == Standing::Open) {
        ways.retain(|(standing, _)| *standing == Standing::Open);
    }
    let up = ways.iter().filter_map(|(standing, grant)| {
        let (health, latency) = links.get(&relay(grant))?.health(ctx.now)?;
        Some(((*standing, health, grant.mailbox.priority, latency), *grant))
    });
    let best = up.min_by_key(|(rank, _)| *rank);
    if best.is_none_or(|((_, health, ..), _)| health > Health::Good) {
        for (_, grant) in &ways {
            links.want(&grant.mailbox.relay, false, ctx.now);
        }
    }
    best.map_or(Way::Later(again), |(_, grant)| Way::By { grant: grant.clone(), has_others })
}

/// When something that a relay did not take for a device may go to another mailbox of the device: now, to one that takes
/// something for all that is known, and whose relay can be reached or was not called for long; or once one that is full has
/// room, which is waited for where this one denied it. `None`: by no other one.
pub(super) fn another(
    ctx: &Context<'_>,
    links: &Links,
    grants: &[DeliveryGrant],
    device: &DeviceId,
    refusing: &RelayId,
) -> Option<Timestamp> {
    let others = grants.iter().filter(|grant| grant.device == *device);
    let others = others.filter(|grant| grant.mailbox.relay.relay != *refusing);
    let is_gone = |grant: &&DeliveryGrant| {
        let since = links.unreachable_since(&grant.mailbox.relay.relay);
        since.is_some_and(|since| ctx.now >= since.after(CUSTODIAN_WAIT))
    };
    let others = others.filter(|grant| !is_gone(grant));
    let when = others.filter_map(|grant| match ctx.agenda.refusals.standing(grant, ctx.now) {
        Standing::Open => Some(ctx.now),
        Standing::Full(until) => Some(until),
        Standing::Denied(_) => None,
    });
    when.min()
}

#[cfg(test)]
mod tests;
