//! Fetching bundles: what must be known of a device before anything can be sealed for it.

use std::collections::BTreeSet;

use undertone_protocol::ids::{CurveKey, DeviceId, RelayId, UserId};
use undertone_protocol::keys::{Bundle, BundleAccess, KeysError, Prekey, SealedBlob, open_blob};
use undertone_protocol::limits::BUNDLE_FRESH;
use undertone_protocol::wire::{self, frame::Body};

use super::asked::{Asked, BundleWant};
use super::context::Context;
use super::fetches::Fetches;
use super::link::Link;
use super::links::Links;
use super::types::Outputs;
use super::{acknowledging, clock, groups, history, introducing, lists, own_list};
use crate::LinkId;
use crate::store::{Contact, ContactState, PeerDevice, StoreError};

/// Users whose bundles are looked for in one go.
const LOOK_MAX: usize = 64;

/// Asks for what is missing or old.
pub(super) fn fetch_due(
    ctx: &mut Context<'_>,
    links: &mut Links,
    fetches: &mut Fetches,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    fetches.begin(&mut ctx.agenda.fetch, links, ctx.now);
    for _ in 0..LOOK_MAX {
        let Some(user) = fetches.pop() else { break };
        look_at(ctx, links, fetches, &user, out)?;
    }
    Ok(())
}

/// Asks for one user's bundles.
fn look_at(
    ctx: &mut Context<'_>,
    links: &mut Links,
    fetches: &mut Fetches,
    user: &UserId,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    let contact = ctx.tx.contact(user)?;
    let access = contact.iter().flat_map(|contact| &contact.bundles);
    let devices: BTreeSet<DeviceId> = access.map(|access| access.device).collect();
    fetches.keep(user, &devices);
    let is_missing = match contact {
        Some(contact) => fetch_of(ctx, links, fetches, &contact, &devices, out)?,
        None => false,
    };
    if !is_missing {
        fetches.is_done(user);
    }
    Ok(())
}

/// Asks for one contact's bundles. False when nothing is missing.
fn fetch_of(
    ctx: &mut Context<'_>,
    links: &mut Links,
    fetches: &mut Fetches,
    contact: &Contact,
    devices: &BTreeSet<DeviceId>,
    out: &mut Outputs,
) -> Result<bool, StoreError> {
    let mut is_missing = false;
    for device in devices {
        let fetched = ctx.tx.peer_fetched(device)?;
        if fetched.is_some_and(|fetched| ctx.now.since(fetched) <= BUNDLE_FRESH) {
            fetches.came(device);
            continue;
        }
        is_missing = true;
        let same = |asked: &Asked| matches!(asked, Asked::FetchBundle(want) if want.access.device == *device);
        let asking = links.iter().any(|(_, link)| link.questions.any(same));
        if asking || !fetches.may_try(device, ctx.now) {
            continue;
        }
        if let Some(until) = fetches.paused_until(contact, device, ctx.now) {
            fetches.postpone(contact.user, *device, until);
            goes_on_without(ctx, &contact.user, device)?;
            continue;
        }
        fetches.waits_for_relay(device);
        if !ask(ctx, links, fetches, contact, device, out) {
            give_up_waiting(ctx, links, contact, device)?;
        }
    }
    Ok(is_missing)
}

fn ask(
    ctx: &Context<'_>,
    links: &mut Links,
    fetches: &mut Fetches,
    contact: &Contact,
    device: &DeviceId,
    out: &mut Outputs,
) -> bool {
    let mut of_device: Vec<_> = contact.bundles.iter().filter(|access| access.device == *device).collect();
    // One relay may have lost it.
    let first = fetches.failed_times(device) % of_device.len().max(1);
    of_device.rotate_left(first);
    for access in of_device {
        links.want(&access.relay, ctx.now);
        let relay: RelayId = access.relay.relay;
        let id = LinkId::hidden(relay);
        if !links.get(&id).is_some_and(|link| fetches.may_ask(&relay, link, &contact.user, ctx.now)) {
            continue;
        }
        let want = BundleWant { user: contact.user, access: access.clone() };
        let get = wire::GetBundle { locator: access.locator.to_wire() };
        if links.ask(&id, Asked::FetchBundle(want), Body::GetBundle(get), ctx.now, out) {
            return true;
        }
    }
    false
}

/// No relay that has the bundle can be reached: what is sealed meanwhile is sealed for the other devices.
fn give_up_waiting(
    ctx: &mut Context<'_>,
    links: &Links,
    contact: &Contact,
    device: &DeviceId,
) -> Result<(), StoreError> {
    let mut relays = contact.bundles.iter().filter(|access| access.device == *device);
    let is_down = |link: &Link| !link.is_ready() && link.problem.is_some();
    if relays.all(|access| links.get(&LinkId::hidden(access.relay.relay)).is_none_or(is_down)) {
        goes_on_without(ctx, &contact.user, device)?;
    }
    Ok(())
}

fn goes_on_without(ctx: &mut Context<'_>, user: &UserId, device: &DeviceId) -> Result<(), StoreError> {
    if ctx.agenda.unfetchable.insert(*device) { goes_on(ctx, user) } else { Ok(()) }
}

/// Whatever waited for a bundle can go on.
fn goes_on(ctx: &mut Context<'_>, user: &UserId) -> Result<(), StoreError> {
    let groups = ctx.tx.groups_of(user)?;
    ctx.agenda.meet.extend(groups.iter().map(|group| (*group, *user)));
    ctx.agenda.seal.extend(groups);
    ctx.agenda.seal.insert(ctx.me.direct(user));
    ctx.agenda.introduce.insert(*user);
    ctx.agenda.receipts = true;
    Ok(())
}

/// A bundle came.
pub(super) fn fetched(
    ctx: &mut Context<'_>,
    fetches: &mut Fetches,
    want: &BundleWant,
    answer: &wire::BundleAnswer,
) -> Result<(), StoreError> {
    let (bundle, prekey) = match open(want, answer) {
        Ok(opened) => opened,
        Err(error) => {
            tracing::warn!(device = %want.access.device.short(), %error, "a bundle was refused");
            return refused(ctx, fetches, want);
        }
    };
    if want.user == ctx.me.user {
        own_list::take(ctx, &bundle.fields.device_list)?;
    } else {
        let Some(mut contact) = ctx.tx.contact(&want.user)? else { return Ok(()) };
        lists::take_list(ctx, &mut contact, &bundle.fields.device_list)?;
        ctx.tx.put_contact(&contact)?;
    }
    let known = ctx.tx.peer_device(&want.access.device)?;
    let is_new = known.is_none();
    // A relay may keep an old one; the newest that was seen stays, but not one of a clock that is far ahead.
    let issued = |bundle: &Bundle| clock::believed(bundle.fields.issued, ctx.now);
    let bundle = match known {
        Some(known) if issued(&known.bundle) > issued(&bundle) => known.bundle,
        _ => bundle,
    };
    let (device, user) = (want.access.device, want.user);
    ctx.agenda.note_device(device, user);
    ctx.tx.put_peer_device(&PeerDevice { device, user, bundle, prekey, fetched: ctx.now })?;
    fetches.came(&device);
    ctx.agenda.unfetchable.remove(&device);
    if user != ctx.me.user {
        history::reached(ctx, &user, &device)?;
    }
    goes_on(ctx, &user)?;
    if !is_new {
        return Ok(());
    }
    groups::tell_late(ctx, &user, &device)?;
    meet(ctx, &user)
}

/// A device that could not be reached before gets what it missed.
fn meet(ctx: &mut Context<'_>, user: &UserId) -> Result<(), StoreError> {
    if let Some(mut contact) = ctx.tx.contact(user)?.filter(|contact| contact.state == ContactState::Accepted)
    {
        introducing::answer(ctx, &mut contact);
        ctx.tx.put_contact(&contact)?;
    }
    acknowledging::tell_new_device(ctx, user)
}

/// The bundle is not there, or is no good: another try later.
pub(super) fn refused(
    ctx: &mut Context<'_>,
    fetches: &mut Fetches,
    want: &BundleWant,
) -> Result<(), StoreError> {
    fetches.failed(want, ctx.now);
    goes_on_without(ctx, &want.user, &want.access.device)
}

fn open(want: &BundleWant, answer: &wire::BundleAnswer) -> Result<(Bundle, Option<CurveKey>), KeysError> {
    let BundleAccess { device, locator, key, .. } = &want.access;
    let signed = open_blob(SealedBlob::Bundle, &answer.bundle, key, locator)?;
    let bundle = Bundle::verify(signed, &want.user, device)?;
    if answer.prekey.is_empty() {
        return Ok((bundle, None));
    }
    let prekey = Prekey::verify(open_blob(SealedBlob::Prekey, &answer.prekey, key, locator)?, device)?;
    Ok((bundle, Some(prekey.key)))
}
