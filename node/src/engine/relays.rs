//! Home relays that come and go. One that is added has a mailbox and the bundle before anybody is told of it; one that
//! is given up is fetched from until nobody can hold it for one any more (`spec/identity.md`, "Home relays").

mod lost;

use undertone_protocol::ids::{RelayId, Secret};
use undertone_protocol::keys::{BundleFields, RelayAddress};
use undertone_protocol::limits::{
    ENVELOPE_TTL_MAX, HOME_RELAY_WAIT, HOME_RELAYS_MAX, RELAY_ADDRESSES_MAX, RETIRED_RELAY_LIFE,
};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, frame::Body};

pub(super) use lost::forgotten;
use lost::is_due;

use super::asked::Asked;
use super::context::Context;
use super::home::{bundle_of, new_mailbox, register};
use super::link::Link;
use super::links::Links;
use super::types::Outputs;
use super::{own, own_list, revocations};
use crate::LinkId;
use crate::command::{HomeRelayView, NamedRelay};
use crate::store::{ContactState, HomeRelay, Purpose, Retired, Standing, StoreError};

/// Revocations, and invitations, that are counted of what is left to do.
const COUNTED_MAX: usize = 1_000;

/// Takes a relay for one of this device's.
pub(super) fn add(
    ctx: &mut Context<'_>,
    links: &mut Links,
    named: NamedRelay,
    priority: Option<u32>,
) -> Result<(), StoreError> {
    let NamedRelay { address, invitation } = named;
    let last = staying(ctx)?.iter().map(|home| home.priority).max();
    let priority = priority.unwrap_or(last.map_or(0, |last| last.saturating_add(1)));
    links.readdress(&address, ctx.now);
    links.want_home(&address, ctx.now);
    let home = new_mailbox(ctx.rng, address, priority, invitation);
    ctx.tx.put_home_relay(&HomeRelay { announced: false, ..home })
}

/// A home relay is at these addresses, of this priority, and stays if it was given up. False: it was so already.
pub(super) fn change(
    ctx: &mut Context<'_>,
    links: &mut Links,
    home: &HomeRelay,
    named: NamedRelay,
    priority: Option<u32>,
) -> Result<bool, StoreError> {
    let NamedRelay { address, invitation } = named;
    let priority = priority.unwrap_or(home.priority);
    let invitation = if invitation.is_empty() { home.invitation.clone() } else { invitation };
    let relay = home.address.relay;
    // One that is being cleared is told of again when it has the bundle again.
    let announced = home.announced
        && !links.is_asking(&LinkId::home(relay), |asked| matches!(asked, Asked::RemoveBundle));
    let changed = HomeRelay {
        address,
        priority,
        retired: None,
        announced,
        invitation,
        moved_due: None,
        ..home.clone()
    };
    if changed == *home {
        return Ok(false);
    }
    if !home.stays() {
        // Since it was given up none were made for it.
        ctx.agenda.prekeys.insert(relay);
    }
    links.readdress(&changed.address, ctx.now);
    if changed.invitation != home.invitation
        && let Some(link) = links.get_mut(&LinkId::home(relay))
    {
        link.ask_again();
    }
    ctx.tx.put_home_relay(&changed)?;
    // Others have nothing of the invitation.
    if changed != (HomeRelay { invitation: changed.invitation.clone(), ..home.clone() }) {
        tell_all(ctx)?;
    }
    Ok(true)
}

/// A relay is there, by its own word. What was known of it stays behind that: a relay may say less than its users know, and
/// who is told that it is where nobody is must not lose it. One that says something else again and again must not have
/// everybody told each time.
pub(super) fn is_at(
    ctx: &mut Context<'_>,
    links: &mut Links,
    mut address: RelayAddress,
) -> Result<(), StoreError> {
    let home = ctx.tx.home_relay(&address.relay)?;
    let link = links.to(&address.relay).next().map(Link::address);
    let Some(known) = home.as_ref().map(|home| &home.address).or(link) else { return Ok(()) };
    if address.addresses.iter().all(|said| known.addresses.contains(said)) {
        return Ok(());
    }
    let before = known.addresses.iter().filter(|before| !address.addresses.contains(before));
    let before: Vec<String> = before.cloned().collect();
    address.addresses.extend(before);
    address.addresses.truncate(RELAY_ADDRESSES_MAX);
    tracing::info!(relay = %address.relay.short(), "a relay says that it is somewhere else");
    let relay = address.relay;
    let due = ctx.agenda.moved.get(&relay).map(|at| at.after(HOME_RELAY_WAIT)).filter(|due| ctx.now < *due);
    match home {
        Some(home) if home.stays() && due.is_none() => {
            ctx.agenda.moved.insert(relay, ctx.now);
            let named = NamedRelay { address, invitation: home.invitation.clone() };
            change(ctx, links, &home, named, None).map(drop)
        }
        Some(home) => {
            links.readdress(&address, ctx.now);
            let moved_due = due.filter(|_| home.stays());
            ctx.tx.put_home_relay(&HomeRelay { address, moved_due, ..home })
        }
        None => {
            links.readdress(&address, ctx.now);
            Ok(())
        }
    }
}

/// Others are told of home relays that said too soon after another time that they are somewhere else.
fn moved_again(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    let mut homes = ctx.tx.home_relays()?;
    homes.retain(|home| is_due(home.moved_due, ctx.now));
    if homes.is_empty() {
        return Ok(());
    }
    for home in homes {
        ctx.agenda.moved.insert(home.address.relay, ctx.now);
        ctx.tx.put_home_relay(&HomeRelay { moved_due: None, ..home })?;
    }
    tell_all(ctx)
}

/// The home relays that are not given up.
pub(super) fn staying(ctx: &Context<'_>) -> Result<Vec<HomeRelay>, StoreError> {
    let mut homes = ctx.tx.home_relays()?;
    homes.retain(HomeRelay::stays);
    Ok(homes)
}

/// Gives home relays up. Nothing is needed of them for that.
pub(super) fn retire(
    ctx: &mut Context<'_>,
    links: &mut Links,
    which: impl Fn(&HomeRelay) -> bool,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    for mut home in staying(ctx)?.into_iter().filter(which) {
        // Others may know one that was left out.
        if home.announced || home.generation.is_some() {
            home.retired = Some(Retired { since: ctx.now, untold: ctx.now });
            ctx.tx.put_home_relay(&home)?;
        } else {
            // Nobody was told of it.
            forget(ctx, links, &home.address.relay, out)?;
        }
    }
    let mut retired = ctx.tx.home_relays()?;
    retired.retain(|home| !home.stays());
    retired.sort_by_key(|home| home.retired.map(|retired| retired.since));
    let too_many = retired.len().saturating_sub(HOME_RELAYS_MAX);
    for home in retired.iter().take(too_many) {
        forget(ctx, links, &home.address.relay, out)?;
    }
    // Else those that were given up serve until another one is ready: then it is told.
    if staying(ctx)?.iter().any(|home| home.announced) { tell_all(ctx) } else { Ok(()) }
}

/// A relay has the bundle that said this. If it was added, others can reach this device there from now on: they are told.
/// One that is not the newest any more counts as none, and another follows it.
pub(super) fn bundle_stored(
    ctx: &mut Context<'_>,
    relay: &RelayId,
    said: &BundleFields,
) -> Result<(), StoreError> {
    let Some(mut home) = ctx.tx.home_relay(relay)? else { return Ok(()) };
    if bundle_of(ctx, said.issued)? != *said {
        return Ok(());
    }
    let is_new = !home.announced;
    home.bundle_stored = true;
    home.announced = true;
    ctx.tx.put_home_relay(&home)?;
    if is_new { tell_all(ctx) } else { Ok(()) }
}

/// Contacts, members of groups and the user's other devices are told of the mailboxes that there are now.
fn tell_all(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for mut home in ctx.tx.home_relays()? {
        home.bundle_stored = false;
        ctx.tx.put_home_relay(&home)?;
    }
    own_list::introduce_to_all(ctx)?;
    revocations::introduce_to_members(ctx)
}

/// How many were not told yet of the mailboxes that there are now: contacts, with the user's other devices as one, members
/// of groups, and what waits to be told in a group.
pub(super) fn untold(ctx: &Context<'_>) -> Result<usize, StoreError> {
    let mut untold = 0;
    for contact in ctx.tx.contacts()? {
        let is_told = matches!(contact.state, ContactState::Requesting | ContactState::Accepted)
            && !(own::is_me(ctx, &contact) && own::siblings(ctx).is_empty());
        let items = ctx.tx.outbox_heads_of(&Purpose::Introduction(contact.user))?;
        let waits = contact.introduction_due || items.iter().any(|item| item.counts.is_pending());
        untold += usize::from(is_told && waits);
    }
    for group in ctx.tx.groups()?.iter().filter(|group| group.standing == Standing::In) {
        let members = ctx.tx.members(&group.id)?;
        untold += members.iter().filter(|member| member.is_in() && member.introduction_due).count();
        let items = ctx.tx.outbox_heads_of(&Purpose::Group(group.id))?;
        untold += items.iter().filter(|item| item.counts.is_pending()).count();
    }
    Ok(untold)
}

/// Leaves out those that can't be reached, comes back to those that forgot all again, or moved again, and ends those that were given up and
/// that nobody can hold for a home relay any more.
pub(super) fn sweep(ctx: &mut Context<'_>, links: &mut Links, out: &mut Outputs) -> Result<(), StoreError> {
    lost::leave_out_unreachable(ctx, links)?;
    lost::forgotten_again(ctx)?;
    moved_again(ctx)?;
    let homes = ctx.tx.home_relays()?;
    if homes.iter().all(HomeRelay::stays) {
        return Ok(());
    }
    let others = homes.iter().any(|home| home.announced && home.stays());
    let told = others && untold(ctx)? == 0;
    for mut home in homes {
        let Some(Retired { since, untold }) = home.retired else { continue };
        // A clock that was ahead must not keep it for ever.
        let since = since.min(ctx.now);
        let waits = !others || !told && ctx.now.since(since) < ENVELOPE_TTL_MAX;
        if waits || untold > ctx.now {
            home.retired = Some(Retired { since, untold: ctx.now });
            ctx.tx.put_home_relay(&home)?;
        } else if ctx.now >= end(untold) {
            clear(ctx, links, &home, out)?;
        }
    }
    Ok(())
}

fn end(untold: Timestamp) -> Timestamp {
    untold.after(RETIRED_RELAY_LIFE)
}

/// Takes the bundle with its prekeys off a relay that can be reached, and shuts the mailbox; it is forgotten when it
/// answered. After a start it may not be known yet whether it can be.
fn clear(
    ctx: &mut Context<'_>,
    links: &mut Links,
    home: &HomeRelay,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    let relay = home.address.relay;
    if home.generation.is_none() || links.unreachable_since(&relay, ctx.now).is_some() {
        return forget(ctx, links, &relay, out);
    }
    let is_asking = links.is_asking(&LinkId::home(relay), |asked| matches!(asked, Asked::RemoveBundle));
    if is_asking || !links.is_ready(&LinkId::home(relay)) {
        return Ok(());
    }
    // With another secret it takes nothing more: whoever still sends there is told so. Should it be added again before it
    // answered, this is the mailbox's secret.
    let secret = Secret::random(ctx.rng);
    let shut = HomeRelay { secret, epoch: home.epoch.saturating_add(1), ..home.clone() };
    ctx.tx.put_home_relay(&shut)?;
    register(ctx, links, &shut, Asked::Shut, out);
    let remove = wire::PutBundle { locator: home.locator.to_wire(), ..wire::PutBundle::default() };
    links.ask(&LinkId::home(relay), Asked::RemoveBundle, Body::PutBundle(remove), ctx.now, out);
    Ok(())
}

/// A relay has neither bundle nor prekeys of this device any more. If it was added again meanwhile it gets them anew.
pub(super) fn cleared(
    ctx: &mut Context<'_>,
    links: &mut Links,
    relay: &RelayId,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    let Some(home) = ctx.tx.home_relay(relay)? else { return Ok(()) };
    if !home.stays() {
        return forget(ctx, links, relay, out);
    }
    ctx.agenda.prekeys.insert(*relay);
    ctx.tx.put_home_relay(&HomeRelay { bundle_stored: false, ..home })
}

/// There is nothing of this device at a relay any more that it has to know of.
pub(super) fn forget(
    ctx: &mut Context<'_>,
    links: &mut Links,
    relay: &RelayId,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    tracing::info!(relay = %relay.short(), "a home relay is forgotten");
    ctx.tx.delete_home_relay(relay)?;
    ctx.tx.delete_revocations(relay)?;
    for mut invitation in ctx.tx.invitations()? {
        if invitation.unconfirmed.contains(relay) {
            invitation.unconfirmed.retain(|other| other != relay);
            ctx.tx.put_invitation(&invitation)?;
        }
    }
    ctx.agenda.prekeys.remove(relay);
    ctx.agenda.forgotten.remove(relay);
    ctx.agenda.moved.remove(relay);
    links.give_up(&LinkId::home(*relay), ctx.now, out);
    // It may be where contacts are.
    ctx.agenda.publish = true;
    Ok(())
}

/// All home relays, and what is left to do at each.
pub(super) fn views(ctx: &Context<'_>, links: &Links) -> Result<Vec<HomeRelayView>, StoreError> {
    let untold = untold(ctx)?;
    ctx.tx.home_relays()?.iter().map(|home| view(ctx, links, home, untold)).collect()
}

fn view(
    ctx: &Context<'_>,
    links: &Links,
    home: &HomeRelay,
    untold: usize,
) -> Result<HomeRelayView, StoreError> {
    let relay = home.address.relay;
    let link = links.get(&LinkId::home(relay));
    let state = match home {
        HomeRelay { retired: Some(_), .. } => "retiring",
        HomeRelay { announced: false, .. } => "adding",
        _ => "ready",
    };
    Ok(HomeRelayView {
        relay: relay.to_hex(),
        addresses: home.address.addresses.clone(),
        priority: home.priority,
        state: state.to_owned(),
        connected: link.is_some_and(Link::is_ready),
        since_ms: link.map(|link| link.changed().as_ms()),
        problem: link.and_then(|link| link.problem.clone()),
        left: left(ctx, home, untold)?,
        ends_ms: home.retired.map(|retired| end(retired.untold).as_ms()),
    })
}

fn left(ctx: &Context<'_>, home: &HomeRelay, untold: usize) -> Result<Vec<String>, StoreError> {
    let relay = home.address.relay;
    let mut left = Vec::new();
    if home.generation.is_none() {
        left.push("register a mailbox".to_owned());
    }
    if !home.bundle_stored {
        left.push("store the bundle".to_owned());
    }
    if !home.prekeys_unconfirmed.is_empty() {
        left.push(format!("upload {} one-time prekeys", home.prekeys_unconfirmed.len()));
    }
    let invitations = ctx.tx.invitations()?;
    let invitations = invitations.iter().filter(|one| one.unconfirmed.contains(&relay)).count();
    let revocations = ctx.tx.revocations_due(&relay, COUNTED_MAX)?.len();
    for (what, count) in [("make links known", invitations), ("take tokens back", revocations)] {
        if count > 0 {
            left.push(format!("{what}: {count}"));
        }
    }
    if !home.announced {
        left.push("tell everybody".to_owned());
    } else if untold > 0 {
        left.push(format!("tell everybody: {untold} left"));
    }
    Ok(left)
}

#[cfg(test)]
mod tests;
