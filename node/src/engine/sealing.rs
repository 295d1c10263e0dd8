//! Sender keys: who gets them, when a new one is made, and what is sealed under them.

use prost::Message;
use rand_core::Rng;
use undertone_protocol::codec::Signed;
use undertone_protocol::crypto::{
    HeaderKey, KeyPackage, MegolmMessage, PackageEnds, SenderKeyInfo, encrypt_content,
};
use undertone_protocol::entry::SignedEntry;
use undertone_protocol::ids::{ConversationId, DeviceId, Tag, UserId};
use undertone_protocol::limits::{
    DIRECT_ROTATION_AGE, DIRECT_ROTATION_MESSAGES, OUTBOX_ITEMS_MAX, RECEIVER_KEYS_PER_DEVICE_MAX,
    SENDER_KEY_MESSAGES_MAX,
};
use undertone_protocol::receipts::Tick;
use undertone_protocol::wire::{self, pairwise::Body};

use super::context::Context;
use super::{acknowledged, outgoing, own, pairwise};
use crate::store::{Contact, ContactState, Delivery, Purpose, ReceiverKey, SenderKey, StoreError};

/// Messages of one conversation sealed in one go; what is left comes next.
const SEAL_MAX: usize = 64;
/// Tags of an inbound session that are expected ahead of what came. What comes earlier waits in quarantine.
const TAGS_AHEAD: u32 = 24;

/// Whom a key goes to, and under which header key: the contact's devices, or one's own other ones. A relay must
/// not see that both get the same message.
#[derive(Clone, Copy)]
enum Copies<'a> {
    Theirs(&'a Contact),
    Own(&'a Contact),
}

/// Seals what waits and can be sealed now.
pub(super) fn seal_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for (conversation, user) in std::mem::take(&mut ctx.agenda.seal) {
        let mut room = OUTBOX_ITEMS_MAX.saturating_sub(ctx.tx.outbox_len()?);
        let Some(contact) = ctx.tx.contact(&user)?.filter(|contact| contact.state == ContactState::Accepted)
        else {
            continue;
        };
        let unsealed = ctx.tx.deliveries_unsealed(&conversation, SEAL_MAX)?;
        if unsealed.is_empty() {
            continue;
        }
        let devices = own::authorised(ctx, &contact);
        if devices.is_empty() && own::is_me(ctx, &contact) {
            keep_alone(ctx, unsealed)?;
            continue;
        }
        let Some(reachable) = pairwise::reach(ctx, &contact, &devices)? else { continue };
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
            // The message, its copy, and a key for each device at most. What has no room waits.
            let Some(left) = room.checked_sub(2 + reachable.len() + own::siblings(ctx).len()) else {
                ctx.agenda.seal.insert(conversation, user);
                break;
            };
            room = left;
            seal(ctx, &contact, &reachable, delivery, &stored.entry)?;
        }
        ctx.agenda.publish = true;
    }
    Ok(())
}

/// There is no other device of this user: a later one gets it as history.
fn keep_alone(ctx: &mut Context<'_>, unsealed: Vec<Delivery>) -> Result<(), StoreError> {
    for mut delivery in unsealed {
        delivery.sealed = true;
        ctx.tx.put_delivery(&delivery)?;
    }
    Ok(())
}

/// Whether all these devices have acknowledged a message.
fn is_everywhere(ctx: &Context<'_>, devices: &[DeviceId], delivery: &Delivery) -> Result<bool, StoreError> {
    if delivery.tick < Tick::Delivered {
        return Ok(false);
    }
    for device in devices {
        if !acknowledged::has(ctx, &delivery.conversation, device, delivery.seq)? {
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
    let own = own::own_contact(ctx)?.filter(|own| own.user != contact.user);
    let siblings = match &own {
        Some(own) => pairwise::reach(ctx, own, &own::siblings(ctx))?.unwrap_or_default(),
        None => Vec::new(),
    };
    let mut key = match ctx.tx.sender_key(&delivery.conversation)? {
        Some(key) if !must_rotate(ctx, &key, contact) => key,
        _ => new_key(ctx, delivery.conversation),
    };
    // Items of one group travel in one publish, the keys before what they open.
    let group = ctx.rng.next_u64() >> 1;
    hand_out(ctx, Copies::Theirs(contact), devices, &mut key, entry, group)?;
    if key.holders.is_empty() {
        return Ok(());
    }
    let own_group = ctx.rng.next_u64() >> 1;
    if let Some(own) = &own {
        hand_out(ctx, Copies::Own(own), &siblings, &mut key, entry, own_group)?;
    }
    let message = match encrypt_content(ctx.crypto, &mut key.state, entry.to_wire().encode_to_vec()) {
        Ok(message) => message,
        Err(error) => {
            tracing::error!(%error, "could not seal a message");
            return Ok(());
        }
    };
    let purpose = if own.is_some() { Purpose::Entry(entry.id) } else { Purpose::OwnEntry(entry.id) };
    let lack = without(ctx, &delivery, &key.holders)?;
    let mut left_out = own::authorised(ctx, contact);
    left_out.retain(|device| !key.holders.contains(device));
    // Of one's own devices none is left out: each gets what it lacks as history.
    let left_out = if own.is_some() { without(ctx, &delivery, &left_out)? } else { Vec::new() };
    put(ctx, &key.header_key, &message, &contact.user, [&lack, &left_out], purpose, group)?;
    let own_lack = without(ctx, &delivery, &key.own_holders)?;
    let (user, purpose) = (ctx.me.user, Purpose::OwnEntry(entry.id));
    put(ctx, &key.own_header_key, &message, &user, [&own_lack, &[]], purpose, own_group)?;
    key.messages += 1;
    ctx.tx.put_sender_key(&key)?;
    delivery.sealed = true;
    ctx.tx.put_delivery(&delivery)?;
    own::look_later(ctx, &delivery.conversation);
    Ok(())
}

/// Of an entry that is sealed again, the devices that did not acknowledge it yet.
fn without(
    ctx: &Context<'_>,
    delivery: &Delivery,
    holders: &[DeviceId],
) -> Result<Vec<DeviceId>, StoreError> {
    let mut lack = Vec::with_capacity(holders.len());
    for device in holders {
        let has_it = delivery.tick > Tick::Queued
            && acknowledged::has(ctx, &delivery.conversation, device, delivery.seq)?;
        if !has_it {
            lack.push(*device);
        }
    }
    Ok(lack)
}

fn put(
    ctx: &mut Context<'_>,
    header_key: &HeaderKey,
    message: &MegolmMessage,
    user: &UserId,
    [holders, left_out]: [&[DeviceId]; 2],
    purpose: Purpose,
    group: u64,
) -> Result<(), StoreError> {
    if holders.is_empty() && left_out.is_empty() {
        return Ok(());
    }
    match header_key.seal(message) {
        Ok(payload) => outgoing::put_message(ctx, user, holders, left_out, purpose, (group, payload.into())),
        Err(error) => {
            tracing::error!(%error, "could not seal a message");
            Ok(())
        }
    }
}

fn must_rotate(ctx: &Context<'_>, key: &SenderKey, contact: &Contact) -> bool {
    let (devices, siblings) = (own::authorised(ctx, contact), own::siblings(ctx));
    key.turned
        || ctx.now.since(key.made) >= DIRECT_ROTATION_AGE
        || key.messages >= DIRECT_ROTATION_MESSAGES.min(SENDER_KEY_MESSAGES_MAX)
        || key.holders.iter().any(|holder| !devices.contains(holder))
        || key.own_holders.iter().any(|holder| !siblings.contains(holder))
}

fn new_key(ctx: &mut Context<'_>, conversation: ConversationId) -> SenderKey {
    SenderKey {
        conversation,
        state: ctx.crypto.new_sender_key(),
        header_key: HeaderKey::random(ctx.rng),
        holders: Vec::new(),
        own_header_key: HeaderKey::random(ctx.rng),
        own_holders: Vec::new(),
        made: ctx.now,
        messages: 0,
        turned: false,
    }
}

/// Gives the key, at its present index, to the devices that don't have it.
fn hand_out(
    ctx: &mut Context<'_>,
    copies: Copies<'_>,
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
    let (contact, header_key, mut holders) = match copies {
        Copies::Theirs(contact) => (contact, key.header_key.clone(), std::mem::take(&mut key.holders)),
        Copies::Own(own) => (own, key.own_header_key.clone(), std::mem::take(&mut key.own_holders)),
    };
    let purpose = if own::is_me(ctx, contact) { Purpose::OwnKey(entry.id) } else { Purpose::Key(entry.id) };
    for device in devices {
        if holders.contains(device) {
            continue;
        }
        let package = package(ctx, contact, device, &header_key, &info, entry);
        let Some(payload) = pairwise::seal(ctx, contact, device, Body::KeyPackage(package.to_wire()), None)?
        else {
            continue;
        };
        outgoing::put(ctx, &contact.user, &[*device], purpose, group, payload)?;
        holders.push(*device);
    }
    match copies {
        Copies::Theirs(_) => key.holders = holders,
        Copies::Own(_) => key.own_holders = holders,
    }
    Ok(())
}

fn package(
    ctx: &Context<'_>,
    contact: &Contact,
    device: &DeviceId,
    header_key: &HeaderKey,
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
        conversation: entry.header.conversation,
        session: info.session,
        first_index: info.next_index,
        next_seq: entry.header.seq,
        membership_heads: entry.header.membership_heads.clone(),
        session_key: info.session_key.clone(),
        header_key: header_key.clone(),
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
    // One's own devices share what they send in any conversation; it may not be known here yet.
    if package.conversation != ctx.me.direct(user) && *user != ctx.me.user {
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
    ctx.tx.put_receiver_key(&key)?;
    // One that leaves ever more keys drops its own.
    ctx.tx.trim_receiver_keys(device, RECEIVER_KEYS_PER_DEVICE_MAX)
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
