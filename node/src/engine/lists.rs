//! The device lists that contacts show.

use undertone_protocol::codec::Signed;
use undertone_protocol::ids::{DeviceId, UserId};
use undertone_protocol::keys::{DeviceList, ListVerdict};
use undertone_protocol::wire;

use super::context::Context;
use super::{members, outgoing, own_list, views};
use crate::event::Event;
use crate::store::{Contact, ContactState, StoreError};

/// A device list that came from a device of this user: theirs, or our own back.
pub(super) fn device_list(
    ctx: &mut Context<'_>,
    user: &UserId,
    signed: wire::Signed,
) -> Result<(), StoreError> {
    let list = match Signed::from_wire(signed).map_err(Into::into).and_then(DeviceList::verify) {
        Ok(list) => list,
        Err(error) => {
            tracing::warn!(user = %user.short(), %error, "a device list was refused");
            return Ok(());
        }
    };
    if list.user == ctx.me.user {
        return own_list::take(ctx, &list);
    }
    match ctx.tx.contact(user)? {
        Some(mut contact) => {
            take_list(ctx, &mut contact, &list)?;
            ctx.tx.put_contact(&contact)
        }
        None => Ok(()),
    }
}

/// Takes a contact's list, whose signature holds, if it is newer. The caller keeps the contact.
pub(super) fn take_list(
    ctx: &mut Context<'_>,
    contact: &mut Contact,
    list: &DeviceList,
) -> Result<ListVerdict, StoreError> {
    if list.user != contact.user {
        return Ok(ListVerdict::Older);
    }
    let verdict = list.judge(contact.device_list.as_ref());
    match verdict {
        ListVerdict::Newer => replace(ctx, contact, list)?,
        ListVerdict::Same | ListVerdict::Older => {}
        // A first list again: they started anew, or somebody replays it. The known one stays.
        ListVerdict::Reset => warn(ctx, contact, |contact| contact.reinstalled = true)?,
        ListVerdict::Conflict => warn(ctx, contact, |contact| contact.identity_warning = true)?,
    }
    Ok(verdict)
}

fn warn(
    ctx: &mut Context<'_>,
    contact: &mut Contact,
    set: impl FnOnce(&mut Contact),
) -> Result<(), StoreError> {
    set(contact);
    contact.verified = false;
    if contact.state.is_blocked() {
        return Ok(());
    }
    let view = views::contact(ctx, contact)?;
    ctx.events.push(Event::Contact { contact: view });
    Ok(())
}

/// The devices that count no more; some may have been added and revoked since the known list.
fn newly_revoked(known: &DeviceList, list: &DeviceList) -> Vec<DeviceId> {
    let listed = known.active().chain(list.devices.iter().map(|listed| &listed.certificate));
    let mut revoked: Vec<DeviceId> = listed.map(|certificate| certificate.device).collect();
    revoked.sort_unstable();
    revoked.dedup();
    revoked.retain(|device| list.active_device(device).is_none() && !known.has_revoked(device));
    revoked
}

fn replace(ctx: &mut Context<'_>, contact: &mut Contact, list: &DeviceList) -> Result<(), StoreError> {
    let known = contact.device_list.replace(list.clone());
    ctx.agenda.note_devices(list.user, list);
    let revoked = known.as_ref().map_or_else(Vec::new, |known| newly_revoked(known, list));
    let conversation = ctx.me.direct(&contact.user);
    for listed in known.iter().flat_map(|known| &known.devices) {
        let device = &listed.certificate.device;
        if list.device(device).is_none() {
            outgoing::forget_all(ctx, &conversation, device)?;
        }
    }
    // What a new device sent before its list came can be read now.
    ctx.agenda.quarantine = true;
    ctx.agenda.fetch.insert(contact.user);
    if revoked.is_empty() {
        return Ok(());
    }
    contact.bundles.retain(|access| !revoked.contains(&access.device));
    contact.grants.retain(|grant| !revoked.contains(&grant.device));
    contact.introduced.retain(|(device, _)| !revoked.contains(device));
    for device in &revoked {
        outgoing::forget(ctx, device)?;
    }
    members::list_changed(ctx, list, &revoked)?;
    // The revoked device knows the token: the others get another one, and then it is taken back.
    if matches!(contact.state, ContactState::Requesting | ContactState::Accepted) {
        let next = contact.token.after(&list.hash());
        let former = std::mem::replace(&mut contact.token, next);
        contact.former_tokens.push(former);
        contact.introduction_due = true;
        ctx.agenda.introduce.insert(contact.user);
        ctx.agenda.changed.insert(contact.user);
    }
    Ok(())
}
