//! How a new device becomes one of its user: its code, the answer of a device that has the identity key, and what
//! the new one does with it.

use prost::Message;
use undertone_protocol::codec::{Signed, decode};
use undertone_protocol::crypto::{open_link, seal_link};
use undertone_protocol::ids::{DeviceId, Handle};
use undertone_protocol::keys::{
    Certificate, DeliveryGrant, DeviceCode, IdentityKey, Introduction, IntroductionFields, IntroductionKind,
    ListedDevice,
};
use undertone_protocol::limits::{DEVICES_PER_USER_MAX, INVITATION_RELAYS_MAX, PAYLOAD_BYTES_MAX};
use undertone_protocol::token::{Step, TokenGrant};
use undertone_protocol::wire;

use super::agenda::Side;
use super::context::Context;
use super::home::mailbox_address;
use super::outgoing::{self, NO_GROUP};
use super::{acknowledging, addresses, introducing, own, own_list, revocations};
use crate::command::{CommandError, ErrorKind};
use crate::event::Event;
use crate::store::{Contact, Purpose, StoreError};

/// What this new device shows; `None` when it belongs to a user already.
pub(super) fn code(ctx: &Context<'_>) -> Result<Option<DeviceCode>, StoreError> {
    let account = &ctx.me.account;
    let Some(key) = account.linking.clone() else { return Ok(None) };
    let homes = ctx.tx.home_relays()?;
    let grants = homes.iter().take(INVITATION_RELAYS_MAX).map(|home| DeliveryGrant {
        device: ctx.me.device,
        mailbox: mailbox_address(home),
        token: TokenGrant::issue(&home.secret, Step::named(code_handle(ctx))),
    });
    Ok(Some(DeviceCode {
        device: ctx.me.device,
        olm_key: account.certificate.olm_key,
        name: account.certificate.name.clone(),
        grants: grants.collect(),
        key,
    }))
}

/// The code names no contact: its token has a handle that follows from the device. It ends when the answer is here.
fn code_handle(ctx: &Context<'_>) -> Handle {
    Handle::derive("undertone v1 handle of a code's token", &[ctx.me.device.as_bytes()])
}

/// Makes the device of a code one of this user's. A code that was added already is answered again, until the device
/// says itself how it is reached.
pub(super) fn add(
    ctx: &mut Context<'_>,
    code: &DeviceCode,
) -> Result<Result<Certificate, CommandError>, StoreError> {
    let conflict = |message: &str| Ok(Err(CommandError::new(ErrorKind::Conflict, message)));
    let Some(identity) = ctx.me.identity() else {
        return conflict(
            "this device does not have the identity key: add the new one on the device that does",
        );
    };
    if code.device == ctx.me.device {
        return conflict("this is this device's own code: use it on the device that you had before");
    }
    let list = &ctx.me.account.device_list;
    let known = list.devices.iter().find(|listed| listed.certificate.device == code.device).cloned();
    let certificate = match known {
        Some(listed) if listed.revoked => {
            return conflict("this device was revoked: install it anew, and add the code that it shows then");
        }
        Some(listed) => listed.certificate,
        None if list.devices.len() >= DEVICES_PER_USER_MAX => {
            return Ok(Err(CommandError::new(
                ErrorKind::Limit,
                format!(
                    "{DEVICES_PER_USER_MAX} devices were listed already, the revoked ones too, and no list holds more: \
                     begin a new one with your recovery phrase (`undertone init --recover`), which revokes these"
                ),
            )));
        }
        None if list
            .active()
            .any(|certificate| is_called(certificate, &code.name.as_str().to_lowercase())) =>
        {
            return conflict("another device of yours has this name: start it with another `--device-name`");
        }
        None => certify(ctx, &identity, code)?,
    };
    let has_spoken = own::own_contact(ctx)?.is_some_and(|own| own.has_introduced(&code.device));
    if !has_spoken {
        answer(ctx, code)?;
    }
    Ok(Ok(certificate))
}

/// Whether this is a device's name, which is given in lower case.
fn is_called(certificate: &Certificate, folded: &str) -> bool {
    certificate.name.as_str().to_lowercase() == folded
}

fn certify(
    ctx: &mut Context<'_>,
    identity: &IdentityKey,
    code: &DeviceCode,
) -> Result<Certificate, StoreError> {
    let certificate = Certificate::issue(identity, code.device, code.olm_key, code.name.clone(), ctx.now);
    let mut devices = ctx.me.account.device_list.devices.clone();
    devices.push(ListedDevice { certificate: certificate.clone(), revoked: false });
    own_list::sign(ctx, identity, devices, None)?;
    Ok(certificate)
}

/// Puts the answer to a code on its way: who the user is, and how to reach the other devices.
fn answer(ctx: &mut Context<'_>, code: &DeviceCode) -> Result<(), StoreError> {
    let (Some(mut own), Some(account)) = (own::own_contact(ctx)?, ctx.tx.account()?) else { return Ok(()) };
    ctx.agenda.links_refused.remove(&code.device);
    addresses::merge(&mut own, Vec::new(), code.grants.clone());
    ctx.tx.put_contact(&own)?;
    let (bundles, grants) = addresses::own_addresses(ctx, &own, &code.device)?;
    let fields = IntroductionFields {
        kind: IntroductionKind::Link,
        recipient_user: ctx.me.user,
        recipient_device: code.device,
        certificate: account.certificate,
        device_list: account.device_list,
        bundles,
        grants,
        name: account.name,
        issued: introducing::issued(ctx)?,
    };
    let signed = Introduction::issue(&ctx.me.key, fields).signed.to_wire().encode_to_vec();
    match seal_link(&code.key, signed, ctx.rng) {
        Ok(payload) => {
            let (user, purpose) = (ctx.me.user, Purpose::Link(code.device));
            outgoing::put(ctx, &user, &[code.device], purpose, NO_GROUP, payload.into())
        }
        Err(error) => {
            tracing::error!(%error, "could not seal the answer to a device's code");
            Ok(())
        }
    }
}

/// An answer to this device's code came.
pub(super) fn received(ctx: &mut Context<'_>, payload: &[u8]) -> Result<Result<(), String>, StoreError> {
    let mut account = ctx.me.account.clone();
    let Some(key) = account.linking.take() else {
        return Ok(Err("this device does not wait to be added".to_owned()));
    };
    let opened = open_link(&key, payload)
        .and_then(|content| decode::<wire::Signed>("link", &content.into(), PAYLOAD_BYTES_MAX))
        .and_then(Signed::from_wire)
        .map_err(Into::into)
        .and_then(|signed| Introduction::verify_link(signed, &ctx.me.device, &account.certificate.olm_key));
    let (introduction, certificate) = match opened {
        Ok(both) => both,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let fields = introduction.fields;
    tracing::info!(user = %certificate.user.short(), "this device was added");
    account.name = fields.name.clone();
    account.identity_seed = None;
    account.certificate = certificate;
    account.device_list = fields.device_list.clone();
    let user = account.certificate.user;
    ctx.tx.put_account(&account)?;
    ctx.agenda.reload = true;
    // Whoever saw the code could deliver by it.
    revocations::revoke(ctx, vec![code_handle(ctx)])?;
    let token = Handle::random(ctx.rng);
    if let Some(mut own) = own::contact(user, token, fields.device_list, ctx.now) {
        let own_device = ctx.me.device;
        let is_other = |device: &DeviceId| *device != own_device;
        let bundles = fields.bundles.into_iter().filter(|access| is_other(&access.device)).collect();
        let grants = fields.grants.into_iter().filter(|grant| is_other(&grant.device)).collect();
        addresses::merge(&mut own, bundles, grants);
        own.introduction_due = true;
        greet(ctx, &own)?;
    }
    ctx.events.push(Event::Devices {});
    Ok(Ok(()))
}

/// The new device introduces itself to the others, and says that it has nothing yet: they send what they have.
fn greet(ctx: &mut Context<'_>, own: &Contact) -> Result<(), StoreError> {
    ctx.tx.put_contact(own)?;
    if let Some(list) = &own.device_list {
        ctx.agenda.note_devices(own.user, list);
    }
    let conversation = undertone_protocol::keys::direct_conversation(&own.user, &own.user);
    ctx.agenda.directory.insert(conversation, Side::User(own.user));
    ctx.agenda.introduce.insert(own.user);
    ctx.agenda.fetch.insert(own.user);
    let mut due = ctx.tx.own_receipts(&conversation)?;
    due.own_due = true;
    ctx.tx.put_own_receipts(&conversation, &due)?;
    ctx.agenda.receipts = true;
    for mut home in ctx.tx.home_relays()? {
        home.bundle_stored = false;
        ctx.tx.put_home_relay(&home)?;
    }
    Ok(())
}

/// A device that got nothing from the others yet greets again: what it said, or their answer, may be lost.
pub(super) fn sweep(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    let conversation = ctx.me.direct(&ctx.me.user);
    let is_alone = own::siblings(ctx).is_empty();
    let has_heard = ctx.tx.frontier(&conversation)?.iter().any(|(device, _)| *device != ctx.me.device);
    if is_alone || has_heard || ctx.me.identity().is_some() {
        return Ok(());
    }
    if let Some(mut own) = own::own_contact(ctx)? {
        introducing::answer(ctx, &mut own);
        ctx.tx.put_contact(&own)?;
    }
    acknowledging::make_own_due(ctx, &conversation)
}

/// Takes a device of this user out: it gets nothing more.
pub(super) fn revoke(
    ctx: &mut Context<'_>,
    name: &str,
) -> Result<Result<Certificate, CommandError>, StoreError> {
    let refuse = |kind, message: String| Ok(Err(CommandError::new(kind, message)));
    let Some(identity) = ctx.me.identity() else {
        let message = "this device does not have the identity key: revoke on the device that does".to_owned();
        return refuse(ErrorKind::Conflict, message);
    };
    let mut devices = ctx.me.account.device_list.devices.clone();
    let wanted = name.trim().to_lowercase();
    let named = |listed: &&mut ListedDevice| {
        !listed.revoked
            && (is_called(&listed.certificate, &wanted)
                || (wanted.len() >= 8 && listed.certificate.device.to_hex().starts_with(&wanted)))
    };
    let Some(listed) = devices.iter_mut().find(named) else {
        let message = format!("no active device is called \"{}\": see `undertone device list`", name.trim());
        return refuse(ErrorKind::Unknown, message);
    };
    if listed.certificate.device == ctx.me.device {
        let message = "this is the device with the identity key: it can't revoke itself".to_owned();
        return refuse(ErrorKind::Conflict, message);
    }
    listed.revoked = true;
    let certificate = listed.certificate.clone();
    own_list::sign(ctx, &identity, devices, Some(certificate.device))?;
    acknowledging::make_own_due(ctx, &ctx.me.direct(&ctx.me.user))?;
    Ok(Ok(certificate))
}
