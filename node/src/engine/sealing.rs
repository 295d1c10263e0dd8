//! Sender keys: who gets them, when a new one is made, and what is sealed under them.

use prost::Message;
use rand_core::Rng;
use undertone_protocol::codec::Signed;
use undertone_protocol::crypto::{HeaderKey, KeyPackage, PackageEnds, SenderKeyInfo, encrypt_content};
use undertone_protocol::entry::SignedEntry;
use undertone_protocol::ids::{ConversationId, DeviceId, Tag, UserId};
use undertone_protocol::limits::{DIRECT_ROTATION_MESSAGES, SENDER_KEY_MESSAGES_MAX};
use undertone_protocol::receipts::Tick;
use undertone_protocol::wire::{self, pairwise::Body};

use super::context::Context;
use super::{outgoing, pairwise};
use crate::store::{Contact, ContactState, Delivery, Purpose, ReceiverKey, SenderKey, StoreError};

/// Messages of one conversation sealed in one go; what is left comes next.
const SEAL_MAX: usize = 64;
/// Tags of an inbound session that are expected ahead of what came. What comes earlier waits in quarantine.
const TAGS_AHEAD: u32 = 24;

/// Seals what waits and can be sealed now.
pub(super) fn seal_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for (conversation, user) in std::mem::take(&mut ctx.agenda.seal) {
        let Some(contact) = ctx.tx.contact(&user)?.filter(|contact| contact.state == ContactState::Accepted)
        else {
            continue;
        };
        let unsealed = ctx.tx.deliveries_unsealed(&conversation, SEAL_MAX)?;
        let devices = authorised(&contact);
        if unsealed.is_empty() || !pairwise::can_reach(ctx, &contact, &devices)? {
            continue;
        }
        if unsealed.len() == SEAL_MAX {
            ctx.agenda.seal.insert(conversation, user);
        }
        for mut delivery in unsealed {
            if is_everywhere(ctx, &devices, &delivery)? {
                // It was acknowledged while it waited to be sealed again.
                delivery.sealed = true;
                ctx.tx.put_delivery(&delivery)?;
                continue;
            }
            let Some(stored) = ctx.tx.entry(&delivery.entry)? else { continue };
            seal(ctx, &contact, &devices, delivery, &stored.entry)?;
        }
        ctx.agenda.publish = true;
    }
    Ok(())
}

/// D of a direct conversation: the active devices of the contact's newest list.
pub(super) fn authorised(contact: &Contact) -> Vec<DeviceId> {
    contact.device_list.iter().flat_map(|list| list.active()).map(|certificate| certificate.device).collect()
}

/// Whether all these devices have acknowledged a message.
fn is_everywhere(ctx: &Context<'_>, devices: &[DeviceId], delivery: &Delivery) -> Result<bool, StoreError> {
    if delivery.tick < Tick::Delivered {
        return Ok(false);
    }
    for device in devices {
        let told = ctx.tx.acknowledgement(&delivery.conversation, device)?;
        if !told.is_some_and(|told| told.fields.delivered.covers(&ctx.me.device, delivery.seq)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn seal(
    ctx: &mut Context<'_>,
    contact: &Contact,
    devices: &[DeviceId],
    mut delivery: Delivery,
    entry: &SignedEntry,
) -> Result<(), StoreError> {
    let mut key = match ctx.tx.sender_key(&delivery.conversation)? {
        Some(key) if !must_rotate(&key, devices) => key,
        _ => new_key(ctx, delivery.conversation),
    };
    // Items of one group travel in one publish, the keys before what they open.
    let group = ctx.rng.next_u64() >> 1;
    hand_out(ctx, contact, devices, &mut key, entry, group)?;
    if key.holders.is_empty() {
        return Ok(());
    }
    let sealed = encrypt_content(ctx.crypto, &mut key.state, entry.to_wire().encode_to_vec())
        .and_then(|message| key.header_key.seal(&message));
    let payload = match sealed {
        Ok(payload) => payload,
        Err(error) => {
            tracing::error!(%error, "could not seal a message");
            return Ok(());
        }
    };
    outgoing::put(ctx, &contact.user, &key.holders, Purpose::Entry(entry.id), group, payload.into())?;
    key.messages += 1;
    ctx.tx.put_sender_key(&key)?;
    delivery.sealed = true;
    ctx.tx.put_delivery(&delivery)
}

fn must_rotate(key: &SenderKey, devices: &[DeviceId]) -> bool {
    key.turned
        || key.messages >= DIRECT_ROTATION_MESSAGES.min(SENDER_KEY_MESSAGES_MAX)
        || key.holders.iter().any(|holder| !devices.contains(holder))
}

fn new_key(ctx: &mut Context<'_>, conversation: ConversationId) -> SenderKey {
    SenderKey {
        conversation,
        state: ctx.crypto.new_sender_key(),
        header_key: HeaderKey::random(ctx.rng),
        holders: Vec::new(),
        messages: 0,
        turned: false,
    }
}

/// Gives the key, at its present index, to the devices that don't have it.
fn hand_out(
    ctx: &mut Context<'_>,
    contact: &Contact,
    devices: &[DeviceId],
    key: &mut SenderKey,
    entry: &SignedEntry,
    group: u64,
) -> Result<(), StoreError> {
    let info = match ctx.crypto.sender_key_info(&key.state) {
        Ok(info) => info,
        Err(error) => {
            tracing::error!(%error, "could not read the sender key");
            return Ok(());
        }
    };
    for device in devices {
        if key.holders.contains(device) {
            continue;
        }
        let package = package(ctx, contact, device, key, &info, entry);
        let Some(payload) = pairwise::seal(ctx, contact, device, Body::KeyPackage(package.to_wire()), None)?
        else {
            continue;
        };
        outgoing::put(ctx, &contact.user, &[*device], Purpose::Key(entry.id), group, payload)?;
        key.holders.push(*device);
    }
    Ok(())
}

fn package(
    ctx: &Context<'_>,
    contact: &Contact,
    device: &DeviceId,
    key: &SenderKey,
    info: &SenderKeyInfo,
    entry: &SignedEntry,
) -> Signed {
    let package = KeyPackage {
        ends: PackageEnds {
            sender_user: ctx.me.user,
            sender_device: ctx.me.device,
            recipient_user: contact.user,
            recipient_device: *device,
        },
        conversation: key.conversation,
        session: info.session,
        first_index: info.next_index,
        next_seq: entry.header.seq,
        membership_heads: entry.header.membership_heads.clone(),
        session_key: info.session_key.clone(),
        header_key: key.header_key.clone(),
    };
    package.sign(ctx.me.key.signing_key())
}

/// A key package from a device that Olm proved.
pub(super) fn key_package(
    ctx: &mut Context<'_>,
    user: &UserId,
    device: &DeviceId,
    signed: wire::Signed,
) -> Result<(), StoreError> {
    let ends = PackageEnds {
        sender_user: *user,
        sender_device: *device,
        recipient_user: ctx.me.user,
        recipient_device: ctx.me.device,
    };
    let package = Signed::from_wire(signed)
        .map_err(|error| error.to_string())
        .and_then(|signed| KeyPackage::verify(&signed, &ends).map_err(|error| error.to_string()))
        .and_then(|package| Ok((package.import(ctx.crypto).map_err(|error| error.to_string())?, package)));
    let (state, package) = match package {
        Ok(both) => both,
        Err(error) => {
            tracing::warn!(device = %device.short(), error, "a key package was refused");
            return Ok(());
        }
    };
    if package.conversation != ctx.me.direct(user) {
        tracing::warn!(device = %device.short(), "a key package for another conversation");
        return Ok(());
    }
    // The first one stays: a later one could only open less.
    if ctx.tx.receiver_key(&package.session)?.is_some() {
        return Ok(());
    }
    let mut key = ReceiverKey {
        session: package.session,
        conversation: package.conversation,
        device: *device,
        state,
        header_key: package.header_key,
        next_index: package.first_index,
        tags_end: package.first_index,
        received: ctx.now,
    };
    expect(ctx, &mut key, package.first_index)?;
    ctx.tx.put_receiver_key(&key)
}

/// A message of this index was opened: its tag is used up, and in order its key is forgotten.
pub(super) fn consume(
    ctx: &mut Context<'_>,
    mut key: ReceiverKey,
    index: u32,
    tag: &Tag,
) -> Result<(), StoreError> {
    ctx.tx.delete_message_tag(&key.session, tag)?;
    expect(ctx, &mut key, index)?;
    let opened = key.next_index;
    while key.next_index < key.tags_end && !is_expected(ctx, &key, key.next_index)? {
        key.next_index = key.next_index.saturating_add(1);
    }
    if key.next_index > opened
        && let Err(error) = ctx.crypto.forget_below(&mut key.state, key.next_index)
    {
        tracing::error!(%error, "could not advance a receiving key");
    }
    ctx.tx.put_receiver_key(&key)
}

fn is_expected(ctx: &Context<'_>, key: &ReceiverKey, index: u32) -> Result<bool, StoreError> {
    let candidates = ctx.tx.sessions_by_tag(&key.header_key.tag(index))?;
    Ok(candidates.contains(&(key.session, index)))
}

/// Expects the tags of some messages beyond `index`.
fn expect(ctx: &mut Context<'_>, key: &mut ReceiverKey, index: u32) -> Result<(), StoreError> {
    let end = index.saturating_add(TAGS_AHEAD);
    let ahead = key.header_key.tags(key.tags_end).into_iter().take_while(|(index, _)| *index < end);
    let tags: Vec<(Tag, u32)> = ahead.map(|(index, tag)| (tag, index)).collect();
    ctx.agenda.expected(tags.iter().map(|(tag, _)| tag));
    key.tags_end = key.tags_end.max(end);
    ctx.tx.put_message_tags(&key.session, &tags)
}
