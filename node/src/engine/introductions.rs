//! First contact: requests and accepts, both ways.

use std::collections::BTreeSet;

use undertone_protocol::codec::Signed;
use undertone_protocol::entry::Content;
use undertone_protocol::ids::{DeviceId, Handle, UserId};
use undertone_protocol::keys::{Introduction, IntroductionFields, IntroductionKind, ListVerdict};
use undertone_protocol::limits::REQUESTS_MAX;
use undertone_protocol::receipts::Tick;
use undertone_protocol::wire::{self, pairwise::Body};

use super::addresses::Changes;
use super::agenda::{Kept, Side};
use super::clock;
use super::context::Context;
use super::outgoing::{self, NO_GROUP};
use super::pairwise::Refusal;
use super::{
    acknowledging, addresses, groups, history, lists, membership, names, own, own_list, pairwise, resend,
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

/// Entries that wait, among which a text is looked for that goes with a request.
const FIRST_TEXT_AMONG: usize = 16;

/// Seals the introductions that are due and whose recipients' bundles are there.
pub(super) fn seal_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for user in std::mem::take(&mut ctx.agenda.introduce) {
        let Some(mut contact) = ctx.tx.contact(&user)? else { continue };
        if contact.reset_by.is_some() {
            answer_reset(ctx, &mut contact)?;
        }
        let Some(kind) = kind(&contact).filter(|_| contact.introduction_due) else { continue };
        let mut devices: Vec<DeviceId> = contact.bundles.iter().map(|access| access.device).collect();
        devices.dedup();
        let listed = contact.device_list.as_ref();
        // One that started anew is listed by nobody yet.
        devices.retain(|device| listed.is_none_or(|list| !list.has_revoked(device)));
        let Some(reachable) = pairwise::reach(ctx, &contact, &devices)? else { continue };
        drop_held(ctx, &user)?;
        let body = first_text(ctx, &contact)?;
        for device in reachable {
            seal(ctx, &contact, &device, kind, body.clone())?;
        }
        contact.introduction_due = false;
        contact.join_by = None;
        ctx.tx.put_contact(&contact)?;
        ctx.agenda.publish = true;
    }
    Ok(())
}

/// A request that a relay holds is kept to see whether it is answered: now it is, or another one follows it.
fn drop_held(ctx: &mut Context<'_>, user: &UserId) -> Result<(), StoreError> {
    for item in ctx.tx.outbox_heads_of(&Purpose::Introduction(*user))? {
        if !item.counts.is_pending() {
            ctx.tx.delete_outbox(item.id)?;
        }
    }
    Ok(())
}

/// Somebody who started anew gets the list from before back, to sign above it.
fn answer_reset(ctx: &mut Context<'_>, contact: &mut Contact) -> Result<(), StoreError> {
    let (Some(device), Some(list)) = (contact.reset_by, contact.device_list.clone()) else { return Ok(()) };
    if pairwise::reach(ctx, contact, &[device])?.is_none() {
        return Ok(());
    }
    let body = Body::DeviceList(list.signed.to_wire());
    let Some(payload) = pairwise::seal(ctx, contact, &device, body, None)? else { return Ok(()) };
    let purpose = Purpose::DeviceList(contact.user);
    outgoing::put(ctx, &contact.user, &[device], purpose, NO_GROUP, payload)?;
    contact.reset_by = None;
    ctx.tx.put_contact(contact)
}

/// What goes along: with a request, the first text that waits.
fn first_text(ctx: &mut Context<'_>, contact: &Contact) -> Result<Body, StoreError> {
    let nothing = Body::Nothing(wire::Empty {});
    if contact.state != ContactState::Requesting {
        return Ok(nothing);
    }
    for mut delivery in ctx.tx.deliveries_unsealed(&ctx.me.direct(&contact.user), FIRST_TEXT_AMONG)? {
        let Some(stored) = ctx.tx.entry(&delivery.entry)? else { continue };
        if let Content::Text(_) = stored.entry.body.content {
            delivery.sealed = true;
            ctx.tx.put_delivery(&delivery)?;
            return Ok(Body::Entry(stored.entry.to_wire()));
        }
    }
    Ok(nothing)
}

/// What is said to them, if anything is: who was declined or blocked is told nothing.
fn kind(contact: &Contact) -> Option<IntroductionKind> {
    match contact.state {
        ContactState::Requesting => {
            Some(IntroductionKind::Request { invitation: contact.invitation.unwrap_or(Handle::new([0; 8])) })
        }
        // A contact who has a group that the user wants to be let into.
        ContactState::Accepted => Some(match contact.join_by {
            Some(link) => IntroductionKind::Request { invitation: link },
            None => IntroductionKind::Accept,
        }),
        ContactState::Requested
        | ContactState::Declined
        | ContactState::Member
        | ContactState::Blocked(_) => None,
    }
}

fn seal(
    ctx: &mut Context<'_>,
    contact: &Contact,
    device: &DeviceId,
    kind: IntroductionKind,
    body: Body,
) -> Result<(), StoreError> {
    let introduction = introduction(ctx, contact, device, kind)?;
    let Some(payload) = pairwise::seal(ctx, contact, device, body, Some(introduction))? else {
        return Ok(());
    };
    outgoing::put(ctx, &contact.user, &[*device], Purpose::Introduction(contact.user), NO_GROUP, payload)
}

fn introduction(
    ctx: &mut Context<'_>,
    contact: &Contact,
    device: &DeviceId,
    kind: IntroductionKind,
) -> Result<Signed, StoreError> {
    let account = &ctx.me.account;
    let (bundles, grants) = addresses::own_addresses(ctx, contact, device)?;
    let fields = IntroductionFields {
        kind,
        recipient_user: contact.user,
        recipient_device: *device,
        certificate: account.certificate.clone(),
        device_list: account.device_list.clone(),
        bundles,
        grants,
        name: account.name.clone(),
        issued: ctx.now,
    };
    Ok(Introduction::issue(&ctx.me.key, fields).signed)
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
        answer(ctx, &mut own);
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
    if clock::believed(fields.issued, ctx.now) >= clock::believed(contact.introduced_by(&device), ctx.now) {
        update(ctx, &mut contact, fields)?;
    }
    match (contact.state, kind) {
        (ContactState::Requesting, IntroductionKind::Accept) => accepted(ctx, &mut contact)?,
        // Two crossing requests accept each other.
        (ContactState::Requesting, IntroductionKind::Request { .. }) => {
            answer(ctx, &mut contact);
            accepted(ctx, &mut contact)?;
        }
        // They don't know yet that we accepted, or began anew by another link.
        (ContactState::Accepted, IntroductionKind::Request { invitation }) => {
            answer(ctx, &mut contact);
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
        answer(ctx, contact);
    }
    acknowledging::make_due(ctx, &ctx.me.direct(&contact.user))
}

/// An accept must go out to this contact.
pub(super) fn answer(ctx: &mut Context<'_>, contact: &mut Contact) {
    contact.introduction_due = true;
    ctx.agenda.introduce.insert(contact.user);
    ctx.agenda.fetch.insert(contact.user);
}

/// Both sides want to talk from here on: what waited for it goes on.
pub(super) fn accepted(ctx: &mut Context<'_>, contact: &mut Contact) -> Result<(), StoreError> {
    contact.state = ContactState::Accepted;
    // A group that they bring may have come already.
    ctx.agenda.quarantine = true;
    // What this device said of itself came to nothing.
    if contact.refused.take().is_some() {
        answer(ctx, contact);
    }
    ctx.tx.put_contact(contact)?;
    ctx.agenda.changed.insert(contact.user);
    drop_held(ctx, &contact.user)?;
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
