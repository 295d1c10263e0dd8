//! Which of a device's mailboxes something goes to: one at the healthiest relay, of those that take it. What a relay does
//! not take goes another way, if there is one (`spec/receipts.md`, "Several mailboxes").

use undertone_protocol::ids::{ConversationId, DeviceId, RelayId};
use undertone_protocol::keys::{DeliveryGrant, MailboxAddress, RelayAddress};
use undertone_protocol::limits::CUSTODIAN_WAIT;
use undertone_protocol::receipts::Denial;
use undertone_protocol::time::Timestamp;

use super::context::Context;
use super::link::{Health, Link};
use super::links::Links;
use super::refusals::Standing;
use super::routing::PRIVATE_WAIT;
use crate::LinkId;

const PLACE: &str = "undertone v1 place in a group";

/// Whether the other mailboxes of a device may take what one denied. Where a link is used up, or anything is over, it is
/// so at all of them.
pub(super) const fn falls_over(denial: Denial) -> bool {
    !matches!(denial, Denial::UsedUp | Denial::Expired)
}

/// How something goes on.
pub(super) enum Way {
    By {
        grant: DeliveryGrant,
        /// The home relay that it goes over; `None`: straight.
        via: Option<RelayId>,
        /// Whether the device has other mailboxes that were not asked.
        has_others: bool,
    },
    /// Not now; at this moment something may have changed that nothing else tells of.
    Later(Option<Timestamp>),
}

/// Where something is on its way to a device already.
#[derive(Debug, Default)]
pub(super) struct Tried {
    /// Relays that were asked to take it.
    relays: Vec<RelayId>,
    /// Relays for which a home relay holds it, and that home relay.
    held: Vec<(RelayId, RelayId)>,
    /// Relays for which a home relay holds it for so long that the straight way is tried, too.
    late: Vec<RelayId>,
    /// Home relays that do not answer.
    vias: Vec<RelayId>,
}

impl Tried {
    /// Where an item is on its way to a device. `None`: nothing else is tried yet.
    pub(super) fn of(ctx: &Context<'_>, links: &Links, outbox: u64, device: DeviceId) -> Option<Self> {
        let mut tried = Self { relays: links.carrying(outbox, device), ..Self::default() };
        if !tried.relays.iter().all(|relay| links.is_stuck(relay, ctx.now)) {
            return None;
        }
        for forward in ctx.agenda.routing.carrying(outbox, device) {
            if !forward.is_slow(ctx.now) {
                return None;
            }
            match (forward.waits, forward.late_at() <= ctx.now) {
                (true, true) => tried.late.push(forward.relay),
                (true, false) => tried.held.push((forward.relay, forward.via)),
                (false, _) => tried.vias.push(forward.via),
            }
        }
        Some(tried)
    }

    /// Whether a home relay holds it for a relay, and it is too early for the straight way there.
    fn is_held(&self, relay: &RelayId) -> bool {
        !self.late.contains(relay) && self.held.iter().any(|(at, _)| at == relay)
    }

    /// Whether nothing is left to try at a relay but what may be tried later.
    fn is_through(&self, links: &Links, relay: &RelayId) -> bool {
        let mut homes = links.homes().filter(|(via, link)| *via != relay && link.is_attached());
        self.relays.contains(relay)
            || self.is_held(relay) && homes.all(|(via, _)| self.held.contains(&(*relay, *via)))
    }
}

/// How a relay is reached.
enum Reach {
    /// Over this home relay, or straight, and how well that serves.
    Now(Option<RelayId>, (Health, u128)),
    /// A way over two relays may be there soon: it is waited for until then.
    Soon(Timestamp),
    /// Not.
    No,
}

/// How a relay is reached: over a home relay that is another one, where there is such a way (`spec/federation.md`); else
/// straight.
fn reach(ctx: &mut Context<'_>, links: &Links, address: &RelayAddress, tried: &Tried) -> Reach {
    let (relay, now) = (address.relay, ctx.now);
    let hidden = LinkId::hidden(relay);
    // What a home relay holds is sought another way over two relays, and not straight.
    let straight = || match links.get(&hidden).and_then(|link| link.health(now)) {
        _ if tried.is_held(&relay) => Reach::No,
        Some(health) => Reach::Now(None, health),
        None => Reach::No,
    };
    if tried.late.contains(&relay) {
        return straight();
    }
    let routing = &mut ctx.agenda.routing;
    let is_tried = |via: &RelayId| tried.vias.contains(via) || tried.held.contains(&(relay, *via));
    let serves = |via: &RelayId| *via != relay && !is_tried(via) && routing.serves(via, &relay, now);
    let homes = links.homes().filter(|(via, _)| serves(via));
    // One that does not answer another home relay may not answer this device either, until it does.
    let homes = homes.filter(|(via, link)| !routing.doubts(via, link.last_heard(), now));
    let (ready, others): (Vec<_>, Vec<_>) = homes.partition(|(_, link)| link.is_attached());
    let whole = |via: &RelayId| routing.latency(via, &relay, now);
    let ready = ready.iter().filter_map(|(via, link)| Some((link.health_over(whole(via), now)?, **via)));
    // One that does not answer holds nothing up, nor does one that reaches no other relay.
    let ready = ready.filter(|((health, _), _)| *health < Health::Stuck);
    let best = ready.min_by_key(|(health, via)| (routing.unanswering(via, now), *health, *via));
    let Some(((health, latency), via)) = best else {
        // One that was just called may be there soon.
        let soon = others.iter().filter(|(_, link)| link.problem.is_none());
        let soon =
            soon.map(|(_, link)| link.changed().after(PRIVATE_WAIT)).filter(|until| *until > now).min();
        return soon.map_or_else(straight, Reach::Soon);
    };
    if let Some(until) = routing.crowded_until(&via, &relay) {
        return if until > now { Reach::Soon(until) } else { straight() };
    }
    let is_slow = routing.oldest(&relay).is_some_and(|oldest| oldest.is_slow(now));
    if !routing.has_key(address, now) {
        return routing.key_awaited(&relay, now).map_or_else(straight, Reach::Soon);
    }
    // What this device sees of it itself, where it has connections of its own there.
    let is_down =
        |link: &Link| link.health(now).map_or(link.problem.is_some(), |(health, _)| health == Health::Stuck);
    let mut own = links.to(&relay).peekable();
    let is_down = own.peek().is_some() && own.all(is_down);
    Reach::Now(Some(via), (if is_down || is_slow { Health::Stuck } else { health }, latency))
}

/// Which of equal relays is preferred for what is said in a group: the lowest first, which its senders agree about. So members
/// with a relay in common are reached there by one upload, and a relay that dies moves only what went there (rendezvous
/// hashing). What is for one user goes by the priorities of their own.
fn place(group: Option<&ConversationId>, mailbox: &MailboxAddress) -> u64 {
    let Some(group) = group else { return mailbox.priority.into() };
    let mut hasher = blake3::Hasher::new_derive_key(PLACE);
    hasher.update(group.as_bytes()).update(mailbox.relay.relay.as_bytes());
    let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The way to a device, but those that were tried, for something that is said in a group or to one user: of the mailboxes that
/// take something, that of the healthiest relay that can be reached over two relays, or else straight. For that relays are called
/// where none is up, or none is healthy. Where none takes anything the one that is best otherwise is asked again.
pub(super) fn way(
    ctx: &mut Context<'_>,
    links: &mut Links,
    grants: &[DeliveryGrant],
    (group, device): (Option<&ConversationId>, &DeviceId),
    tried: &Tried,
) -> Way {
    let relay = |grant: &DeliveryGrant| grant.mailbox.relay.relay;
    let is_left = |grant: &&DeliveryGrant| !tried.is_through(links, &relay(grant));
    let ways = grants.iter().filter(|grant| grant.device == *device).filter(is_left);
    let mut ways: Vec<(Standing, &DeliveryGrant)> =
        ways.map(|grant| (ctx.agenda.refusals.standing(grant, ctx.now), grant)).collect();
    let has_others = ways.len() > 1;
    let again = ways.iter().filter_map(|(standing, _)| standing.until()).min();
    if ways.iter().any(|(standing, _)| *standing == Standing::Open) {
        ways.retain(|(standing, _)| *standing == Standing::Open);
    }
    let (mut best, mut soon, mut straight) = (None, None, Vec::new());
    for (standing, grant) in &ways {
        let reach = reach(ctx, links, &grant.mailbox.relay, tried);
        let is_held = tried.is_held(&grant.mailbox.relay.relay);
        if !is_held && matches!(reach, Reach::Now(None, _) | Reach::No) {
            straight.push(&grant.mailbox.relay);
        }
        match reach {
            Reach::Now(via, (health, latency)) => {
                let is_stuck = health == Health::Stuck;
                let place = place(group, &grant.mailbox);
                let rank = (*standing, is_held, is_stuck, via.is_none(), health, place, latency);
                best = best.into_iter().chain([(rank, via, *grant)]).min_by_key(|(rank, ..)| *rank);
            }
            Reach::Soon(until) => soon = soon.into_iter().chain([until]).min(),
            Reach::No => {}
        }
    }
    let is_private = best.as_ref().is_some_and(|((_, _, is_stuck, ..), via, _)| via.is_some() && !is_stuck);
    if !is_private && let Some(soon) = soon {
        return Way::Later(Some(again.map_or(soon, |again| again.min(soon))));
    }
    if !is_private && best.as_ref().is_none_or(|((.., health, _, _), ..)| *health > Health::Good) {
        for address in straight {
            links.want(address, ctx.now);
        }
    }
    best.map_or(Way::Later(again), |(_, via, grant)| Way::By { grant: grant.clone(), via, has_others })
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
        let since = links.unreachable_since(&grant.mailbox.relay.relay, ctx.now);
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
