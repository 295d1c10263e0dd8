//! Fetching bundles: what must be known of a device before anything can be sealed for it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use undertone_protocol::ids::{CurveKey, DeviceId, RelayId, UserId};
use undertone_protocol::keys::{Bundle, BundleAccess, KeysError, Prekey, SealedBlob, open_blob};
use undertone_protocol::limits::BUNDLE_FRESH;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, frame::Body};

use super::asked::{Asked, BundleWant};
use super::context::Context;
use super::link::Link;
use super::links::Links;
use super::types::Outputs;
use super::{acknowledging, clock, history, introductions, lists, own_list};
use crate::store::{Contact, ContactState, PeerDevice, StoreError};

const RETRY_MIN: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_secs(3_600);

/// Whose bundles are wanted, and when to try again after a failure. Volatile.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    wanted: BTreeSet<UserId>,
    failures: BTreeMap<DeviceId, (u32, Timestamp)>,
}

impl Fetches {
    fn failed(&mut self, want: &BundleWant, now: Timestamp) {
        let (count, _) = self.failures.get(&want.access.device).copied().unwrap_or((0, now));
        let delay = RETRY_MIN.saturating_mul(1 << count.min(12)).min(RETRY_MAX);
        self.failures.insert(want.access.device, (count.saturating_add(1), now.after(delay)));
        self.wanted.insert(want.user);
    }

    /// A relay is there again: what it refused before, it may have by now.
    pub(super) fn relay_is_up(&mut self) {
        for (_, retry_at) in self.failures.values_mut() {
            *retry_at = Timestamp::ZERO;
        }
    }

    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, by: Duration) {
        for (_, retry_at) in self.failures.values_mut() {
            *retry_at = retry_at.before(by);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.failures.values().map(|(_, retry_at)| *retry_at).filter(|at| *at > Timestamp::ZERO).min()
    }

    /// It is tried now, or as soon as a relay is there: no time is to be waited for.
    fn waits_for_relay(&mut self, device: &DeviceId) {
        if let Some((_, retry_at)) = self.failures.get_mut(device) {
            *retry_at = Timestamp::ZERO;
        }
    }

    fn may_try(&self, device: &DeviceId, now: Timestamp) -> bool {
        self.failures.get(device).is_none_or(|(_, retry_at)| *retry_at <= now)
    }
}

/// Asks for what is missing or old.
pub(super) fn fetch_due(
    ctx: &mut Context<'_>,
    links: &mut Links,
    fetches: &mut Fetches,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    fetches.wanted.append(&mut ctx.agenda.fetch);
    let mut known = BTreeSet::new();
    for user in fetches.wanted.clone() {
        let Some(contact) = ctx.tx.contact(&user)? else { continue };
        known.extend(contact.bundles.iter().map(|access| access.device));
        if !fetch_of(ctx, links, fetches, &contact, out)? {
            fetches.wanted.remove(&user);
        }
    }
    // A device that was revoked is not tried again.
    fetches.failures.retain(|device, _| known.contains(device));
    Ok(())
}

/// Asks for one contact's bundles. False when nothing is missing.
fn fetch_of(
    ctx: &mut Context<'_>,
    links: &mut Links,
    fetches: &mut Fetches,
    contact: &Contact,
    out: &mut Outputs,
) -> Result<bool, StoreError> {
    let devices: BTreeSet<DeviceId> = contact.bundles.iter().map(|access| access.device).collect();
    let mut missing = false;
    for device in devices {
        let known = ctx.tx.peer_device(&device)?;
        if known.is_some_and(|known| ctx.now.since(known.fetched) <= BUNDLE_FRESH) {
            fetches.failures.remove(&device);
            continue;
        }
        missing = true;
        let same = |asked: &Asked| matches!(asked, Asked::FetchBundle(want) if want.access.device == device);
        let asking = links.iter().any(|(_, link)| link.is_asking(same));
        if !asking && fetches.may_try(&device, ctx.now) {
            fetches.waits_for_relay(&device);
            if !ask(ctx, links, contact, &device, out) {
                give_up_waiting(ctx, links, contact, &device)?;
            }
        }
    }
    Ok(missing)
}

fn ask(
    ctx: &Context<'_>,
    links: &mut Links,
    contact: &Contact,
    device: &DeviceId,
    out: &mut Outputs,
) -> bool {
    let of_device = contact.bundles.iter().filter(|access| access.device == *device);
    for access in of_device {
        links.want(&access.relay, false, ctx.now);
        let want = BundleWant { user: contact.user, access: access.clone() };
        let get = wire::GetBundle { locator: access.locator.to_wire() };
        let relay: RelayId = access.relay.relay;
        if links.ask(&relay, Asked::FetchBundle(want), Body::GetBundle(get), ctx.now, out) {
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
    if relays.all(|access| links.get(&access.relay.relay).is_none_or(is_down)) {
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
    ctx.agenda.meet.extend(groups.iter().copied());
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
    let issued = |bundle: &Bundle| {
        let issued = bundle.fields.issued;
        Some(issued).filter(|issued| clock::believed(*issued, ctx.now) == *issued)
    };
    let bundle = match known {
        Some(known) if issued(&known.bundle) > issued(&bundle) => known.bundle,
        _ => bundle,
    };
    let (device, user) = (want.access.device, want.user);
    ctx.tx.put_peer_device(&PeerDevice { device, user, bundle, prekey, fetched: ctx.now })?;
    fetches.failures.remove(&device);
    ctx.agenda.unfetchable.remove(&device);
    if user != ctx.me.user {
        history::reached(ctx, &user, &device)?;
    }
    goes_on(ctx, &user)?;
    if is_new { meet(ctx, &user) } else { Ok(()) }
}

/// A device that could not be reached before gets what it missed.
fn meet(ctx: &mut Context<'_>, user: &UserId) -> Result<(), StoreError> {
    if let Some(mut contact) = ctx.tx.contact(user)?.filter(|contact| contact.state == ContactState::Accepted)
    {
        introductions::answer(ctx, &mut contact);
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
