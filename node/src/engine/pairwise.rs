//! Device to device: Olm inside a channel, both ways.

use prost::Message;
use prost::bytes::Bytes;
use undertone_protocol::codec::Signed;
use undertone_protocol::crypto::{
    CryptoError, InboundChannel, OlmMessage, OutboundChannel, PairwiseContext, XWingPublic,
};
use undertone_protocol::ids::{CurveKey, DeviceId, UserId};
use undertone_protocol::limits::{BUNDLE_FRESH, KEY_LIFE, OLM_SESSIONS_PER_PEER_MAX};
use undertone_protocol::wire::{self, pairwise::Body};

use super::context::Context;
use crate::store::{Contact, OlmSession, PeerDevice, StoreError};

/// Why a payload is refused; for the log.
pub(super) type Refusal = String;

/// Why an Olm message is refused.
pub(super) enum OlmRefusal {
    /// A fresh session heals it.
    Wedged(CryptoError),
    /// Nothing heals it.
    Final(Refusal),
}

impl std::fmt::Display for OlmRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Wedged(error) => error.fmt(f),
            Self::Final(refusal) => f.write_str(refusal),
        }
    }
}

/// Which of some devices something can be sealed for.
#[derive(Default)]
pub(super) struct Reach {
    pub(super) devices: Vec<DeviceId>,
    /// A bundle that can be had is on its way.
    pub(super) waits: bool,
}

/// Those of the devices that something can be sealed for; `None` while there are none, or while a bundle that can
/// be had is on its way. What is missing or old is fetched.
pub(super) fn reach(
    ctx: &mut Context<'_>,
    contact: &Contact,
    devices: &[DeviceId],
) -> Result<Option<Vec<DeviceId>>, StoreError> {
    let Reach { devices, waits } = look(ctx, contact, devices)?;
    Ok((!waits && !devices.is_empty()).then_some(devices))
}

/// Looks which of a person's devices something can be sealed for. What is missing or old is fetched.
pub(super) fn look(
    ctx: &mut Context<'_>,
    contact: &Contact,
    devices: &[DeviceId],
) -> Result<Reach, StoreError> {
    let mut reach = Reach::default();
    for device in devices {
        let age = ctx.tx.peer_fetched(device)?.map(|fetched| ctx.now.since(fetched));
        if age.is_none_or(|age| age > BUNDLE_FRESH) {
            ctx.agenda.fetch.insert(contact.user);
        }
        // What an older one names may be dead.
        if age.is_some_and(|age| age <= KEY_LIFE) {
            reach.devices.push(*device);
        } else {
            let has_address = contact.bundles.iter().any(|access| access.device == *device);
            reach.waits |= has_address && !ctx.agenda.unfetchable.contains(device);
        }
    }
    Ok(reach)
}

/// Seals one message for a device. `None` where the device can't be reached yet; the log says why.
pub(super) fn seal(
    ctx: &mut Context<'_>,
    contact: &Contact,
    device: &DeviceId,
    body: Body,
    introduction: Option<Signed>,
) -> Result<Option<Bytes>, StoreError> {
    let Some(mut peer) = ctx.tx.peer_device(device)? else {
        ctx.agenda.fetch.insert(contact.user);
        return Ok(None);
    };
    let Some(mut channel) = outbound_channel(ctx, &peer)? else { return Ok(None) };
    let Some(mut session) = sending_session(ctx, &mut peer)? else { return Ok(None) };
    let message = acknowledging(ctx, device, body)?;
    let context = PairwiseContext {
        sender_user: ctx.me.user,
        recipient_user: contact.user,
        sender_device: ctx.me.device,
        recipient_device: *device,
        channel: *channel.hash(),
    };
    let sealed = context.encode(&message).map_err(|error| error.to_string()).and_then(|plaintext| {
        let olm = ctx.crypto.encrypt(&mut session.state, &plaintext).map_err(|error| error.to_string())?;
        let content = wire::ChannelContent {
            introduction: introduction.map(|signed| signed.to_wire()),
            olm: Some(wire::OlmMessage { prekey: olm.prekey, ciphertext: olm.ciphertext.into() }),
            sender: if channel.is_opening() { ctx.me.device.to_wire() } else { Bytes::new() },
        };
        channel.seal(content.encode_to_vec()).map_err(|error| error.to_string())
    });
    let payload = match sealed {
        Ok(payload) => payload,
        Err(error) => {
            tracing::error!(device = %device.short(), error, "could not seal for a device");
            return Ok(None);
        }
    };
    ctx.tx.put_olm_session(&session)?;
    ctx.tx.put_outbound_channel(device, &channel)?;
    Ok(Some(payload.into()))
}

fn outbound_channel(ctx: &mut Context<'_>, peer: &PeerDevice) -> Result<Option<OutboundChannel>, StoreError> {
    let newest = &peer.bundle.fields.xwing_key;
    let known = ctx.tx.outbound_channel(&peer.device)?;
    if let Some(channel) = known.filter(|channel| !channel.needs_renewal(ctx.now, newest)) {
        return Ok(Some(channel));
    }
    let key = XWingPublic::from_slice(newest).map_err(|error| error.to_string());
    let opened = key.and_then(|key| {
        OutboundChannel::open(ctx.rng, peer.device, &key, ctx.now).map_err(|error| error.to_string())
    });
    Ok(opened
        .inspect_err(
            |error| tracing::error!(device = %peer.device.short(), error, "could not open a channel"),
        )
        .ok())
}

/// The session to send on: the one that heard from the peer last, else a new one.
fn sending_session(ctx: &mut Context<'_>, peer: &mut PeerDevice) -> Result<Option<OlmSession>, StoreError> {
    if let Some(session) = ctx.tx.olm_sessions(&peer.device)?.into_iter().next() {
        return Ok(Some(session));
    }
    open_session(ctx, peer)
}

/// Opens a new session with a device, in the place of one that is wedged. False when it can't be.
pub(super) fn renew_session(ctx: &mut Context<'_>, device: &DeviceId) -> Result<bool, StoreError> {
    let Some(mut peer) = ctx.tx.peer_device(device)? else { return Ok(false) };
    let Some(session) = open_session(ctx, &mut peer)? else { return Ok(false) };
    ctx.tx.put_olm_session(&session)?;
    prune_sessions(ctx, device)?;
    Ok(true)
}

/// A session by a one-time prekey, where one is there.
fn open_session(ctx: &mut Context<'_>, peer: &mut PeerDevice) -> Result<Option<OlmSession>, StoreError> {
    let Some(account) = ctx.tx.olm_account()? else { return Ok(None) };
    let prekey = peer.prekey.take().unwrap_or(peer.bundle.fields.fallback_prekey);
    let identity = peer.bundle.fields.certificate.olm_key;
    let opened = ctx
        .crypto
        .open_session(&account, &identity, &prekey)
        .and_then(|state| Ok((ctx.crypto.session_id(&state)?, state)));
    match opened {
        Ok((id, state)) => {
            ctx.tx.put_peer_device(peer)?;
            Ok(Some(OlmSession { device: peer.device, id: *id.as_bytes(), state, used: ctx.now }))
        }
        Err(error) => {
            tracing::error!(device = %peer.device.short(), %error, "could not open a session");
            Ok(None)
        }
    }
}

/// The message with word of what came through on the peer's newest channel.
fn acknowledging(ctx: &Context<'_>, device: &DeviceId, body: Body) -> Result<wire::Pairwise, StoreError> {
    let mut message = wire::Pairwise { body: Some(body), ..wire::Pairwise::default() };
    if let Some(newest) = ctx.tx.inbound_channels_of(device)?.first()
        && let Some((channel, _)) = ctx.tx.inbound_channel(newest)?
    {
        message.acknowledged_channel = newest.to_wire();
        message.acknowledged_count = channel.received_count();
    }
    Ok(message)
}

/// Who a channel's content comes from, as far as it is known before Olm proves it.
pub(super) struct Sender {
    pub(super) user: UserId,
    pub(super) device: DeviceId,
    pub(super) olm_key: CurveKey,
}

/// Decrypts an Olm message, and checks that it was made for this channel and these ends.
pub(super) fn decrypt(
    ctx: &mut Context<'_>,
    channel: &InboundChannel,
    sender: &Sender,
    olm: wire::OlmMessage,
) -> Result<Result<wire::Pairwise, OlmRefusal>, StoreError> {
    let message = OlmMessage { prekey: olm.prekey, ciphertext: olm.ciphertext.into() };
    let plaintext = match decrypt_olm(ctx, sender, &message)? {
        Ok(plaintext) => plaintext,
        Err(error) if error.wants_new_session() => return Ok(Err(OlmRefusal::Wedged(error))),
        Err(error) => return Ok(Err(OlmRefusal::Final(error.to_string()))),
    };
    let context = PairwiseContext {
        sender_user: sender.user,
        recipient_user: ctx.me.user,
        sender_device: sender.device,
        recipient_device: ctx.me.device,
        channel: *channel.hash(),
    };
    Ok(context.decode_checked(&plaintext).map_err(|error| OlmRefusal::Final(error.to_string())))
}

fn decrypt_olm(
    ctx: &mut Context<'_>,
    sender: &Sender,
    message: &OlmMessage,
) -> Result<Result<Vec<u8>, CryptoError>, StoreError> {
    // No session that we know: it was lost here.
    let mut last = CryptoError::BadMac;
    for mut session in ctx.tx.olm_sessions(&sender.device)? {
        match ctx.crypto.decrypt(&mut session.state, message) {
            Ok(plaintext) => {
                session.used = ctx.now;
                ctx.tx.put_olm_session(&session)?;
                return Ok(Ok(plaintext));
            }
            Err(CryptoError::OtherSession) => {}
            Err(error) => last = error,
        }
    }
    if message.prekey { accept_session(ctx, sender, message) } else { Ok(Err(last)) }
}

fn accept_session(
    ctx: &mut Context<'_>,
    sender: &Sender,
    message: &OlmMessage,
) -> Result<Result<Vec<u8>, CryptoError>, StoreError> {
    let Some(mut account) = ctx.tx.olm_account()? else { return Ok(Err(CryptoError::NotPrekey)) };
    let info = match ctx.crypto.prekey_info(message) {
        Ok(info) => info,
        Err(error) => return Ok(Err(error)),
    };
    if ctx.tx.prekey_base_seen(info.ratchet_key.as_bytes())? {
        return Ok(Err(CryptoError::MissingPrekey(info.prekey)));
    }
    let accepted = match ctx.crypto.accept_session(&mut account, &sender.olm_key, message) {
        Ok(accepted) => accepted,
        Err(error) => return Ok(Err(error)),
    };
    ctx.tx.put_olm_account(&account)?;
    ctx.tx.put_prekey_base(info.ratchet_key.as_bytes(), ctx.now)?;
    ctx.tx.put_olm_session(&OlmSession {
        device: sender.device,
        id: *info.session.as_bytes(),
        state: accepted.session,
        used: ctx.now,
    })?;
    prune_sessions(ctx, &sender.device)?;
    for home in ctx.tx.home_relays()? {
        ctx.agenda.prekeys.insert(home.address.relay);
    }
    Ok(Ok(accepted.plaintext))
}

fn prune_sessions(ctx: &mut Context<'_>, device: &DeviceId) -> Result<(), StoreError> {
    for old in ctx.tx.olm_sessions(device)?.into_iter().skip(OLM_SESSIONS_PER_PEER_MAX) {
        ctx.tx.delete_olm_session(&old.device, &old.id)?;
    }
    Ok(())
}
