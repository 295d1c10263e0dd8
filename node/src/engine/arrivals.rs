//! What came device to device, handed to the part that it concerns.

use undertone_protocol::codec::{Signed, decode};
use undertone_protocol::crypto::InboundChannel;
use undertone_protocol::ids::{ChannelHash, DeviceId};
use undertone_protocol::keys::Introduction;
use undertone_protocol::limits::PAYLOAD_BYTES_MAX;
use undertone_protocol::wire::{self, pairwise::Body};

use super::context::Context;
use super::introductions::NotTaken;
use super::pairwise::{OlmRefusal, Refusal, Sender};
use super::{direct, groups, healing, introductions, lists, pairwise, receipts, received_keys};
use crate::store::StoreError;

/// Takes what a channel carried. Gives the device that it was proved to come from.
pub(super) fn receive(
    ctx: &mut Context<'_>,
    channel: &InboundChannel,
    peer: Option<DeviceId>,
    content: Vec<u8>,
) -> Result<Result<DeviceId, NotTaken>, StoreError> {
    let content: wire::ChannelContent = match decode("channel content", &content.into(), PAYLOAD_BYTES_MAX) {
        Ok(content) => content,
        Err(error) => return Ok(Err(error.to_string().into())),
    };
    let introduction = match content.introduction.map(|signed| verify_introduction(ctx, signed)).transpose() {
        Ok(introduction) => introduction,
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    let Some(sender) = sender(ctx, peer, introduction.as_ref(), &content.sender)? else {
        return Ok(Err("it names no device that we know".to_owned().into()));
    };
    if peer.is_some_and(|peer| peer != sender.device) {
        return Ok(Err("it speaks for another device than its channel".to_owned().into()));
    }
    if let Some(introduction) = &introduction
        && let Err(why) = introductions::admit(ctx, introduction)?
    {
        return Ok(Err(why));
    }
    let message = match content.olm {
        Some(olm) => pairwise::decrypt(ctx, channel, &sender, olm)?,
        None => Err(OlmRefusal::Final("it carries no Olm message".to_owned())),
    };
    match (message, &introduction) {
        (Ok(message), _) => dispatch(ctx, &sender, message)?,
        // The introduction still is a way back.
        (Err(refusal), Some(_)) => {
            tracing::warn!(device = %sender.device.short(), %refusal, "an introduction without session");
            if let OlmRefusal::Wedged(_) = refusal {
                healing::wedged(ctx, &sender.user, &sender.device)?;
            }
        }
        (Err(refusal), None) => {
            if let OlmRefusal::Wedged(_) = refusal {
                healing::wedged(ctx, &sender.user, &sender.device)?;
            }
            return Ok(Err(refusal.to_string().into()));
        }
    }
    if introduction.is_some() {
        introductions::announce(ctx, &sender.user)?;
    }
    Ok(Ok(sender.device))
}

fn verify_introduction(ctx: &Context<'_>, signed: wire::Signed) -> Result<Introduction, Refusal> {
    let signed = Signed::from_wire(signed).map_err(|error| error.to_string())?;
    Introduction::verify(signed, &ctx.me.user, &ctx.me.device).map_err(|error| error.to_string())
}

fn sender(
    ctx: &Context<'_>,
    peer: Option<DeviceId>,
    introduction: Option<&Introduction>,
    claimed: &[u8],
) -> Result<Option<Sender>, StoreError> {
    if let Some(introduction) = introduction {
        let certificate = &introduction.fields.certificate;
        let (user, device, olm_key) = (certificate.user, certificate.device, certificate.olm_key);
        return Ok(Some(Sender { user, device, olm_key }));
    }
    let Some(device) = peer.or_else(|| DeviceId::from_slice(claimed).ok()) else { return Ok(None) };
    if let Some(known) = ctx.tx.peer_device(&device)? {
        return Ok(Some(Sender {
            user: known.user,
            device,
            olm_key: known.bundle.fields.certificate.olm_key,
        }));
    }
    // Its bundle was not fetched yet; its user's list names it all the same.
    let Some(user) = ctx.agenda.devices.get(&device).copied() else { return Ok(None) };
    let list = ctx.tx.contact(&user)?.and_then(|contact| contact.device_list);
    let olm_key = list.as_ref().and_then(|list| list.active_device(&device)).map(|listed| listed.olm_key);
    Ok(olm_key.map(|olm_key| Sender { user, device, olm_key }))
}

fn dispatch(ctx: &mut Context<'_>, sender: &Sender, message: wire::Pairwise) -> Result<(), StoreError> {
    acknowledged(ctx, &sender.device, &message)?;
    let (user, device) = (&sender.user, &sender.device);
    match message.body {
        Some(Body::KeyPackage(signed)) => received_keys::key_package(ctx, user, device, signed),
        Some(Body::Acknowledgement(signed)) => receipts::received(ctx, user, device, signed),
        Some(Body::Entry(sealed)) => direct::received(ctx, user, device, sealed),
        Some(Body::DeviceList(signed)) => lists::device_list(ctx, user, signed),
        Some(Body::Retry(_)) => healing::retry(ctx, user, device),
        Some(Body::Entries(entries)) => direct::received_history(ctx, user, device, entries),
        Some(Body::Group(update)) => groups::update_received(ctx, user, device, update),
        Some(Body::Nothing(_)) | None => Ok(()),
    }
}

/// The peer says what came through on our channel.
fn acknowledged(
    ctx: &mut Context<'_>,
    device: &DeviceId,
    message: &wire::Pairwise,
) -> Result<(), StoreError> {
    let Ok(hash) = ChannelHash::from_slice(&message.acknowledged_channel) else {
        return Ok(());
    };
    let Some(mut channel) = ctx.tx.outbound_channel(device)? else { return Ok(()) };
    if channel.acknowledge(&hash, message.acknowledged_count) {
        ctx.tx.put_outbound_channel(device, &channel)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
