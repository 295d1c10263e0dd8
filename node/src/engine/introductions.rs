//! First contact: requests and accepts that come.

use std::collections::BTreeSet;

use undertone_protocol::ids::{DeviceId, Handle, UserId};
use undertone_protocol::keys::{Introduction, IntroductionFields, IntroductionKind, ListVerdict};
use undertone_protocol::limits::REQUESTS_MAX;
use undertone_protocol::receipts::Tick;
use undertone_protocol::time::Timestamp;

use super::addresses::Changes;
use super::agenda::{Kept, Side};
use super::context::Context;
use super::outgoing::{self};
use super::pairwise::Refusal;
use super::{
    acknowledging, addresses, groups, history, introducing, lists, membership, names, own, own_list, resend,
    views,
};
use crate::event::Event;
use crate::store::{Contact, ContactState, OutboxState, Purpose, StoreError};

/// Why an introduction is not taken.
pub(super) enum NotTaken {
    /// It is a request, and too many wait for the user already; or it is of somebody who may be a member of a group.
    Later(Kept),
    /// It is not allowed.
    Refused(Refusal),
}

impl From<Refusal> for NotTaken {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Lets an introduction in, or says why not.
pub(super) fn admit(
    ctx: &mut Context<'_>,
    introduction: &Introduction,
) -> Result<Result<(), NotTaken>, StoreError> {
    let fields = &introduction.fields;
    let user = fields.certificate.user;
    if user == ctx.me.user {
        return Ok(admit_sibling(ctx, fields)?.map_err(NotTaken::from));
    }
    match (ctx.tx.contact(&user)?, fields.kind) {
        (known, IntroductionKind::Member { group }) => {
            let is_taken = groups::admit_introduction(ctx, known, fields, &group)?;
            return Ok(if is_taken { Ok(()) } else { Err(NotTaken::Later(Kept::Member)) });
        }
        (Some(contact), IntroductionKind::Request { invitation })
            if contact.state == ContactState::Member =>
        {
            return first(ctx, Some(contact), fields, &invitation);
        }
        (Some(contact), kind) => again(ctx, contact, fields, kind)?,
        (None, IntroductionKind::Request { invitation }) => {
            return first(ctx, None, fields, &invitation);
        }
        (None, IntroductionKind::Accept | IntroductionKind::Link) => {
            return Ok(Err("an accept of nothing that we asked".to_owned().into()));
        }
    }
    Ok(Ok(()))
}

/// Another device of this user says how to reach it, and the others as far as it knows them. One that speaks for the
/// first time, or that this one could not reach before, is told how to reach this one.
fn admit_sibling(
    ctx: &mut Context<'_>,
    fields: &IntroductionFields,
) -> Result<Result<(), String>, StoreError> {
    let device = fields.certificate.device;
    own_list::take(ctx, &fields.device_list)?;
    let Some(mut own) = own::own_contact(ctx)? else { return Ok(Err("no devices are kept".to_owned())) };
    let listed = own.device_list.as_ref().is_some_and(|list| list.active_device(&device).is_some());
    if !listed || device == ctx.me.device {
        return Ok(Err("it is no other active device of this user".to_owned()));
    }
    let is_first = !own.has_introduced(&device);
    let reached = own.reached();
    let Changes { gone, .. } = addresses::take(ctx, &mut own, fields);
    for (device, relay) in &gone {
        outgoing::not_fetched(ctx, device, relay)?;
        history::look_at_device(ctx, device);
    }
    if is_first || !gone.is_empty() || !own.reached().is_subset(&reached) {
        introducing::answer(ctx, &mut own);
    }
    ctx.tx.put_contact(&own)?;
    ctx.agenda.publish = true;
    // What the other device lacks shows in its acknowledgements, and it learns what this one lacks.
    acknowledging::make_own_due(ctx, &ctx.me.direct(&ctx.me.user))?;
    Ok(Ok(()))
}

/// Somebody new. The device decides by its own clock and counter, whatever the relay let pass.
fn first(
    ctx: &mut Context<'_>,
    member: Option<Contact>,
    fields: &IntroductionFields,
    invitation: &Handle,
) -> Result<Result<(), NotTaken>, StoreError> {
    let user = fields.certificate.user;
    let Some(mut invitation) = ctx.tx.invitation(invitation)? else {
        return Ok(Err("a request by an invitation that we don't have (any more)".to_owned().into()));
    };
    // One that came before, in time, and was kept.
    let is_counted = invitation.used_by.contains(&user);
    let used_up = invitation.used_by.len() >= usize::try_from(invitation.uses_max).unwrap_or(usize::MAX);
    if !is_counted && (invitation.not_after < ctx.now || used_up) {
        return Ok(Err("a request by an invitation that is over".to_owned().into()));
    }
    if !is_counted {
        invitation.used_by.push(user);
        ctx.tx.put_invitation(&invitation)?;
    }
    let contacts = ctx.tx.contacts()?;
    if room_among(&contacts) == 0 {
        return Ok(Err(NotTaken::Later(Kept::Request)));
    }
    let mut contact = match member {
        Some(member) => {
            let name = names::as_said(ctx.tx, &member, &fields.name)?;
            Contact { state: ContactState::Requested, name, ..member }
        }
        None => {
            let name = names::unique_name(ctx.tx, &fields.name, &user)?;
            names::stranger(ctx, user, name, ContactState::Requested)
        }
    };
    contact.invitation = Some(invitation.handle);
    update(ctx, &mut contact, fields)?;
    ctx.tx.put_contact(&contact)?;
    ctx.agenda.changed.insert(user);
    ctx.agenda.directory.insert(ctx.me.direct(&user), Side::User(user));
    Ok(Ok(()))
}

/// How many more requests may wait for the user.
pub(super) fn room(ctx: &Context<'_>) -> Result<usize, StoreError> {
    Ok(room_among(&ctx.tx.contacts()?))
}

fn room_among(contacts: &[Contact]) -> usize {
    let waiting = contacts.iter().filter(|contact| contact.state == ContactState::Requested).count();
    REQUESTS_MAX.saturating_sub(waiting)
}

/// A request may wait no more: one of those that are kept may come in its place.
pub(super) fn answered(ctx: &mut Context<'_>) {
    ctx.agenda.quarantine |= ctx.agenda.kept(Kept::Request) > 0;
}

/// Somebody known says how to reach them, and maybe more.
fn again(
    ctx: &mut Context<'_>,
    mut contact: Contact,
    fields: &IntroductionFields,
    kind: IntroductionKind,
) -> Result<(), StoreError> {
    let device = fields.certificate.device;
    let doubted = ctx.agenda.doubted.get(&device).copied();
    let newest = contact.introduced_by(&device).max(doubted.unwrap_or(Timestamp::ZERO));
    if fields.issued >= newest {
        ctx.agenda.doubted.remove(&device);
        update(ctx, &mut contact, fields)?;
    }
    match (contact.state, kind) {
        (ContactState::Requesting, IntroductionKind::Accept) => accepted(ctx, &mut contact)?,
        // Two crossing requests accept each other.
        (ContactState::Requesting, IntroductionKind::Request { .. }) => {
            introducing::answer(ctx, &mut contact);
            accepted(ctx, &mut contact)?;
        }
        // They don't know yet that we accepted, or began anew by another link.
        (ContactState::Accepted, IntroductionKind::Request { invitation }) => {
            introducing::answer(ctx, &mut contact);
            note_link(ctx, &mut contact, invitation)?;
            note_asking(ctx, &mut contact, invitation)?;
        }
        (ContactState::Accepted, IntroductionKind::Accept)
        | (
            ContactState::Requested
            | ContactState::Declined
            | ContactState::Member
            | ContactState::Blocked(_),
            _,
        )
        | (_, IntroductionKind::Link | IntroductionKind::Member { .. }) => {}
    }
    ctx.tx.put_contact(&contact)
}

/// A contact came by a link that this user gave, and forgot with it what other devices said before: these are told, and
/// introduce themselves anew.
fn note_link(ctx: &mut Context<'_>, contact: &mut Contact, link: Handle) -> Result<(), StoreError> {
    if contact.invitation != Some(link) && ctx.tx.invitation(&link)?.is_some() {
        contact.invitation = Some(link);
        ctx.agenda.changed.insert(contact.user);
    }
    Ok(())
}

/// A contact asks to be let into a group, by a link of it. By one that is over, or of a group that they are in, they ask for
/// nothing.
fn note_asking(ctx: &mut Context<'_>, contact: &mut Contact, link: Handle) -> Result<(), StoreError> {
    let before = contact.asks_by;
    contact.asks_by = membership::group_of(ctx, &link, &contact.user)?.map(|_| link);
    if contact.asks_by.is_some() && contact.asks_by != before {
        let view = views::contact(ctx, contact)?;
        ctx.events.push(Event::Request { contact: view });
    }
    Ok(())
}

fn update(
    ctx: &mut Context<'_>,
    contact: &mut Contact,
    fields: &IntroductionFields,
) -> Result<(), StoreError> {
    let verdict = lists::take_list(ctx, contact, &fields.device_list)?;
    if verdict == ListVerdict::Reset {
        contact.reset_by = Some(fields.certificate.device);
        ctx.agenda.introduce.insert(contact.user);
    }
    ctx.agenda.note_device(fields.certificate.device, contact.user);
    let changes = addresses::take(ctx, contact, fields);
    // A stranger must not make us dial relays of their choice: not before the user accepts.
    if matches!(contact.state, ContactState::Requesting | ContactState::Accepted) {
        ctx.agenda.fetch.insert(contact.user);
    }
    ctx.agenda.publish = true;
    if changes.any {
        ctx.agenda.changed.insert(contact.user);
    }
    if contact.state == ContactState::Accepted { moved(ctx, contact, &changes) } else { Ok(()) }
}

/// A contact has other mailboxes, or gave other tokens. Their earlier tokens may have been refused already, with anything
/// that was on its way; and what a relay holds where a device has no mailbox any more may never be fetched: it goes again.
pub(super) fn moved(
    ctx: &mut Context<'_>,
    contact: &mut Contact,
    changes: &Changes,
) -> Result<(), StoreError> {
    let Changes { renewed, gone, .. } = changes;
    if renewed.is_empty() && gone.is_empty() {
        return Ok(());
    }
    let mut anew: BTreeSet<DeviceId> = renewed.iter().copied().collect();
    for (device, relay) in gone {
        outgoing::not_fetched(ctx, device, relay)?;
        if outgoing::any_message_to(ctx.tx, device, |state| state == OutboxState::Failed)? {
            anew.insert(*device);
        }
    }
    for device in &anew {
        resend::all(ctx, contact, device)?;
    }
    groups::introduce_again(ctx, &contact.user, &anew)?;
    // What this device said of itself may lie there too.
    let mut lost = contact.refused.take().is_some() || !gone.is_empty();
    for item in ctx.tx.outbox_heads_of(&Purpose::Introduction(contact.user))? {
        ctx.tx.delete_outbox(item.id)?;
        lost = true;
    }
    if lost {
        introducing::answer(ctx, contact);
    }
    acknowledging::make_due(ctx, &ctx.me.direct(&contact.user))
}

/// Both sides want to talk from here on: what waited for it goes on.
pub(super) fn accepted(ctx: &mut Context<'_>, contact: &mut Contact) -> Result<(), StoreError> {
    contact.state = ContactState::Accepted;
    // A group that they bring may have come already.
    ctx.agenda.quarantine = true;
    // What this device said of itself came to nothing; or it said nothing yet, as another device of the user asked.
    let has_spoken = !ctx.tx.outbox_heads_of(&Purpose::Introduction(contact.user))?.is_empty();
    if contact.refused.take().is_some() || !has_spoken {
        introducing::answer(ctx, contact);
    }
    ctx.tx.put_contact(contact)?;
    ctx.agenda.changed.insert(contact.user);
    introducing::drop_held(ctx, &contact.user)?;
    let conversation = ctx.me.direct(&contact.user);
    // A first text that went with a request may have been lost with it: it goes again, as a message.
    for mut delivery in ctx.tx.deliveries_unread(&conversation)? {
        let lost = delivery.sealed
            && delivery.tick < Tick::Delivered
            && ctx.tx.outbox_heads_of(&Purpose::Entry(delivery.entry))?.is_empty();
        if lost {
            delivery.sealed = false;
            ctx.tx.put_delivery(&delivery)?;
        }
    }
    ctx.agenda.seal.insert(conversation);
    ctx.agenda.fetch.insert(contact.user);
    ctx.agenda.receipts = true;
    let view = views::contact(ctx, contact)?;
    ctx.events.push(Event::Accepted { contact: view });
    Ok(())
}

/// Tells of a request that came, with the text that came along.
pub(super) fn announce(ctx: &mut Context<'_>, user: &UserId) -> Result<(), StoreError> {
    match ctx.tx.contact(user)? {
        Some(contact) if contact.state == ContactState::Requested => {
            let view = views::contact(ctx, &contact)?;
            ctx.events.push(Event::Request { contact: view });
            Ok(())
        }
        // What came with a request is acknowledged from the acceptance on.
        Some(contact) => acknowledging::make_due(ctx, &ctx.me.direct(&contact.user)),
        None => Ok(()),
    }
}
