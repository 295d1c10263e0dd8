//! First contact: what this device says of itself, in requests and accepts.

use std::time::Duration;

use undertone_protocol::codec::Signed;
use undertone_protocol::entry::Content;
use undertone_protocol::ids::{DeviceId, Handle, UserId};
use undertone_protocol::keys::{Introduction, IntroductionFields, IntroductionKind};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, pairwise::Body};

use super::context::Context;
use super::outgoing::{self, NO_GROUP};
use super::{addresses, pairwise};
use crate::store::{Contact, ContactState, Purpose, StoreError};

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
pub(super) fn drop_held(ctx: &mut Context<'_>, user: &UserId) -> Result<(), StoreError> {
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
        issued: issued(ctx)?,
    };
    Ok(Introduction::issue(&ctx.me.key, fields).signed)
}

/// When an introduction counts as issued that is made now: later than all that this device made, as its latest counts,
/// whatever its clock was then.
pub(super) fn issued(ctx: &mut Context<'_>) -> Result<Timestamp, StoreError> {
    let last = ctx.tx.introduced()?;
    let issued = last.map_or(ctx.now, |last| ctx.now.max(last.after(Duration::from_millis(1))));
    ctx.tx.put_introduced(issued)?;
    Ok(issued)
}

/// An accept must go out to this contact.
pub(super) fn answer(ctx: &mut Context<'_>, contact: &mut Contact) {
    contact.introduction_due = true;
    ctx.agenda.introduce.insert(contact.user);
    ctx.agenda.fetch.insert(contact.user);
}

#[cfg(test)]
mod tests;
