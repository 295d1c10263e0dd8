//! Sending again what a device can't read, always as new ciphertext.

use std::time::Duration;

use undertone_protocol::ids::{ConversationId, DeviceId, EntryId};
use undertone_protocol::limits::{ENVELOPE_TTL_MAX, OUTBOX_ITEMS_MAX};
use undertone_protocol::log::FrontierItem;
use undertone_protocol::receipts::{Denial, Tick};
use undertone_protocol::time::Timestamp;

use super::circle::Circle;
use super::context::Context;
use super::looks::{Again, Look, What};
use super::{acknowledged, membership, outgoing, own, pairwise};
use crate::store::{Acknowledged, Contact, Delivery, Failure, OutboxState, PendingItem, Purpose, StoreError};

/// An entry that was sealed less than this ago may still be on its way.
const GRACE: Duration = Duration::from_secs(30);

/// Messages that are looked at in one transaction.
pub(super) const LOOK_DELIVERIES_MAX: usize = 256;

/// A device acknowledged later entries than this device's, with gaps between: what fell into them is sealed again.
pub(super) fn fill_gaps(
    ctx: &mut Context<'_>,
    device: &DeviceId,
    conversation: &ConversationId,
    ever: &Acknowledged,
) {
    let Some(held) = ever.delivered.get(&ctx.me.device).filter(|held| !held.ranges.is_empty()) else {
        return;
    };
    let next = held.seq.saturating_add(1);
    let again = Some(Again { from: next, at: None });
    let look = Look { next, through: held.last(), what: What::Lost(ctx.now), not_before: ctx.now, again };
    // One that is on its way goes further, or there is another one in a minute.
    ctx.agenda.looks.begin(device, conversation, look);
}

/// A device that acknowledged something at `spoke`, some time ago, still lacks entries that were sealed for it by then
/// and that a relay took: they are sealed again. False while another look at it is not over.
pub(super) fn fill_end(
    ctx: &mut Context<'_>,
    device: &DeviceId,
    conversation: &ConversationId,
    spoke: Timestamp,
) -> bool {
    begin(ctx, device, conversation, What::Lost(spoke.after(GRACE)))
}

/// A device can be reached that may have been left out: what was sealed without it is sealed again. False while another
/// look at it is not over.
pub(super) fn left_out(ctx: &mut Context<'_>, device: &DeviceId, conversation: &ConversationId) -> bool {
    begin(ctx, device, conversation, What::LeftOut)
}

fn begin(ctx: &mut Context<'_>, device: &DeviceId, conversation: &ConversationId, what: What) -> bool {
    ctx.agenda.looks.begin(device, conversation, whole(what, ctx.now))
}

/// A look at all.
const fn whole(what: What, now: Timestamp) -> Look {
    Look { next: 1, through: u64::MAX, what, not_before: now, again: None }
}

/// Seals again all that a device has not acknowledged, whoever else has read it, under a new sender key; but what was
/// refused waits for the user.
pub(super) fn all(ctx: &mut Context<'_>, contact: &Contact, device: &DeviceId) -> Result<(), StoreError> {
    look_at_all(ctx, contact, device, true)
}

/// The same, but they are sealed with whatever is sealed next.
pub(super) fn unseal_all(
    ctx: &mut Context<'_>,
    contact: &Contact,
    device: &DeviceId,
) -> Result<(), StoreError> {
    look_at_all(ctx, contact, device, false)
}

fn look_at_all(
    ctx: &mut Context<'_>,
    contact: &Contact,
    device: &DeviceId,
    at_once: bool,
) -> Result<(), StoreError> {
    let mut conversations = ctx.tx.groups_of(&contact.user)?;
    // Who is out of one has no part in what is said there, and makes nobody renew a key for it.
    conversations.retain(|group| ctx.groups.view(group).is_some_and(|view| view.is_in(&contact.user)));
    conversations.push(ctx.me.direct(&contact.user));
    let what = What::All { through_id: ctx.tx.outbox_last()?, at_once };
    for conversation in conversations {
        ctx.agenda.looks.put((*device, conversation), whole(what, ctx.now));
        renew_key(ctx, &conversation)?;
        if at_once {
            ctx.agenda.seal.insert(conversation);
        }
    }
    Ok(())
}

/// Goes on with the looks, of so many messages at a time that no transaction takes long: what is left comes next.
pub(super) fn look_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    let mut room = LOOK_DELIVERIES_MAX;
    for which in ctx.agenda.looks.due(ctx.now) {
        if room == 0 {
            break;
        }
        let Some(mut look) = ctx.agenda.looks.take(&which) else { continue };
        if !go_on(ctx, &which, &mut look, &mut room)? {
            ctx.agenda.looks.put(which, look);
        }
    }
    Ok(())
}

/// False: it is not over.
fn go_on(
    ctx: &mut Context<'_>,
    which: &(DeviceId, ConversationId),
    look: &mut Look,
    room: &mut usize,
) -> Result<bool, StoreError> {
    let (device, conversation) = which;
    let Some(circle) = Circle::of(ctx, conversation)?.filter(Circle::is_open) else { return Ok(true) };
    let person = match circle.user_of(ctx, device) {
        Some(user) => circle.person(ctx, &user)?,
        None => None,
    };
    let Some(person) = person.filter(|person| circle.authorised(ctx, person).contains(device)) else {
        return Ok(true);
    };
    if pairwise::reach(ctx, &person, &[*device])?.is_none() {
        // What goes again now would not get there.
        look.not_before = ctx.now.after(own::ARRIVAL);
        return Ok(false);
    }
    let theirs = match &circle {
        Circle::Direct(contact) => Recipient::Contact(Theirs::of(ctx, contact)?),
        Circle::Group(group) => {
            let Some(member) = ctx.tx.member(&group.id, &person.user)? else { return Ok(true) };
            look.next = look.next.max(member.from_seq);
            Recipient::Member
        }
    };
    let held = acknowledged::of(ctx.tx, conversation, device)?.delivered;
    let held = held.get(&ctx.me.device).cloned().unwrap_or_default();
    while *room > 0 {
        let Some(gap) = held.gap(look.next).filter(|gap| gap.from <= look.through) else {
            return Ok(look.ends());
        };
        let through = gap.through.min(look.through);
        let page = ctx.tx.deliveries_between(conversation, gap.from, through, *room)?;
        let is_last = page.len() < *room;
        *room = room.saturating_sub(page.len());
        for delivery in page {
            look.next = delivery.seq;
            if goes_again(ctx, (&circle, &person, &theirs), &delivery, device, look.what)? {
                if let Err(at) = ctx.agenda.looks.count(device, ctx.now) {
                    look.not_before = at;
                    return Ok(false);
                }
                again(ctx, delivery)?;
                if !matches!(look.what, What::All { at_once: false, .. }) {
                    ctx.agenda.seal.insert(*conversation);
                }
            } else if let Some(until) = young_until(ctx, &delivery)? {
                look.note_young(until);
            }
            look.next = look.next.saturating_add(1);
        }
        if is_last {
            let Some(next) = through.checked_add(1) else { return Ok(look.ends()) };
            look.next = next;
        }
    }
    Ok(false)
}

/// Whether a message must go again to a device.
fn goes_again(
    ctx: &Context<'_>,
    (circle, person, recipient): (&Circle, &Contact, &Recipient),
    delivery: &Delivery,
    device: &DeviceId,
    what: What,
) -> Result<bool, StoreError> {
    let Some(stored) = ctx.tx.entry(&delivery.entry)?.filter(|stored| !stored.entry.body.is_gone()) else {
        return Ok(false);
    };
    let purpose = Purpose::Entry(delivery.entry);
    let items = ctx.tx.outbox_heads_of(&purpose)?;
    let states = ctx.tx.outbox_of_to(&purpose, device)?;
    match recipient {
        // It was not among those for whom it was sealed: nothing was known of it then.
        Recipient::Member if delivery.sealed && states.is_empty() => {
            let is_for = membership::is_for(ctx, circle, person, &stored.entry)?;
            return Ok(is_for && !is_refused(delivery) && is_young(ctx, delivery)?);
        }
        Recipient::Contact(theirs) if items.is_empty() => {
            return match what {
                What::Lost(moment) => Ok(theirs.lack(delivery) && is_older_if_failed(ctx, delivery, moment)?),
                What::All { .. } => Ok(theirs.lack(delivery)),
                What::LeftOut => Ok(false),
            };
        }
        Recipient::Member | Recipient::Contact(_) => {}
    }
    let owes = |so_far: fn(OutboxState) -> bool| states.iter().any(|(_, state)| so_far(*state));
    Ok(match what {
        What::Lost(moment) => {
            items.iter().all(|item| is_old(item.created, moment, ctx.now))
                && owes(|state| {
                    matches!(state, OutboxState::Custody { .. } | OutboxState::Failed | OutboxState::LeftOut)
                })
        }
        What::All { through_id, .. } => {
            items.iter().any(|item| item.id <= through_id)
                && !is_refused(delivery)
                && owes(|state| state != OutboxState::Acknowledged)
        }
        // Of a member it may be that only the way to them as a contact was shut.
        What::LeftOut if matches!(recipient, Recipient::Member) => {
            owes(|state| matches!(state, OutboxState::LeftOut | OutboxState::Failed))
        }
        What::LeftOut => owes(|state| state == OutboxState::LeftOut),
    })
}

/// Until when a message may still be on its way, if it was sealed a moment ago.
fn young_until(ctx: &Context<'_>, delivery: &Delivery) -> Result<Option<Timestamp>, StoreError> {
    let items = ctx.tx.outbox_heads_of(&Purpose::Entry(delivery.entry))?;
    let sealed = items.iter().map(|item| item.created.min(ctx.now)).max();
    Ok(sealed.map(|sealed| sealed.after(GRACE)).filter(|until| *until > ctx.now))
}

/// Whether a message is not so old that a relay would have dropped it.
fn is_young(ctx: &Context<'_>, delivery: &Delivery) -> Result<bool, StoreError> {
    let stored = ctx.tx.entry(&delivery.entry)?;
    Ok(stored.is_some_and(|stored| ctx.now.since(stored.received) < ENVELOPE_TTL_MAX))
}

/// To whom something may have to go again.
enum Recipient {
    /// A contact, by all that is known of their devices.
    Contact(Theirs),
    /// A member of a group, for whom this device keeps what is for them until they have it.
    Member,
}

/// Takes messages out of the outbox that no relay has yet. All that nobody read is sealed again, as it can have been
/// sealed under a key that goes with them; what was refused waits for the user, and goes to nobody meanwhile.
pub(super) fn call_back(ctx: &mut Context<'_>, conversation: &ConversationId) -> Result<(), StoreError> {
    let mut called_back = false;
    for item in ctx.tx.outbox_pending(0, OUTBOX_ITEMS_MAX)? {
        let (Purpose::Entry(entry) | Purpose::Key(entry)) = item.purpose else { continue };
        let delivery = ctx.tx.delivery(&entry)?;
        if delivery.is_some_and(|delivery| delivery.conversation == *conversation) {
            give_up(ctx, &item)?;
            outgoing::drop_keys_of_acknowledged(ctx, &entry)?;
            called_back = true;
        }
    }
    if !called_back {
        return Ok(());
    }
    for delivery in ctx.tx.deliveries_unread(conversation)? {
        if !is_refused(&delivery) && !ctx.tx.outbox_heads_of(&Purpose::Entry(delivery.entry))?.is_empty() {
            again(ctx, delivery)?;
        }
    }
    renew_key(ctx, conversation)
}

/// A message that only now gets to a relay was sealed long ago: it is sealed anew, as its key may be dropped before it
/// is fetched. So is all that nobody read, which can stand on keys that went with it. What was refused goes as it is.
pub(super) fn anew(ctx: &mut Context<'_>, entry: &EntryId) -> Result<(), StoreError> {
    let may_go = |delivery: &Delivery| delivery.sealed && !is_refused(delivery);
    let Some(delivery) = ctx.tx.delivery(entry)?.filter(may_go) else { return Ok(()) };
    let conversation = delivery.conversation;
    again(ctx, delivery)?;
    for delivery in ctx.tx.deliveries_unread(&conversation)? {
        if may_go(&delivery) && !ctx.tx.outbox_heads_of(&Purpose::Entry(delivery.entry))?.is_empty() {
            again(ctx, delivery)?;
        }
    }
    ctx.agenda.seal.insert(conversation);
    Ok(())
}

/// What no relay has yet is not tried again. A device that lacks it then is sent it anew when it says so.
fn give_up(ctx: &mut Context<'_>, item: &PendingItem) -> Result<(), StoreError> {
    let states: Vec<_> = item.recipients.iter().map(|to| (to.device, OutboxState::Failed)).collect();
    ctx.tx.set_outbox_recipients(item.id, &states)
}

/// Whether somebody did not want it. A relay that did not know the epoch's tokens is no such thing.
fn is_refused(delivery: &Delivery) -> bool {
    match delivery.failed {
        Some(Failure::Denied(denial)) => denial != Denial::Epoch,
        Some(Failure::TooLarge { .. } | Failure::Copied) => true,
        Some(Failure::Expired | Failure::Unreachable) | None => false,
    }
}

/// Whether something was made some time before a moment, or by a clock that was ahead.
fn is_old(made: Timestamp, moment: Timestamp, now: Timestamp) -> bool {
    moment.since(made) >= GRACE || made > now
}

/// Of a message that expired and was dropped: whether it is older than what a device said some time before `moment`.
fn is_older_if_failed(ctx: &Context<'_>, delivery: &Delivery, moment: Timestamp) -> Result<bool, StoreError> {
    if delivery.failed.is_none() {
        return Ok(true);
    }
    let stored = ctx.tx.entry(&delivery.entry)?;
    Ok(stored.is_some_and(|stored| is_old(stored.received, moment, ctx.now)))
}

/// What is known of a contact's devices that are left.
struct Theirs {
    /// What each holds of this device's entries.
    held: Vec<FrontierItem>,
    /// Whether they are who they were: none began anew, and what all of them lack is not what was before them.
    were_there: bool,
    /// An introduction to them is on its way.
    introducing: bool,
}

impl Theirs {
    fn of(ctx: &Context<'_>, contact: &Contact) -> Result<Self, StoreError> {
        let conversation = ctx.me.direct(&contact.user);
        let mut held = Vec::new();
        for certificate in contact.device_list.iter().flat_map(|list| list.active()) {
            let ever = acknowledged::of(ctx.tx, &conversation, &certificate.device)?;
            held.extend(ever.delivered.get(&ctx.me.device).cloned());
        }
        // Whoever began anew lacks all from before, and is not sent that; but devices that were added lack what only those
        // had that were revoked since.
        let were_there = held.iter().any(|item| item.seq > 0 || (!contact.reinstalled && item.last() > 0));
        let introducing = !ctx.tx.outbox_heads_of(&Purpose::Introduction(contact.user))?.is_empty();
        Ok(Self { held, were_there, introducing })
    }

    /// Whether all of them lack an entry that no outbox item tells of: it went along with a request, or it expired for
    /// all but a device that was revoked since.
    fn lack(&self, delivery: &Delivery) -> bool {
        let is_held = self.held.iter().any(|item| item.covers(delivery.seq));
        let is_on_its_way = !delivery.sealed || self.introducing;
        !is_on_its_way
            && !is_refused(delivery)
            && (delivery.tick < Tick::Delivered || (self.were_there && !is_held))
    }
}

/// Takes the sealed bytes out, so that the entry is sealed anew.
pub(super) fn again(ctx: &mut Context<'_>, mut delivery: Delivery) -> Result<(), StoreError> {
    if delivery.is_void() {
        return Ok(());
    }
    for purpose in [Purpose::Entry(delivery.entry), Purpose::Key(delivery.entry)] {
        for item in ctx.tx.outbox_heads_of(&purpose)? {
            ctx.tx.delete_outbox(item.id)?;
        }
    }
    tracing::trace!(me = ctx.me.device.short(), entry = ?delivery.entry, "is to be sealed again");
    delivery.sealed = false;
    delivery.failed = None;
    ctx.tx.put_delivery(&delivery)?;
    // The key that went with it is gone too.
    renew_key(ctx, &delivery.conversation)
}

/// The next message gets a new sender key.
pub(super) fn renew_key(ctx: &mut Context<'_>, conversation: &ConversationId) -> Result<(), StoreError> {
    match ctx.tx.sender_key(conversation)? {
        Some(mut key) if !key.turned => {
            key.turned = true;
            ctx.tx.put_sender_key(&key)
        }
        _ => Ok(()),
    }
}
