//! This device's own mailboxes: registering, attaching, and what the relay keeps for others to find.

use prost::bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use undertone_protocol::ids::{Generation, Handle, Locator, MailboxId, RelayId, Secret};
use undertone_protocol::keys::{
    Bundle, BundleFields, MailboxAddress, Prekey, RelayAddress, SealedBlob, seal_blob,
};
use undertone_protocol::limits::PREKEY_BATCH;
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::{Step, TokenGrant};
use undertone_protocol::wire::{self, frame::Body};

use super::agenda::Kept;
use super::asked::Asked;
use super::context::Context;
use super::intake::ack;
use super::links::{Links, drop_link};
use super::revocations;
use super::types::Outputs;
use crate::LinkId;
use crate::store::{HomeRelay, Received, StoreError};

/// Invitations that a relay is told of and has not confirmed: where connections break soon, some are confirmed on each,
/// while of hundreds at once none might be.
const INTRODUCTIONS_ASKED_MAX: usize = 8;

/// Tells a relay the mailbox's secret: `asked` says what for.
pub(super) fn register(
    ctx: &Context<'_>,
    links: &mut Links,
    home: &HomeRelay,
    asked: Asked,
    out: &mut Outputs,
) -> bool {
    let register = wire::Register {
        mailbox: home.mailbox.to_wire(),
        secret: Bytes::copy_from_slice(home.secret.expose()),
        epoch: home.epoch,
        invitation: home.invitation.clone(),
    };
    links.ask(&LinkId::home(home.address.relay), asked, Body::Register(register), ctx.now, out)
}

/// The relay has the mailbox. Another generation than last time means that it had forgotten everything: says so.
pub(super) fn registered(
    ctx: &mut Context<'_>,
    links: &mut Links,
    relay: &RelayId,
    generation: &[u8],
    out: &mut Outputs,
) -> Result<bool, StoreError> {
    let Some(mut home) = ctx.tx.home_relay(relay)? else { return Ok(false) };
    let Ok(generation) = Generation::from_slice(generation) else {
        drop_link(
            ctx,
            links,
            &LinkId::home(*relay),
            "the relay broke the protocol: a generation that is none",
            out,
        );
        return Ok(false);
    };
    let has_forgotten = home.generation.is_some_and(|known| known != generation);
    if home.generation != Some(generation) {
        // A new mailbox stands in no link yet, but in those that say so.
        if has_forgotten {
            introductions_forgotten(ctx, relay)?;
        }
        home.generation = Some(generation);
        home.received = [Received::default(), Received::default()];
        home.bundle_stored = false;
        ctx.tx.put_home_relay(&home)?;
        ctx.tx.reopen_revocations(relay)?;
    }
    ctx.agenda.prekeys.insert(*relay);
    let contacts = ctx.tx.contacts()?;
    let due = contacts.into_iter().filter(|contact| contact.introduction_due);
    ctx.agenda.introduce.extend(due.map(|contact| contact.user));
    attach(ctx, links, &home, generation, out);
    Ok(has_forgotten)
}

/// Whether a relay has the mailbox under another generation than it had when it was registered last.
pub(super) fn is_another(ctx: &Context<'_>, relay: &RelayId, generation: &[u8]) -> Result<bool, StoreError> {
    let known = ctx.tx.home_relay(relay)?.and_then(|home| home.generation);
    Ok(known.is_some_and(|known| known.as_bytes().as_slice() != generation))
}

/// The relay has another secret of the mailbox than this store, so nothing that this device issued lets anybody in. It
/// delivers all the same; and by the checkpoint that it has, the store may turn out to be an old copy.
pub(super) fn not_registered(
    ctx: &Context<'_>,
    links: &mut Links,
    relay: &RelayId,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    if let Some(home) = ctx.tx.home_relay(relay)?
        && let Some(generation) = home.generation
    {
        attach(ctx, links, &home, generation, out);
    }
    Ok(())
}

/// Asks for deliveries.
fn attach(ctx: &Context<'_>, links: &mut Links, home: &HomeRelay, generation: Generation, out: &mut Outputs) {
    let relay = &home.address.relay;
    let Some(link) = links.get_mut(&LinkId::home(*relay)) else { return };
    let credits = link.intakes.attach(home.received.clone());
    let attach = wire::Attach {
        mailbox: home.mailbox.to_wire(),
        generation: generation.to_wire(),
        acks: home.received.iter().zip(0..).map(|(received, class)| ack(class, received)).collect(),
        credits,
    };
    links.ask(&LinkId::home(*relay), Asked::Attach, Body::Attach(attach), ctx.now, out);
}

fn introductions_forgotten(ctx: &mut Context<'_>, relay: &RelayId) -> Result<(), StoreError> {
    for mut invitation in ctx.tx.invitations()? {
        if !invitation.unconfirmed.contains(relay) {
            invitation.unconfirmed.push(*relay);
            ctx.tx.put_invitation(&invitation)?;
        }
    }
    Ok(())
}

/// Brings to the home relays what they should have: the mailbox first, then the bundle, one-time prekeys, invitations,
/// revoked tokens.
pub(super) fn upkeep(ctx: &mut Context<'_>, links: &mut Links, out: &mut Outputs) -> Result<(), StoreError> {
    for home in ctx.tx.home_relays()? {
        let relay = home.address.relay;
        let Some(link) = links.get_mut(&LinkId::home(relay)) else { continue };
        if !link.begins_upkeep(ctx.now) {
            continue;
        }
        if link.needs_mailbox() {
            register(ctx, links, &home, Asked::Register, out);
            continue;
        }
        if home.generation.is_none()
            || link.questions.any(|asked| matches!(asked, Asked::Register | Asked::Shut))
        {
            continue;
        }
        put_bundle(ctx, links, &home, out)?;
        put_introductions(ctx, links, &home, out)?;
        revocations::tell(ctx, links, &home, out)?;
        // The relay takes none without the bundle that they are for.
        if home.bundle_stored && ctx.agenda.prekeys.contains(&relay) && put_prekeys(ctx, links, &home, out) {
            ctx.agenda.prekeys.remove(&relay);
        }
    }
    Ok(())
}

fn put_bundle(
    ctx: &mut Context<'_>,
    links: &mut Links,
    home: &HomeRelay,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    let relay = home.address.relay;
    let asking = links
        .is_asking(&LinkId::home(relay), |asked| matches!(asked, Asked::PutBundle(_) | Asked::RemoveBundle));
    // Before it is linked the device has no identity to be found by.
    if home.bundle_stored || asking || ctx.me.is_linking() {
        return Ok(());
    }
    let fields = bundle_of(ctx, ctx.now)?;
    let bundle = Bundle::issue(&ctx.me.key, fields.clone());
    let bundle_key = &ctx.me.account.bundle_key;
    let sealed = seal_blob(SealedBlob::Bundle, &bundle.signed, bundle_key, &home.locator, ctx.rng);
    let put = wire::PutBundle { locator: home.locator.to_wire(), bundle: sealed };
    links.ask(&LinkId::home(relay), Asked::PutBundle(Box::new(fields)), Body::PutBundle(put), ctx.now, out);
    Ok(())
}

/// What this device's bundle says now.
pub(super) fn bundle_of(ctx: &Context<'_>, issued: Timestamp) -> Result<BundleFields, StoreError> {
    let account = &ctx.me.account;
    Ok(BundleFields {
        certificate: account.certificate.clone(),
        device_list: account.device_list.clone(),
        xwing_key: Bytes::copy_from_slice(ctx.me.xwing.public().as_bytes()),
        fallback_prekey: account.fallback_prekey,
        mailboxes: offered(ctx)?.iter().map(mailbox_address).collect(),
        issued,
    })
}

/// A mailbox that is to be. Nothing is reused from one relay to another.
pub(super) fn new_mailbox(
    rng: &mut ChaCha20Rng,
    address: RelayAddress,
    priority: u32,
    invitation: Bytes,
) -> HomeRelay {
    HomeRelay {
        address,
        priority,
        mailbox: MailboxId::random(rng),
        secret: Secret::random(rng),
        epoch: 1,
        generation: None,
        locator: Locator::random(rng),
        bundle_stored: false,
        prekey_batch: 0,
        prekeys_unconfirmed: Vec::new(),
        received: [Received::default(), Received::default()],
        announced: true,
        retired: None,
        invitation,
        renewed: None,
        lost_due: None,
        moved_due: None,
    }
}

/// The home relays that others are told of: those that stay. While none of these is ready, it is those that were given
/// up.
pub(super) fn offered(ctx: &Context<'_>) -> Result<Vec<HomeRelay>, StoreError> {
    let mut homes = ctx.tx.home_relays()?;
    for serves in [|home: &HomeRelay| home.announced && home.stays(), |home: &HomeRelay| home.announced] {
        if homes.iter().any(serves) {
            homes.retain(serves);
            break;
        }
    }
    Ok(homes)
}

/// A token for a mailbox of this device, for a contact or a member of a group: the same until the relay forgets everything.
pub(super) fn token(home: &HomeRelay, path: &[Handle]) -> Option<TokenGrant> {
    let mut steps = path.iter().chain(&home.renewed).map(|handle| Step::named(*handle));
    let first = TokenGrant::issue(&home.secret, steps.next()?);
    steps.try_fold(first, |token, step| token.extend(step))
}

/// A mailbox of this device as others must know it.
pub(super) fn mailbox_address(home: &HomeRelay) -> MailboxAddress {
    MailboxAddress {
        relay: home.address.clone(),
        mailbox: home.mailbox,
        epoch: home.epoch,
        priority: home.priority,
    }
}

fn put_introductions(
    ctx: &mut Context<'_>,
    links: &mut Links,
    home: &HomeRelay,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    let relay = home.address.relay;
    let is_one = |asked: &Asked| matches!(asked, Asked::PutIntroduction(_));
    let asked = links.get(&LinkId::home(relay)).map_or(0, |link| link.questions.count(is_one));
    let mut room = INTRODUCTIONS_ASKED_MAX.saturating_sub(asked);
    for invitation in ctx.tx.invitations()? {
        if room == 0 {
            break;
        }
        let handle = invitation.handle;
        let asking = |asked: &Asked| matches!(asked, Asked::PutIntroduction(other) if *other == handle);
        if !invitation.unconfirmed.contains(&relay) || links.is_asking(&LinkId::home(relay), asking) {
            continue;
        }
        let put = wire::PutIntroduction {
            mailbox: home.mailbox.to_wire(),
            handle: handle.to_wire(),
            uses: invitation.uses_max,
            not_after_ms: invitation.not_after.as_ms(),
        };
        links.ask(
            &LinkId::home(relay),
            Asked::PutIntroduction(handle),
            Body::PutIntroduction(put),
            ctx.now,
            out,
        );
        room -= 1;
    }
    Ok(())
}

/// Uploads the batch that is not confirmed, or just asks how many are left. False when it can't be asked now.
fn put_prekeys(ctx: &mut Context<'_>, links: &mut Links, home: &HomeRelay, out: &mut Outputs) -> bool {
    let relay = home.address.relay;
    if links.is_asking(&LinkId::home(relay), |asked| matches!(asked, Asked::PutPrekeys)) {
        return false;
    }
    let put = wire::PutPrekeys {
        locator: home.locator.to_wire(),
        batch: home.prekey_batch,
        prekeys: home.prekeys_unconfirmed.clone(),
    };
    links.ask(&LinkId::home(relay), Asked::PutPrekeys, Body::PutPrekeys(put), ctx.now, out)
}

/// The relay has no bundle that prekeys could go with: it is put again.
pub(super) fn bundle_lost(ctx: &mut Context<'_>, relay: &RelayId) -> Result<(), StoreError> {
    if let Some(mut home) = ctx.tx.home_relay(relay)? {
        home.bundle_stored = false;
        ctx.tx.put_home_relay(&home)?;
    }
    Ok(())
}

/// The relay bounds the invitation.
pub(super) fn introduction_stored(
    ctx: &mut Context<'_>,
    relay: &RelayId,
    handle: &Handle,
) -> Result<(), StoreError> {
    if let Some(mut invitation) = ctx.tx.invitation(handle)? {
        invitation.unconfirmed.retain(|other| other != relay);
        ctx.tx.put_invitation(&invitation)?;
    }
    Ok(())
}

/// How many one-time prekeys are left there: below half, the next batch is made.
pub(super) fn prekeys_left(
    ctx: &mut Context<'_>,
    links: &mut Links,
    relay: &RelayId,
    left: &wire::PrekeysLeft,
) -> Result<(), StoreError> {
    let Some(mut home) = ctx.tx.home_relay(relay)? else { return Ok(()) };
    if left.batch >= home.prekey_batch {
        home.prekeys_unconfirmed.clear();
        // A relay that knows later batches than we made was used by a store that was rolled back, or lies.
        home.prekey_batch = left.batch;
    }
    let left = usize::try_from(left.left).unwrap_or(usize::MAX);
    let is_due = home.stays() && home.prekeys_unconfirmed.is_empty() && left < PREKEY_BATCH / 2;
    // A relay that always says that none is left must not make the device forget keys that somebody has.
    if is_due && links.get_mut(&LinkId::home(*relay)).is_some_and(|link| link.begins_batch(ctx.now)) {
        make_batch(ctx, &mut home, PREKEY_BATCH.saturating_sub(left))?;
    }
    ctx.tx.put_home_relay(&home)?;
    if !home.prekeys_unconfirmed.is_empty() {
        ctx.agenda.prekeys.insert(*relay);
    }
    Ok(())
}

fn make_batch(ctx: &mut Context<'_>, home: &mut HomeRelay, count: usize) -> Result<(), StoreError> {
    let Some(mut olm) = ctx.tx.olm_account()? else { return Ok(()) };
    let keys = match ctx.crypto.new_prekeys(&mut olm, count) {
        Ok(keys) => keys,
        Err(error) => {
            tracing::error!(%error, "could not make one-time prekeys");
            return Ok(());
        }
    };
    ctx.tx.put_olm_account(&olm)?;
    // The number may be a relay's word: one that leaves no room takes no further batch.
    home.prekey_batch = home.prekey_batch.saturating_add(1);
    home.prekeys_unconfirmed = keys
        .into_iter()
        .map(|key| {
            let prekey = Prekey::issue(&ctx.me.key, key);
            let bundle_key = &ctx.me.account.bundle_key;
            seal_blob(SealedBlob::Prekey, &prekey.signed, bundle_key, &home.locator, ctx.rng)
        })
        .collect();
    Ok(())
}

/// Forgets invitations that ended, but while a request may wait that came by one in time.
pub(super) fn sweep(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    if ctx.agenda.kept.values().any(|kept| *kept != Kept::Member) {
        return Ok(());
    }
    for invitation in ctx.tx.invitations()? {
        if invitation.not_after < ctx.now {
            ctx.tx.delete_invitation(&invitation.handle)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
