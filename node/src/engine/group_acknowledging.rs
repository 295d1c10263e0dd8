//! This device's acknowledgement entries in groups: each author is told of their own messages.

use std::collections::BTreeSet;

use undertone_protocol::ids::{ConversationId, DeviceId, UserId};
use undertone_protocol::limits::{LARGE_GROUP_ACKNOWLEDGES, LARGE_GROUP_MEMBERS};
use undertone_protocol::log::Frontier;
use undertone_protocol::receipts::{Acknowledgement, AcknowledgementFields};
use undertone_protocol::wire::pairwise::Body;

use super::circle::Circle;
use super::context::Context;
use super::outgoing::{self, NO_GROUP};
use super::{acknowledged, pairwise};
use crate::store::{Contact, Purpose, StoreError};

/// Tells the authors of a group what this device has of theirs, and its user has read, where that is more than before.
/// One is on its way to each device at a time.
pub(super) fn seal(
    ctx: &mut Context<'_>,
    circle: &Circle,
    conversation: &ConversationId,
) -> Result<(), StoreError> {
    if is_too_early(ctx, circle, conversation)? {
        return Ok(());
    }
    let mut own = ctx.tx.own_receipts(conversation)?;
    let delivered = acknowledged::received(ctx, conversation)?;
    let told = ctx.tx.acknowledgement(conversation, &ctx.me.device)?.map(|told| told.fields);
    let (told_delivered, told_read) = told.map(|told| (told.delivered, told.read)).unwrap_or_default();
    let is_news = |device: &DeviceId| {
        delivered.get(device) != told_delivered.get(device) || own.read.get(device) != told_read.get(device)
    };
    let mut authors: BTreeSet<UserId> = BTreeSet::new();
    let devices = delivered.items().map(|(device, _)| *device);
    for device in devices.filter(|device| is_news(device)) {
        authors.extend(circle.user_of(ctx, &device));
    }
    let behind: Vec<DeviceId> =
        ctx.agenda.behind.iter().filter(|(of, _)| of == conversation).map(|(_, device)| *device).collect();
    authors.extend(behind.iter().filter_map(|device| circle.user_of(ctx, device)));
    authors.remove(&ctx.me.user);
    own.counter += 1;
    own.due = false;
    let (mut now_delivered, mut now_read) = (told_delivered, told_read);
    for user in authors {
        let Some(author) = circle.person(ctx, &user)? else { continue };
        let theirs = Theirs::of(&author, &delivered, &own.read);
        if tell(ctx, circle, &author, conversation, own.counter, &theirs)? {
            // What is held may be less than before, by a cut: then that is what they know now.
            theirs.delivered.items().for_each(|(device, item)| now_delivered.set(*device, item.clone()));
            theirs.read.items().for_each(|(device, item)| now_read.set(*device, item.clone()));
        } else {
            own.due = true;
        }
    }
    ctx.tx.put_own_receipts(conversation, &own)?;
    let fields = AcknowledgementFields {
        conversation: *conversation,
        device: ctx.me.device,
        counter: own.counter,
        delivered: now_delivered,
        read: now_read,
        at: ctx.now,
    };
    // For this device alone: what was told, and to whom.
    ctx.tx.put_acknowledgement(&Acknowledgement::issue(&ctx.me.key, fields))
}

/// What is said to one author: of their own devices' entries.
struct Theirs {
    delivered: Frontier,
    read: Frontier,
}

impl Theirs {
    fn of(author: &Contact, delivered: &Frontier, read: &Frontier) -> Self {
        let of = |all: &Frontier| {
            let mut theirs = Frontier::default();
            let listed = author.device_list.iter().flat_map(|list| &list.devices);
            for device in listed.map(|listed| &listed.certificate.device) {
                if let Some(item) = all.get(device) {
                    theirs.set(*device, item.clone());
                }
            }
            theirs
        };
        Self { delivered: of(delivered), read: of(read) }
    }
}

/// In a large group it is told less often.
fn is_too_early(
    ctx: &mut Context<'_>,
    circle: &Circle,
    conversation: &ConversationId,
) -> Result<bool, StoreError> {
    if circle.members(ctx)?.len() <= LARGE_GROUP_MEMBERS {
        return Ok(false);
    }
    let last = ctx.agenda.acknowledged.get(conversation).copied();
    if let Some(last) = last.filter(|last| ctx.now.since(*last) < LARGE_GROUP_ACKNOWLEDGES) {
        let at = last.after(LARGE_GROUP_ACKNOWLEDGES);
        ctx.agenda.receipts_at = ctx.agenda.receipts_at.into_iter().chain([at]).min();
        return Ok(true);
    }
    ctx.agenda.acknowledged.insert(*conversation, ctx.now);
    Ok(false)
}

/// Seals an acknowledgement for an author's devices. One to which another is still on its way, or that can't be
/// reached, is behind. False when none got it.
fn tell(
    ctx: &mut Context<'_>,
    circle: &Circle,
    author: &Contact,
    conversation: &ConversationId,
    counter: u64,
    theirs: &Theirs,
) -> Result<bool, StoreError> {
    let purpose = Purpose::Acknowledgement(*conversation);
    let on_their_way: BTreeSet<DeviceId> = ctx
        .tx
        .outbox_of(&purpose)?
        .iter()
        .flat_map(|item| item.recipients.iter().map(|recipient| recipient.device))
        .collect();
    let devices = circle.authorised(ctx, author);
    let reachable: BTreeSet<DeviceId> = pairwise::look(ctx, author, &devices)?.devices.into_iter().collect();
    let fields = AcknowledgementFields {
        conversation: *conversation,
        device: ctx.me.device,
        counter,
        delivered: theirs.delivered.clone(),
        read: theirs.read.clone(),
        at: ctx.now,
    };
    let signed = Acknowledgement::issue(&ctx.me.key, fields).signed;
    let mut is_told = false;
    for device in devices {
        let which = (*conversation, device);
        if on_their_way.contains(&device) || !reachable.contains(&device) {
            ctx.agenda.behind.insert(which);
            continue;
        }
        let body = Body::Acknowledgement(signed.to_wire());
        let Some(payload) = pairwise::seal(ctx, author, &device, body, None)? else { continue };
        ctx.agenda.behind.remove(&which);
        outgoing::put(ctx, &author.user, &[device], purpose, NO_GROUP, payload)?;
        is_told = true;
    }
    Ok(is_told)
}
