//! Wedged sessions: a device that can't decrypt opens a fresh Olm session and says so; the other side
//! sends again what is not acknowledged.

use std::collections::BTreeMap;
use std::time::Duration;

use undertone_protocol::ids::{DeviceId, UserId};
use undertone_protocol::keys::DeliveryGrant;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, pairwise::Body};

use super::context::Context;
use super::{acknowledging, groups, outgoing, own, pairwise, resend, routes};
use crate::store::{Contact, ContactState, OutboxHead, OutboxState, Purpose, StoreError};

/// A device is asked, and answered, at most once in this time: two wedged sides must not set each other off.
const EVERY: Duration = Duration::from_secs(60);

/// Something from a device of a contact could not be decrypted: a fresh session, and a retry receipt on it.
pub(super) fn wedged(ctx: &mut Context<'_>, user: &UserId, device: &DeviceId) -> Result<(), StoreError> {
    let Some(contact) = spoken_to(ctx, user)? else { return Ok(()) };
    // What was revoked is told nothing more.
    if contact.device_list.as_ref().is_some_and(|list| list.has_revoked(device)) {
        return Ok(());
    }
    if contact.user == ctx.me.user {
        acknowledging::tell_new_device(ctx, user)?;
    }
    // Nor is one of somebody who is out of the groups that they were met in: there is no way to it.
    let is_reached = |grants: Vec<DeliveryGrant>| grants.iter().any(|grant| grant.device == *device);
    if contact.state == ContactState::Member && !is_reached(routes::grants_of(ctx, None, user)?) {
        return Ok(());
    }
    if is_asking(ctx, user, device)? {
        return Ok(());
    }
    if !pairwise::renew_session(ctx, device)? {
        return Ok(());
    }
    let body = Body::Retry(wire::Empty {});
    let Some(payload) = pairwise::seal(ctx, &contact, device, body, None)? else { return Ok(()) };
    // Too early, it waits in the outbox, where no crash forgets it.
    let asked = ctx.agenda.asked_to_retry.get(device).copied();
    let not_before = asked.map_or(ctx.now, |at| at.after(EVERY).max(ctx.now));
    ctx.agenda.asked_to_retry.insert(*device, not_before);
    tracing::info!(device = %device.short(), "renewing a wedged session");
    outgoing::put_for_later(ctx, user, device, Purpose::Retry(*user), payload, not_before)?;
    // It may have been their retry receipt: what is said in answer to one is said, and shows what is missing.
    acknowledging::make_all_due(ctx, user)
}

/// Whether a retry receipt waits that can't have reached the device yet: its answer will be for all that came
/// before.
fn is_asking(ctx: &Context<'_>, user: &UserId, device: &DeviceId) -> Result<bool, StoreError> {
    let waiting = ctx.tx.outbox_of(&Purpose::Retry(*user))?;
    let mut recipients = waiting.iter().flat_map(|item| &item.recipients);
    Ok(recipients.any(|recipient| {
        let later = |state| match state {
            OutboxState::Pending { not_before, .. } => {
                not_before > ctx.now && not_before <= ctx.now.after(EVERY)
            }
            _ => false,
        };
        recipient.device == *device && later(recipient.state)
    }))
}

/// A relay refused a retry receipt. Somebody who does not want it as a contact may lack what was said in a group: it goes
/// by one that both are in.
pub(super) fn refused(ctx: &mut Context<'_>, item: &OutboxHead, user: &UserId) -> Result<(), StoreError> {
    let refused = ctx.tx.outbox(item.id)?;
    ctx.tx.delete_outbox(item.id)?;
    let Some(refused) = refused else { return Ok(()) };
    for to in refused.recipients.iter().filter(|to| to.state == OutboxState::Failed) {
        for group in ctx.tx.groups_of(user)? {
            let grants = ctx.tx.member(&group, user)?.map(|member| member.grants).unwrap_or_default();
            if grants.iter().any(|grant| grant.device == to.device) {
                let (purpose, payload) = (Purpose::Group(group), refused.payload.clone());
                outgoing::put_for_later(ctx, user, &to.device, purpose, payload, ctx.now)?;
                break;
            }
        }
    }
    Ok(())
}

/// A device says that it could not read something of ours: messages go again, and so does our acknowledgement.
pub(super) fn retry(ctx: &mut Context<'_>, user: &UserId, device: &DeviceId) -> Result<(), StoreError> {
    let Some(contact) = spoken_to(ctx, user)? else { return Ok(()) };
    let answered = ctx.agenda.retried.get(device).copied();
    if let Some(at) = answered.filter(|at| ctx.now.since(*at) < EVERY) {
        // What is not sealed is sealed after a crash at the latest. The acknowledgement is small: it goes at once.
        resend::unseal_all(ctx, &contact, device)?;
        ctx.agenda.retry_again.insert(*device, (*user, at.after(EVERY)));
        return acknowledging::make_all_due(ctx, user);
    }
    ctx.agenda.retried.insert(*device, ctx.now);
    if own::is_me(ctx, &contact) {
        // Each says what it holds of every conversation, and gets what it lacks.
        return acknowledging::tell_new_device(ctx, user);
    }
    resend::all(ctx, &contact, device)?;
    groups::welcome_again(ctx, user)?;
    acknowledging::make_all_due(ctx, user)
}

/// Answers what it was too early for.
pub(super) fn due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for (device, user) in take_due(&mut ctx.agenda.retry_again, ctx.now) {
        retry(ctx, &user, &device)?;
    }
    Ok(())
}

fn take_due(
    waiting: &mut BTreeMap<DeviceId, (UserId, Timestamp)>,
    now: Timestamp,
) -> Vec<(DeviceId, UserId)> {
    let is_due = waiting.iter().filter(|(_, (_, at))| *at <= now);
    let due: Vec<(DeviceId, UserId)> = is_due.map(|(device, (user, _))| (*device, *user)).collect();
    for (device, _) in &due {
        waiting.remove(device);
    }
    due
}

/// Somebody with whom something is said: a contact, or a member of a group.
fn spoken_to(ctx: &Context<'_>, user: &UserId) -> Result<Option<Contact>, StoreError> {
    let contact = ctx.tx.contact(user)?;
    let is_member = !ctx.tx.groups_of(user)?.is_empty();
    Ok(contact.filter(|contact| contact.state == ContactState::Accepted || is_member))
}
