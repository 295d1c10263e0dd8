//! What other devices lack of a conversation: a sibling gets all that it does not hold, which is how a new device
//! gets the history. What a device holds is known from its acknowledgements.

use std::time::Duration;

use undertone_protocol::ids::{ConversationId, DeviceId, UserId};
use undertone_protocol::keys::DeviceList;
use undertone_protocol::limits::ENTRIES_BYTES_MAX;
use undertone_protocol::log::{Frontier, FrontierItem};
use undertone_protocol::receipts::AcknowledgementFields;
use undertone_protocol::time::Timestamp;

use super::agenda::{Agenda, Offer};
use super::circle::Circle;
use super::context::{Context, Me};
use super::offered::{handed_over, hands_history, offered};
use super::offers::{BATCHES_MAX, PAGE, batches, life, look_again, send, size, tell_of_group};
use super::own::{self, ARRIVAL};
use super::{acknowledged, forks, membership, outgoing, pairwise, resend};
use crate::log;
use crate::store::{Contact, ContactState, NodeTx, OutboxState, Purpose, Standing, StoreError, StoredEntry};

/// What a contact's device lacks is looked at so long after it spoke.
const SPOKE: Duration = Duration::from_secs(60);

/// A contact's or member's device said what it holds of a conversation.
pub(super) fn spoke(
    ctx: &mut Context<'_>,
    circle: &Circle,
    user: &UserId,
    device: &DeviceId,
) -> Result<(), StoreError> {
    let which = (*device, circle.conversation(ctx));
    ctx.agenda.spoke.entry(which).or_insert(ctx.now);
    ctx.agenda.compare.entry(which).or_insert(ctx.now.after(SPOKE));
    match circle {
        Circle::Direct(_) => is_heard(ctx, &which),
        // Whoever was let in waits for what this device hands over.
        Circle::Group(_) if hands_history(ctx, circle, user)? => look_again(ctx, &which, ctx.now),
        Circle::Group(_) => {}
    }
    Ok(())
}

/// A member's device wrote something, and so fetched what waited for it. Where it can't read that, it has no news to tell.
pub(super) fn wrote(
    ctx: &mut Context<'_>,
    device: &DeviceId,
    conversation: &ConversationId,
) -> Result<(), StoreError> {
    let which = (*device, *conversation);
    let waits = |state| matches!(state, OutboxState::Custody { .. });
    if !ctx.agenda.spoke.contains_key(&which) && outgoing::any_message_to(ctx.tx, device, waits)? {
        ctx.agenda.spoke.insert(which, ctx.now);
        ctx.agenda.compare.entry(which).or_insert(ctx.now.after(SPOKE));
    }
    Ok(())
}

/// An own other device did: it waits for what it lacks. What it has it may say in parts.
pub(super) fn sibling_spoke(ctx: &mut Context<'_>, said: &AcknowledgementFields) {
    let which = (said.device, said.conversation);
    is_heard(ctx, &which);
    if said.authors.through.is_none() {
        ctx.agenda.compare.insert(which, ctx.now);
    } else {
        ctx.agenda.compare.entry(which).or_insert(ctx.now.after(ARRIVAL));
    }
}

/// What was on its way to an own other device may be lost.
pub(super) fn look_at_device(ctx: &mut Context<'_>, device: &DeviceId) {
    let at = ctx.now.after(ARRIVAL);
    for conversation in ctx.agenda.directory.keys() {
        ctx.agenda.compare.entry((*device, *conversation)).or_insert(at);
    }
}

/// At a start: whatever was on its way to a device may be lost since.
pub(super) fn look_at_all(
    me: &Me,
    tx: &dyn NodeTx,
    agenda: &mut Agenda,
    now: Timestamp,
) -> Result<(), StoreError> {
    let own = &me.account.device_list;
    for sibling in own.active().filter(|certificate| certificate.device != me.device) {
        for conversation in agenda.directory.keys() {
            agenda.compare.insert((sibling.device, *conversation), now.after(ARRIVAL));
        }
    }
    // What own devices that are gone wrote, the others send on.
    if own.devices.iter().any(|listed| listed.revoked) {
        for which in devices_of_contacts(me, tx)? {
            agenda.compare.insert(which, now.after(ARRIVAL));
        }
    }
    // In groups that of members who are gone as well.
    for which in devices_of_members(me, tx)? {
        agenda.compare.insert(which, now.after(ARRIVAL));
    }
    look_for_lost(me, tx, agenda, now)
}

/// Devices that were heard after a message was sent to them, but have not acknowledged it: they lack it, or what they
/// said is lost.
pub(super) fn look_for_lost(
    me: &Me,
    tx: &dyn NodeTx,
    agenda: &mut Agenda,
    now: Timestamp,
) -> Result<(), StoreError> {
    // What was called back fails for those whom no relay had it for; what was to come of that is forgotten by a crash.
    let is_out = |state| matches!(state, OutboxState::Custody { .. } | OutboxState::Failed);
    let mut devices = devices_of_contacts(me, tx)?;
    devices.extend(devices_of_members(me, tx)?);
    for which in devices {
        if outgoing::any_message_to(tx, &which.0, |state| state == OutboxState::LeftOut)? {
            agenda.left_out.entry(which).or_insert(now.after(SPOKE));
        }
        // What was sealed before the device was known stands in no item.
        let lacks = lacks_some(me, tx, &which)?;
        if !lacks && !outgoing::any_message_to(tx, &which.0, is_out)? {
            continue;
        }
        let heard = tx.olm_sessions(&which.0)?.iter().map(|session| session.used).max();
        if let Some(heard) = heard.or(lacks.then_some(now)) {
            agenda.spoke.entry(which).or_insert(heard);
            agenda.compare.entry(which).or_insert(now.after(ARRIVAL));
        }
    }
    Ok(())
}

/// What others' devices lack of what this device wrote in a conversation, where that says nothing any more.
pub(super) fn look_at_gone(ctx: &mut Context<'_>, conversation: &ConversationId) -> Result<(), StoreError> {
    let Some(circle) = Circle::of(ctx, conversation)? else { return Ok(()) };
    for person in circle.people(ctx)? {
        for device in circle.authorised(ctx, &person) {
            let which = (device, *conversation);
            if lacks_some(ctx.me, ctx.tx, &which)? {
                ctx.agenda.compare.entry(which).or_insert(ctx.now.after(ARRIVAL));
            }
        }
    }
    Ok(())
}

/// Whether a device that spoke of a conversation lacks some of what this device wrote in it.
fn lacks_some(
    me: &Me,
    tx: &dyn NodeTx,
    (device, conversation): &(DeviceId, ConversationId),
) -> Result<bool, StoreError> {
    let held = acknowledged::of(tx, conversation, device)?.delivered;
    let last = log::frontier_of(tx, conversation, &me.device)?.seq;
    Ok(match held.get(&me.device) {
        Some(item) => item.seq < last,
        None => last > 0 && tx.acknowledgement(conversation, device)?.is_some(),
    })
}

fn devices_of_contacts(me: &Me, tx: &dyn NodeTx) -> Result<Vec<(DeviceId, ConversationId)>, StoreError> {
    let mut devices = Vec::new();
    let contacts = tx.contacts()?.into_iter();
    for contact in contacts.filter(|to| to.state == ContactState::Accepted && to.user != me.user) {
        let active = contact.device_list.iter().flat_map(DeviceList::active);
        devices.extend(active.map(|certificate| (certificate.device, me.direct(&contact.user))));
    }
    Ok(devices)
}

fn devices_of_members(me: &Me, tx: &dyn NodeTx) -> Result<Vec<(DeviceId, ConversationId)>, StoreError> {
    let mut devices = Vec::new();
    for group in tx.groups()?.into_iter().filter(|group| group.standing == Standing::In) {
        for member in
            tx.members(&group.id)?.into_iter().filter(|member| member.is_in() && member.user != me.user)
        {
            let person = tx.contact(&member.user)?;
            let active = person.iter().flat_map(|person| &person.device_list).flat_map(DeviceList::active);
            devices.extend(active.map(|certificate| (certificate.device, group.id)));
        }
    }
    Ok(devices)
}

fn is_heard(ctx: &mut Context<'_>, which: &(DeviceId, ConversationId)) {
    if let Some(offer) = ctx.agenda.offered.get_mut(which) {
        offer.unheard = 0;
    }
}

/// Looks at what devices lack, where it is time.
pub(super) fn compare_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    let due = ctx.agenda.compare.iter().filter(|(_, at)| **at <= ctx.now);
    for which in due.map(|(which, _)| *which).collect::<Vec<_>>() {
        ctx.agenda.compare.remove(&which);
        let (device, conversation) = which;
        let Some(circle) = Circle::of(ctx, &conversation)? else { continue };
        // A device that never spoke of this conversation may not know it yet.
        let Some(acknowledgement) = ctx.tx.acknowledgement(&conversation, &device)? else {
            let is_of_group = matches!(circle, Circle::Group(_)) && circle.is_open();
            if is_of_group && own::is_sibling(ctx, &device) {
                tell_of_group(ctx, which)?;
            }
            continue;
        };
        let said = acknowledgement.fields.delivered;
        let held = acknowledged::of(ctx.tx, &conversation, &device)?.delivered;
        if own::is_sibling(ctx, &device) {
            let Some(own) = own::own_contact(ctx)? else { continue };
            forks::compare(ctx, &own, &device, &conversation, &said)?;
            offer(ctx, &circle, &own, &device, &held)?;
        } else if let Some(person) = other(ctx, &circle, &device)? {
            forks::compare(ctx, &person, &device, &conversation, &said)?;
            offer(ctx, &circle, &person, &device, &held)?;
            fill_end(ctx, &which);
        }
    }
    Ok(())
}

/// Somebody else who takes part, whose device it is.
fn other(ctx: &Context<'_>, circle: &Circle, device: &DeviceId) -> Result<Option<Contact>, StoreError> {
    let Some(user) = circle.user_of(ctx, device).filter(|_| circle.is_open()) else { return Ok(None) };
    let person = circle.person(ctx, &user)?;
    Ok(person.filter(|person| circle.authorised(ctx, person).contains(device)))
}

fn fill_end(ctx: &mut Context<'_>, which: &(DeviceId, ConversationId)) {
    let Some(spoke) = ctx.agenda.spoke.get(which).copied() else { return };
    if ctx.now < spoke.after(SPOKE) {
        look_again(ctx, which, spoke.after(SPOKE));
    } else if resend::fill_end(ctx, &which.0, &which.1, spoke) {
        ctx.agenda.spoke.remove(which);
    } else {
        look_again(ctx, which, ctx.now.after(ARRIVAL));
    }
}

/// Devices that can be reached again get what was sealed without them, when the user's other ones had time to hand it on.
pub(super) fn reached_due(ctx: &mut Context<'_>) {
    let due = ctx.agenda.left_out.iter().filter(|(_, at)| **at <= ctx.now);
    for which in due.map(|(which, _)| *which).collect::<Vec<_>>() {
        if resend::left_out(ctx, &which.0, &which.1) {
            ctx.agenda.left_out.remove(&which);
        } else {
            ctx.agenda.left_out.insert(which, ctx.now.after(ARRIVAL));
        }
    }
}

/// A device can be reached again.
pub(super) fn reached(ctx: &mut Context<'_>, user: &UserId, device: &DeviceId) -> Result<(), StoreError> {
    let mut conversations = ctx.tx.groups_of(user)?;
    conversations.push(ctx.me.direct(user));
    for conversation in conversations {
        ctx.agenda.left_out.entry((*device, conversation)).or_insert(ctx.now.after(SPOKE));
    }
    Ok(())
}

/// Sends a device what it lacks of a conversation; what is on its way, or may still be, is left for later.
fn offer(
    ctx: &mut Context<'_>,
    circle: &Circle,
    to: &Contact,
    device: &DeviceId,
    held: &Frontier,
) -> Result<(), StoreError> {
    let conversation = &circle.conversation(ctx);
    let which = (*device, *conversation);
    let in_outbox = ctx.tx.outbox_of(&Purpose::History(*conversation))?;
    if in_outbox.iter().any(|item| item.recipients.iter().any(|to| to.device == *device)) {
        look_again(ctx, &which, ctx.now.after(ARRIVAL));
        return Ok(());
    }
    let mut unheard = 0;
    if let Some(offer) = ctx.agenda.offered.get(&which).filter(|offer| is_lacked(offer, held)) {
        let again = offer.at.after(life(offer.unheard));
        if ctx.now < again {
            look_again(ctx, &which, again);
            return Ok(());
        }
        // One that takes some of it gets on.
        let takes = offer.entries.iter().any(|(author, seq)| held.covers(author, *seq));
        unheard = if takes { 0 } else { offer.unheard.saturating_add(1) };
    }
    let hands = hands_history(ctx, circle, &to.user)?;
    let Lacking { entries, again } = lacking(ctx, circle, (to, device, hands), held)?;
    if let Some(again) = again {
        look_again(ctx, &which, again);
    }
    if entries.is_empty() {
        ctx.agenda.offered.remove(&which);
        if hands && again.is_none() {
            handed_over(ctx, conversation, &to.user)?;
        }
        return Ok(());
    }
    if pairwise::reach(ctx, to, &[*device])?.is_none() {
        look_again(ctx, &which, ctx.now.after(ARRIVAL));
        return Ok(());
    }
    let numbers = entries.iter().map(|stored| (stored.entry.header.device, stored.entry.header.seq));
    ctx.agenda.offered.insert(which, Offer { at: ctx.now, entries: numbers.collect(), unheard });
    look_again(ctx, &which, ctx.now.after(life(unheard)));
    if unheard > 0 && own::is_me(ctx, to) && circle.contact().is_none() {
        // It may not know the group: by what is told of it, it does, and asks.
        ctx.agenda.updates.entry((*conversation, *device)).or_default();
    }
    for batch in batches(entries) {
        send(ctx, to, device, conversation, batch)?;
    }
    Ok(())
}

/// Whether a device still lacks something of an offer.
fn is_lacked(offer: &Offer, held: &Frontier) -> bool {
    offer.entries.iter().any(|(author, seq)| !held.covers(author, *seq))
}

/// What a device lacks: what can be sent now, and when to look again at what may still arrive.
struct Lacking {
    entries: Vec<StoredEntry>,
    again: Option<Timestamp>,
}

impl Lacking {
    fn waits(&mut self, until: Timestamp) {
        self.again = self.again.into_iter().chain([until]).min();
    }
}

fn lacking(
    ctx: &Context<'_>,
    circle: &Circle,
    (to, recipient, hands): (&Contact, &DeviceId, bool),
    held: &Frontier,
) -> Result<Lacking, StoreError> {
    let conversation = &circle.conversation(ctx);
    let nothing = FrontierItem::default();
    let mut lacking = Lacking { entries: Vec::new(), again: None };
    let (mut bytes, room) = (0, BATCHES_MAX * ENTRIES_BYTES_MAX);
    for (device, _) in ctx.tx.frontier(conversation)? {
        if device == *recipient {
            continue;
        }
        let item = held.get(&device).unwrap_or(&nothing);
        let before = lacking.entries.len();
        // Who knows of a fork tells of nothing beyond it, and nobody needs that.
        let fork = log::fork(ctx.tx, conversation, &device)?;
        let offered = offered(ctx, circle, to, hands, &device);
        let end = offered.through(item).min(fork.as_ref().map_or(u64::MAX, |fork| fork.through));
        let mut from = item.seq.checked_add(1);
        while let Some(gap) = from.and_then(|from| item.gap(from)).filter(|gap| gap.from <= end) {
            let page = ctx.tx.entries_of(conversation, &device, gap.from, PAGE)?;
            let Some(last) = page.last() else { break };
            from = last.entry.header.seq.checked_add(1);
            for stored in page {
                let seq = stored.entry.header.seq;
                if item.covers(seq) || seq > end || !offered.covers(ctx, circle, (to, item), &stored)? {
                    continue;
                }
                // Contacts refuse what is beyond a cut.
                if !own::is_me(ctx, to) && !log::counts(ctx.tx, &stored)? {
                    continue;
                }
                if !membership::is_entitled(ctx, circle, to, &stored.entry) {
                    continue;
                }
                // A device that holds nothing of it yet was not there when it was sent.
                let is_new = stored.received <= ctx.now && ctx.now.since(stored.received) < ARRIVAL;
                if item.seq > 0 && is_new {
                    lacking.waits(stored.received.after(ARRIVAL));
                    continue;
                }
                bytes += size(&stored);
                if bytes > room {
                    return Ok(lacking);
                }
                lacking.entries.push(stored);
            }
        }
        // Who gets what was before it gets the proof too.
        if let Some(fork) = fork.as_ref().filter(|_| own::is_me(ctx, to) && lacking.entries.len() > before) {
            let proof = forks::proof(ctx.tx, conversation, &device, fork.through.saturating_add(1))?;
            lacking.entries.extend(proof);
        }
    }
    Ok(lacking)
}

#[cfg(test)]
mod tests;
