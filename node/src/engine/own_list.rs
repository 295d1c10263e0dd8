//! The user's own device list: signed by the primary device, followed by the others, and told to everybody who
//! must know.

use undertone_protocol::codec::Signed;
use undertone_protocol::entry::{Content, DeviceChange, EntryBody};
use undertone_protocol::ids::{ConversationId, DeviceId};
use undertone_protocol::keys::{
    DeviceList, DeviceRevoke, DeviceRevokeFields, IdentityKey, ListVerdict, ListedDevice,
};
use undertone_protocol::limits::DEVICES_PER_USER_MAX;

use super::context::Context;
use super::{outgoing, own, revocations, writing};
use crate::event::Event;
use crate::log;
use crate::store::{ContactState, Cut, CutReason, StoreError};

/// A list of this user's devices that came from somebody. It is valid.
pub(super) fn take(ctx: &mut Context<'_>, list: &DeviceList) -> Result<(), StoreError> {
    let known = &ctx.me.account.device_list;
    if ctx.me.is_linking() {
        return Ok(());
    }
    // A contact answers the first list of somebody who started anew with what the user had before.
    if let Some(identity) = ctx.me.identity()
        && list.device(&ctx.me.device).is_none()
    {
        let is_above = list.number >= known.number;
        return if is_above { sign_above(ctx, &identity, list) } else { Ok(()) };
    }
    match list.judge(Some(known)) {
        ListVerdict::Newer => adopt(ctx, list),
        ListVerdict::Same | ListVerdict::Older => Ok(()),
        ListVerdict::Reset | ListVerdict::Conflict => {
            tracing::error!("somebody else signs device lists with this user's identity key");
            let Some(mut own) = own::own_contact(ctx)? else { return Ok(()) };
            own.identity_warning = true;
            ctx.tx.put_contact(&own)
        }
    }
}

/// Puts this device's list above one from before the user started anew: all devices of that time are revoked.
fn sign_above(ctx: &mut Context<'_>, identity: &IdentityKey, former: &DeviceList) -> Result<(), StoreError> {
    let current = ctx.me.account.device_list.devices.clone();
    let is_current = |device: &DeviceId| current.iter().any(|listed| listed.certificate.device == *device);
    let old = former.devices.iter().filter(|listed| !is_current(&listed.certificate.device));
    let mut devices: Vec<ListedDevice> =
        old.map(|listed| ListedDevice { revoked: true, ..listed.clone() }).collect();
    // Of too many the oldest are left out: they are not listed, so they are not active either.
    let room = DEVICES_PER_USER_MAX.saturating_sub(current.len());
    devices.drain(..devices.len().saturating_sub(room));
    devices.extend(current);
    let list = DeviceList::issue(identity, Some(former), devices);
    tracing::info!(number = list.number, "signed the device list above the one from before");
    adopt(ctx, &list)?;
    announce(ctx, identity, &list, None)?;
    introduce_to_all(ctx)
}

/// Signs the next list, follows it and tells everybody. `revoked`: the device that it revokes.
pub(super) fn sign(
    ctx: &mut Context<'_>,
    identity: &IdentityKey,
    devices: Vec<ListedDevice>,
    revoked: Option<DeviceId>,
) -> Result<(), StoreError> {
    let list = DeviceList::issue(identity, Some(&ctx.me.account.device_list), devices);
    adopt(ctx, &list)?;
    announce(ctx, identity, &list, revoked)
}

/// Follows a newer list.
fn adopt(ctx: &mut Context<'_>, list: &DeviceList) -> Result<(), StoreError> {
    let mut account = ctx.account()?;
    let known = std::mem::replace(&mut account.device_list, list.clone());
    ctx.tx.put_account(&account)?;
    ctx.agenda.reload = true;
    for mut home in ctx.tx.home_relays()? {
        home.bundle_stored = false;
        ctx.tx.put_home_relay(&home)?;
    }
    let Some(mut own) = own::own_contact(ctx)? else { return Ok(()) };
    let is_active = |device: &DeviceId| list.active_device(device).is_some();
    own.device_list = Some(list.clone());
    ctx.agenda.note_devices(own.user, list);
    own.bundles.retain(|access| is_active(&access.device));
    own.grants.retain(|grant| is_active(&grant.device));
    ctx.tx.put_contact(&own)?;
    ctx.agenda.fetch.insert(own.user);
    ctx.agenda.quarantine = true;
    let mut revoked: Vec<DeviceId> = known.active().map(|certificate| certificate.device).collect();
    revoked.retain(|device| !is_active(device) && *device != ctx.me.device);
    for device in &revoked {
        outgoing::forget(ctx, device)?;
        // With it ends all that the device issued for mailboxes here.
        revocations::revoke(ctx, vec![own::sibling_handle(&own, device)])?;
    }
    ctx.events.push(Event::Devices {});
    if revoked.is_empty() { Ok(()) } else { introduce_to_all(ctx) }
}

/// All contacts get anew what this device has to say of itself.
pub(super) fn introduce_to_all(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for mut contact in ctx.tx.contacts()? {
        if matches!(contact.state, ContactState::Requesting | ContactState::Accepted) {
            contact.introduction_due = true;
            ctx.tx.put_contact(&contact)?;
            ctx.agenda.introduce.insert(contact.user);
        }
    }
    Ok(())
}

/// Puts the list into every conversation, with where the revoked device's part of it ends. Where nobody was accepted
/// yet, it waits like a message.
fn announce(
    ctx: &mut Context<'_>,
    identity: &IdentityKey,
    list: &DeviceList,
    revoked: Option<DeviceId>,
) -> Result<(), StoreError> {
    for contact in ctx.tx.contacts()?.into_iter().filter(|contact| contact.state != ContactState::Member) {
        let conversation = ctx.me.direct(&contact.user);
        let revocations = match &revoked {
            Some(device) => vec![revocation(ctx, identity, list, device, conversation)?],
            None => Vec::new(),
        };
        let change = DeviceChange { device_list: list.signed.clone(), revocations };
        match EntryBody::new(Content::Devices(change), ctx.rng) {
            Ok(body) => writing::append(ctx, &contact, body).map(drop)?,
            Err(error) => tracing::error!(%error, "a device list could not be told"),
        }
    }
    // In groups it is said before the transaction ends.
    ctx.agenda.announce.push(revoked);
    Ok(())
}

fn revocation(
    ctx: &mut Context<'_>,
    identity: &IdentityKey,
    list: &DeviceList,
    device: &DeviceId,
    conversation: ConversationId,
) -> Result<Signed, StoreError> {
    let held = log::frontier_of(ctx.tx, &conversation, device)?;
    let fields = DeviceRevokeFields {
        user: ctx.me.user,
        list: list.hash(),
        device: *device,
        conversation,
        cut: held.head.map(|head| (held.seq, head)),
    };
    let cut = Cut { through: held.seq, head: held.head, why: CutReason::Revoked };
    log::cut(ctx.tx, &conversation, device, cut)?;
    Ok(DeviceRevoke::issue(identity, fields).signed)
}
