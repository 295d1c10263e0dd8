//! What waits is sealed, under this device's sender keys, for those who take part.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use rand_core::Rng;
use undertone_protocol::crypto::{HeaderKey, MegolmMessage, encrypt_content};
use undertone_protocol::entry::{Content, SignedEntry};
use undertone_protocol::ids::{DeviceId, UserId};
use undertone_protocol::limits::OUTBOX_ITEMS_MAX;
use undertone_protocol::receipts::Tick;

use super::circle::Circle;
use super::context::Context;
use super::sender_keys::{Copies, Round, hand_out, must_rotate, new_key};
use super::{acknowledged, membership, outgoing, own, pairwise, progress};
use crate::store::{Contact, Delivery, Purpose, StoreError};

/// Messages of one conversation sealed in one go; what is left comes next.
const SEAL_MAX: usize = 64;

/// One of those who take part, with their devices: all of them, and those that something can be sealed for.
struct Recipient {
    person: Contact,
    authorised: Vec<DeviceId>,
    reachable: Vec<DeviceId>,
}

/// Seals what waits and can be sealed now.
pub(super) fn seal_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for conversation in std::mem::take(&mut ctx.agenda.seal) {
        let Some(circle) = Circle::of(ctx, &conversation)? else { continue };
        let mut unsealed = ctx.tx.deliveries_unsealed(&conversation, SEAL_MAX)?;
        if !circle.is_open() {
            unsealed = last_words(ctx, &circle, unsealed)?;
        }
        if unsealed.is_empty() {
            continue;
        }
        let mut people = circle.people(ctx)?;
        if people.is_empty() && circle.others(ctx) == 0 {
            // A group of one is for one's other devices.
            people.extend(own::own_contact(ctx)?);
        }
        if own::siblings(ctx).is_empty() && people.iter().all(|person| own::is_me(ctx, person)) {
            keep_alone(ctx, unsealed)?;
            continue;
        }
        let Some(recipients) = reach(ctx, &circle, people)? else { continue };
        seal_some(ctx, &circle, &recipients, unsealed)?;
    }
    Ok(())
}

/// Whoever left a group still says so, and nothing else.
fn last_words(
    ctx: &Context<'_>,
    circle: &Circle,
    unsealed: Vec<Delivery>,
) -> Result<Vec<Delivery>, StoreError> {
    let mut words = Vec::new();
    for delivery in unsealed.into_iter().filter(|_| circle.contact().is_none()) {
        let stored = ctx.tx.entry(&delivery.entry)?;
        if stored.is_some_and(|stored| matches!(stored.entry.body.content, Content::Operation(_))) {
            words.push(delivery);
        }
    }
    Ok(words)
}

/// Those who take part and can be reached; `None` while nobody can, or while a bundle that can be had is on its way.
fn reach(
    ctx: &mut Context<'_>,
    circle: &Circle,
    people: Vec<Contact>,
) -> Result<Option<Vec<Recipient>>, StoreError> {
    let mut recipients = Vec::with_capacity(people.len());
    for person in people {
        let authorised = circle.authorised(ctx, &person);
        let reach = pairwise::look(ctx, &person, &authorised)?;
        if reach.waits {
            return Ok(None);
        }
        recipients.push(Recipient { person, authorised, reachable: reach.devices });
    }
    let is_reachable = recipients.iter().any(|recipient| !recipient.reachable.is_empty());
    Ok(is_reachable.then_some(recipients))
}

fn seal_some(
    ctx: &mut Context<'_>,
    circle: &Circle,
    recipients: &[Recipient],
    unsealed: Vec<Delivery>,
) -> Result<(), StoreError> {
    let conversation = circle.conversation(ctx);
    let mut room = OUTBOX_ITEMS_MAX.saturating_sub(ctx.tx.outbox_len()?);
    if unsealed.len() == SEAL_MAX {
        ctx.agenda.seal.insert(conversation);
    }
    let reachable: usize = recipients.iter().map(|recipient| recipient.reachable.len()).sum();
    for mut delivery in unsealed {
        if is_everywhere(ctx, recipients, &delivery)? {
            // It was acknowledged while it waited to be sealed again.
            delivery.sealed = true;
            ctx.tx.put_delivery(&delivery)?;
            continue;
        }
        let Some(stored) = ctx.tx.entry(&delivery.entry)? else { continue };
        if stored.entry.body.is_gone() {
            say_nothing(ctx, circle, recipients, delivery, &stored.entry)?;
            continue;
        }
        // The message, its copy, and a key for each device at most. What has no room waits.
        let Some(left) = room.checked_sub(2 + reachable + own::siblings(ctx).len()) else {
            ctx.agenda.seal.insert(conversation);
            break;
        };
        room = left;
        seal(ctx, circle, recipients, delivery, &stored.entry)?;
    }
    ctx.agenda.publish = true;
    Ok(())
}

/// There is nobody else, and no other device of this user: a later one gets it as history.
fn keep_alone(ctx: &mut Context<'_>, unsealed: Vec<Delivery>) -> Result<(), StoreError> {
    for mut delivery in unsealed {
        delivery.sealed = true;
        delivery.tick = Tick::Read;
        ctx.tx.put_delivery(&delivery)?;
        own::look_later(ctx, &delivery.conversation);
    }
    Ok(())
}

/// There is nothing to say any more: whoever sees that it is missing gets its header, if anybody is left for whom it was.
/// It waits for none of one's own devices: they get it as history.
fn say_nothing(
    ctx: &mut Context<'_>,
    circle: &Circle,
    recipients: &[Recipient],
    mut delivery: Delivery,
    entry: &SignedEntry,
) -> Result<(), StoreError> {
    delivery.sealed = true;
    ctx.tx.put_delivery(&delivery)?;
    let is_alone =
        !circle.is_account(ctx) && recipients.iter().all(|recipient| own::is_me(ctx, &recipient.person));
    if is_alone || concerned(ctx, circle, recipients, entry)?.is_empty() {
        progress::sent(ctx, &entry.id)?;
    }
    Ok(())
}

/// Whether all their devices have acknowledged a message.
fn is_everywhere(
    ctx: &Context<'_>,
    recipients: &[Recipient],
    delivery: &Delivery,
) -> Result<bool, StoreError> {
    if delivery.tick < Tick::Delivered {
        return Ok(false);
    }
    for device in recipients.iter().flat_map(|recipient| &recipient.authorised) {
        if !acknowledged::has(ctx, &delivery.conversation, device, delivery.seq)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn seal(
    ctx: &mut Context<'_>,
    circle: &Circle,
    recipients: &[Recipient],
    mut delivery: Delivery,
    entry: &SignedEntry,
) -> Result<(), StoreError> {
    let is_account = recipients.iter().any(|recipient| own::is_me(ctx, &recipient.person));
    let own = own::own_contact(ctx)?.filter(|_| !is_account);
    let siblings = match &own {
        Some(own) => pairwise::reach(ctx, own, &own::siblings(ctx))?.unwrap_or_default(),
        None => Vec::new(),
    };
    let all = users(recipients.iter());
    let users = concerned(ctx, circle, recipients, entry)?;
    let mut key = match ctx.tx.sender_key(&delivery.conversation)? {
        Some(key) if !must_rotate(ctx, circle, &key, &all) => key,
        _ => new_key(ctx, delivery.conversation, &circle.key_life()),
    };
    // Items of one group travel in one publish, the keys before what they open.
    let group = ctx.rng.next_u64() >> 1;
    let info = match ctx.crypto.sender_key_info(&key.state) {
        Ok(info) => info,
        Err(error) => {
            tracing::error!(%error, "could not read the sender key");
            return Ok(());
        }
    };
    let held = key.holders.iter().copied().collect();
    let round = Round { circle, entry, copies: Copies::Theirs, group, info: &info, held };
    for Recipient { person, reachable, .. } in recipients {
        hand_out(ctx, &round, person, reachable, &mut key)?;
    }
    if key.holders.is_empty() {
        return Ok(());
    }
    let own_group = ctx.rng.next_u64() >> 1;
    if let Some(own) = &own {
        let held = key.own_holders.iter().copied().collect();
        let round = Round { copies: Copies::Own, group: own_group, held, ..round };
        hand_out(ctx, &round, own, &siblings, &mut key)?;
    }
    let message = match encrypt_content(ctx.crypto, &mut key.state, entry.to_wire().encode_to_vec()) {
        Ok(message) => message,
        Err(error) => {
            tracing::error!(%error, "could not seal a message");
            return Ok(());
        }
    };
    let purpose = if own.is_some() { Purpose::Entry(entry.id) } else { Purpose::OwnEntry(entry.id) };
    let known = progress::may_be_there(ctx, circle, &delivery)?;
    let lack = without(ctx, (&delivery, known), &key.holders, &users)?;
    let holders: BTreeSet<&DeviceId> = key.holders.iter().collect();
    let left_out: Vec<DeviceId> = users.keys().filter(|device| !holders.contains(device)).copied().collect();
    // Of one's own devices none is left out: each gets what it lacks as history.
    let left_out =
        if own.is_some() { without(ctx, (&delivery, known), &left_out, &users)? } else { Vec::new() };
    let (me, count) = (ctx.me.device.short(), lack.len());
    tracing::trace!(me, entry = ?entry.id, seq = entry.header.seq, to = count, left_out = left_out.len(), "seals");
    put(ctx, &key.header_key, &message, [&lack, &left_out], purpose, group)?;
    let me = ctx.me.user;
    let own_users = key.own_holders.iter().map(|device| (*device, me)).collect();
    let own_lack = without(ctx, (&delivery, known), &key.own_holders, &own_users)?;
    put(ctx, &key.own_header_key, &message, [&own_lack, &[]], Purpose::OwnEntry(entry.id), own_group)?;
    key.messages += 1;
    ctx.tx.put_sender_key(&key)?;
    delivery.sealed = true;
    ctx.tx.put_delivery(&delivery)?;
    // Nothing waits for a relay, which would say that it was sent.
    let is_on_its_way = !(lack.is_empty() && left_out.is_empty());
    if !is_on_its_way || is_account && !circle.is_account(ctx) {
        progress::sent(ctx, &entry.id)?;
    }
    own::look_later(ctx, &delivery.conversation);
    Ok(())
}

/// The devices that an entry is for, and whose each is.
fn concerned(
    ctx: &Context<'_>,
    circle: &Circle,
    recipients: &[Recipient],
    entry: &SignedEntry,
) -> Result<BTreeMap<DeviceId, UserId>, StoreError> {
    let mut concerned = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        if membership::is_for(ctx, circle, &recipient.person, entry)? {
            concerned.push(recipient);
        }
    }
    Ok(users(concerned.into_iter()))
}

/// Whose each device is that something may be sealed for.
fn users<'a>(recipients: impl Iterator<Item = &'a Recipient>) -> BTreeMap<DeviceId, UserId> {
    let devices = |recipient: &Recipient| {
        let user = recipient.person.user;
        recipient.authorised.clone().into_iter().map(move |device| (device, user))
    };
    recipients.flat_map(devices).collect()
}

/// Of an entry that is sealed again, the devices that did not acknowledge it yet. `may_be_there`: some may have it.
fn without(
    ctx: &Context<'_>,
    (delivery, may_be_there): (&Delivery, bool),
    devices: &[DeviceId],
    users: &BTreeMap<DeviceId, UserId>,
) -> Result<Vec<(UserId, DeviceId)>, StoreError> {
    let mut lack = Vec::with_capacity(devices.len());
    for device in devices {
        let Some(user) = users.get(device) else { continue };
        let has_it = may_be_there && acknowledged::has(ctx, &delivery.conversation, device, delivery.seq)?;
        if !has_it {
            lack.push((*user, *device));
        }
    }
    Ok(lack)
}

fn put(
    ctx: &mut Context<'_>,
    header_key: &HeaderKey,
    message: &MegolmMessage,
    [holders, left_out]: [&[(UserId, DeviceId)]; 2],
    purpose: Purpose,
    group: u64,
) -> Result<(), StoreError> {
    if holders.is_empty() && left_out.is_empty() {
        return Ok(());
    }
    match header_key.seal(message) {
        Ok(payload) => outgoing::put_message(ctx, holders, left_out, purpose, (group, payload.into())),
        Err(error) => {
            tracing::error!(%error, "could not seal a message");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
