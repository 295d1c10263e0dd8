//! Sender keys of others: how they are taken, and what is kept of them as messages are opened.

use undertone_protocol::codec::Signed;
use undertone_protocol::crypto::{KeyPackage, PackageEnds};
use undertone_protocol::ids::{ConversationId, DeviceId, Tag, UserId};
use undertone_protocol::limits::RECEIVER_KEYS_PER_DEVICE_MAX;
use undertone_protocol::wire;

use super::circle::Circle;
use super::context::Context;
use super::own;
use crate::log;
use crate::store::{ReceiverKey, StoreError};

/// Tags of an inbound session that are expected ahead of what came. What comes earlier waits in quarantine.
const TAGS_AHEAD: u32 = 24;

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
    // One's own devices share what they send in any conversation; it may not be known here yet, nor may a group.
    let circle = Circle::of(ctx, &package.conversation)?;
    if *user != ctx.me.user && circle.as_ref().is_some_and(|circle| !may_write(ctx, circle, user)) {
        tracing::warn!(device = %device.short(), "a key package for another conversation");
        return Ok(());
    }
    if matches!(circle, Some(Circle::Group(_))) && *user != ctx.me.user {
        log::begin_at(ctx.tx, &package.conversation, device, package.next_seq)?;
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
        next_seq: package.next_seq,
        received: ctx.now,
    };
    expect(ctx, &mut key, package.first_index)?;
    ctx.tx.put_receiver_key(&key)?;
    // One that leaves ever more keys drops its own.
    ctx.tx.trim_receiver_keys(device, RECEIVER_KEYS_PER_DEVICE_MAX)
}

/// A group is known from here on: what was written before the first entries that are for this device is not missing, as
/// those say whose keys came before.
pub(super) fn begin(ctx: &mut Context<'_>, group: &ConversationId) -> Result<(), StoreError> {
    for (device, next_seq) in ctx.tx.next_seqs(group)? {
        // Own devices share all that they have.
        if !own::is_own(ctx, &device) {
            log::begin_at(ctx.tx, group, &device, next_seq)?;
        }
    }
    Ok(())
}

/// Whether somebody may hand out keys for a conversation. Of a group they may be a member whom this device does not know
/// to be one yet: what they write waits until it does.
fn may_write(ctx: &Context<'_>, circle: &Circle, user: &UserId) -> bool {
    match circle {
        Circle::Direct(contact) => contact.user == *user && !own::is_me(ctx, contact),
        Circle::Group(_) => true,
    }
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
