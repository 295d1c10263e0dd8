//! This device's acknowledgement entries in groups: each author is told of their own messages.

use std::collections::BTreeSet;

use undertone_protocol::ids::{ConversationId, DeviceId, UserId};
use undertone_protocol::keys::DeviceList;
use undertone_protocol::limits::{LARGE_GROUP_ACKNOWLEDGES, LARGE_GROUP_MEMBERS};
use undertone_protocol::log::Frontier;
use undertone_protocol::receipts::{Acknowledgement, AcknowledgementFields, Authors};

use super::agenda::Side;
use super::circle::Circle;
use super::context::Context;
use super::{acknowledged, acknowledgements, pairwise};
use crate::store::{Contact, OwnReceipts, Purpose, StoreError};

/// Authors of whom a device that handed over their entries is told in one acknowledgement, what is left comes next; and
/// so many are remembered.
const HANDED_AUTHORS_TOLD_MAX: usize = 64;
const HANDED_AUTHORS_MAX: usize = 256;

/// A device of a member hands over what another one wrote, or may do so: it is told what is held of that one.
pub(super) fn note_handed(
    ctx: &mut Context<'_>,
    conversation: &ConversationId,
    device: &DeviceId,
    author: &DeviceId,
) {
    if ctx.agenda.directory.get(conversation) != Some(&Side::Group) {
        return;
    }
    let which = (*conversation, *device);
    let handed = ctx.agenda.handed.entry(which).or_default();
    if handed.len() < HANDED_AUTHORS_MAX {
        handed.insert(*author);
    }
    ctx.agenda.behind.insert(which);
    ctx.agenda.receipts = true;
}

/// Tells the authors of a group what this device has of theirs, and its user has read, where that is more than before.
/// One is on its way to each device at a time.
pub(super) fn seal(
    ctx: &mut Context<'_>,
    circle: &Circle,
    conversation: &ConversationId,
) -> Result<(), StoreError> {
    if is_too_early(ctx, circle, conversation) {
        return Ok(());
    }
    let mut own = ctx.tx.own_receipts(conversation)?;
    let delivered = acknowledged::received(ctx, conversation)?;
    let told = ctx.tx.acknowledgement(conversation, &ctx.me.device)?.map(|told| told.fields);
    let (told_delivered, told_read) = told.map(|told| (told.delivered, told.read)).unwrap_or_default();
    let is_news = |device: &DeviceId| {
        delivered.get(device) != told_delivered.get(device) || own.read.get(device) != told_read.get(device)
    };
    let devices = delivered.items().map(|(device, _)| *device);
    let news: BTreeSet<UserId> =
        devices.filter(is_news).filter_map(|device| circle.user_of(ctx, &device)).collect();
    let behind: BTreeSet<DeviceId> =
        ctx.agenda.behind.iter().filter(|(of, _)| of == conversation).map(|(_, device)| *device).collect();
    let mut authors = news.clone();
    authors.extend(behind.iter().filter_map(|device| circle.user_of(ctx, device)));
    authors.remove(&ctx.me.user);
    let first = own.counter.saturating_add(1);
    own.counter = first;
    own.due = false;
    let (mut now_delivered, mut now_read) = (told_delivered, told_read);
    for user in authors {
        let Some(author) = circle.person(ctx, &user)? else { continue };
        let mut devices = circle.authorised(ctx, &author);
        if !news.contains(&user) {
            // The others know it, though what told them may still be on its way.
            devices.retain(|device| behind.contains(device));
        }
        let handed = handed_by(ctx, conversation, &author, &delivered);
        let theirs = Theirs { handed, ..Theirs::of(&author, &delivered, &own.read) };
        if theirs.is_nothing() && circle.others(ctx) > LARGE_GROUP_MEMBERS {
            // Whoever comes into a large group meets a thousand who never wrote.
            forget(ctx, &author, conversation);
            continue;
        }
        if let Some(last) = tell(ctx, &author, &devices, conversation, first, &theirs)? {
            own.counter = own.counter.max(last);
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
        authors: Authors::default(),
    };
    // For this device alone: what was told, and to whom.
    ctx.tx.put_acknowledgement(&Acknowledgement::issue(&ctx.me.key, fields))
}

/// What a user was told may have been lost: a relay refused it, or it waited for a way to them in this process alone.
/// They are told again.
pub(super) fn tell_again(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    user: &UserId,
) -> Result<(), StoreError> {
    if not_told(ctx, group, user)? {
        let own = ctx.tx.own_receipts(group)?;
        ctx.tx.put_own_receipts(group, &OwnReceipts { due: true, ..own })?;
        ctx.agenda.receipts = true;
    }
    Ok(())
}

/// What a user was told counts as not told, and goes along when something is told next. False: they were told nothing.
pub(super) fn not_told(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    user: &UserId,
) -> Result<bool, StoreError> {
    let told = ctx.tx.acknowledgement(group, &ctx.me.device)?.map(|told| told.fields);
    let list = ctx.tx.contact(user)?.and_then(|person| person.device_list);
    let (Some(mut told), Some(list)) = (told, list) else { return Ok(false) };
    let is_theirs = |device: &DeviceId| list.device(device).is_some();
    if !told.delivered.items().chain(told.read.items()).any(|(device, _)| is_theirs(device)) {
        return Ok(false);
    }
    told.delivered.retain(|device| !is_theirs(device));
    told.read.retain(|device| !is_theirs(device));
    ctx.tx.put_acknowledgement(&Acknowledgement::issue(&ctx.me.key, told))?;
    Ok(true)
}

/// What is said to one author: of their own devices' entries, and of what they handed over.
struct Theirs {
    delivered: Frontier,
    read: Frontier,
    handed: Frontier,
}

impl Theirs {
    fn is_nothing(&self) -> bool {
        [&self.delivered, &self.read, &self.handed]
            .into_iter()
            .all(|frontier| frontier.items().next().is_none())
    }

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
        Self { delivered: of(delivered), read: of(read), handed: Frontier::default() }
    }
}

/// What is held of those whose entries a user's devices handed over: else they would do so again and again.
fn handed_by(
    ctx: &Context<'_>,
    conversation: &ConversationId,
    user: &Contact,
    delivered: &Frontier,
) -> Frontier {
    let devices = user.device_list.iter().flat_map(DeviceList::active).map(|certificate| certificate.device);
    let handed = devices.filter_map(|device| ctx.agenda.handed.get(&(*conversation, device))).flatten();
    let mut told = Frontier::default();
    for author in handed.take(HANDED_AUTHORS_TOLD_MAX) {
        told.set(*author, delivered.get(author).cloned().unwrap_or_default());
    }
    told
}

/// A device is told what is held of these authors. It stays behind where there are more of them.
fn was_told(ctx: &mut Context<'_>, which: (ConversationId, DeviceId), handed: &Frontier) {
    ctx.agenda.behind.remove(&which);
    let Some(left) = ctx.agenda.handed.get_mut(&which) else { return };
    left.retain(|author| handed.get(author).is_none());
    if left.is_empty() {
        ctx.agenda.handed.remove(&which);
    } else {
        ctx.agenda.behind.insert(which);
    }
}

/// Nothing is due to a user's devices.
fn forget(ctx: &mut Context<'_>, user: &Contact, conversation: &ConversationId) {
    for listed in user.device_list.iter().flat_map(|list| &list.devices) {
        ctx.agenda.behind.remove(&(*conversation, listed.certificate.device));
    }
}

/// In a large group it is told less often.
fn is_too_early(ctx: &mut Context<'_>, circle: &Circle, conversation: &ConversationId) -> bool {
    if circle.others(ctx) <= LARGE_GROUP_MEMBERS {
        return false;
    }
    let last = ctx.agenda.acknowledged.get(conversation).copied();
    if let Some(last) = last.filter(|last| ctx.now.since(*last) < LARGE_GROUP_ACKNOWLEDGES) {
        let at = last.after(LARGE_GROUP_ACKNOWLEDGES);
        ctx.agenda.receipts_at = ctx.agenda.receipts_at.into_iter().chain([at]).min();
        return true;
    }
    ctx.agenda.acknowledged.insert(*conversation, ctx.now);
    false
}

/// Seals an acknowledgement for an author's devices. One to which another is still on its way, or that can't be
/// reached, is behind. Says the count of the last part of it; `None`: none got it.
fn tell(
    ctx: &mut Context<'_>,
    author: &Contact,
    devices: &[DeviceId],
    conversation: &ConversationId,
    counter: u64,
    theirs: &Theirs,
) -> Result<Option<u64>, StoreError> {
    let purpose = Purpose::Acknowledgement(*conversation);
    let reachable: BTreeSet<DeviceId> = pairwise::look(ctx, author, devices)?.devices.into_iter().collect();
    let mut delivered = theirs.delivered.clone();
    delivered.merge(&theirs.handed);
    let fields = AcknowledgementFields {
        conversation: *conversation,
        device: ctx.me.device,
        counter,
        delivered,
        read: theirs.read.clone(),
        at: ctx.now,
        authors: Authors::default(),
    };
    let all = Acknowledgement::issue_all(&ctx.me.key, fields);
    let mut is_told = false;
    for device in devices {
        let which = (*conversation, *device);
        let is_on_its_way = !ctx.tx.outbox_of_to(&purpose, device)?.is_empty();
        if is_on_its_way || !reachable.contains(device) {
            ctx.agenda.behind.insert(which);
            continue;
        }
        if !acknowledgements::send(ctx, author, device, purpose, &all)? {
            continue;
        }
        was_told(ctx, which, &theirs.handed);
        tracing::trace!(me = ctx.me.device.short(), to = device.short(), counter, delivered = ?theirs.delivered, "tells");
        is_told = true;
    }
    Ok(is_told.then(|| acknowledgements::last_counter(&all)))
}

#[cfg(test)]
mod tests;
