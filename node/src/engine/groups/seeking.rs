//! Members whom this device can't reach, or who can't reach it: whoever may know is asked.

use std::time::Duration;

use undertone_protocol::ids::{ConversationId, DeviceId, UserId};
use undertone_protocol::keys::DeliveryGrant;
use undertone_protocol::limits::UPDATE_WANTS_MAX;
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::TokenGrant;

use crate::engine::agenda::Shown;
use crate::engine::circle::Circle;
use crate::engine::context::Context;
use crate::engine::refusals::Standing;
use crate::engine::{group_acknowledging, own};
use crate::store::{Contact, Member, StoreError};

/// Members who are not heard of are sought after so long; then ever more rarely.
const SEEK: Duration = Duration::from_secs(30);
/// So often that time is doubled: to some 17 hours.
const SEEK_DOUBLINGS: u32 = 11;
/// What was refused so long ago says nothing of what is refused now.
const FORGIVEN: Duration = Duration::from_secs(24 * 3600);

/// How long to wait after so many tries.
fn pause(tries: u32) -> Duration {
    SEEK * (1 << tries.min(SEEK_DOUBLINGS))
}

/// When members of a group are looked for first.
pub(super) fn first(now: Timestamp) -> (Timestamp, u32) {
    (now.after(SEEK), 0)
}

/// Somebody in a group can't be reached: they are looked for, unless that is under way.
fn begin(ctx: &mut Context<'_>, group: &ConversationId) {
    let first = first(ctx.now);
    ctx.agenda.seek.entry(*group).or_insert(first);
}

/// Asks for members whom this device can't reach, where it is time: those who were added elsewhere at the same time as
/// this user don't know of them either.
pub(super) fn seek_due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    let due = ctx.agenda.seek.iter().filter(|(_, (at, _))| *at <= ctx.now);
    for (group, tries) in due.map(|(group, (_, tries))| (*group, *tries)).collect::<Vec<_>>() {
        ctx.agenda.seek.remove(&group);
        let Some(circle) = Circle::of(ctx, &group)?.filter(Circle::is_open) else { continue };
        let members = circle.members(ctx)?;
        let mut unknown: Vec<&Member> = Vec::new();
        for member in &members {
            if !can_reach(ctx, &circle, member)? {
                unknown.push(member);
            }
        }
        unknown.truncate(UPDATE_WANTS_MAX);
        if unknown.is_empty() {
            continue;
        }
        ctx.agenda.seek.insert(group, (ctx.now.after(pause(tries)), tries.saturating_add(1)));
        if let Some(device) = whom_to_ask(ctx, &circle, &members, tries)? {
            let wants = unknown.iter().map(|member| member.user);
            ctx.agenda.updates.entry((group, device)).or_default().wants.extend(wants);
        }
    }
    Ok(())
}

/// Whether each device of a member can be reached.
fn can_reach(ctx: &Context<'_>, circle: &Circle, member: &Member) -> Result<bool, StoreError> {
    let Some(contact) = ctx.tx.contact(&member.user)? else { return Ok(false) };
    let devices = circle.authorised(ctx, &contact);
    Ok(contact.device_list.is_some() && devices.len() == reached(ctx, member, &contact, devices).len())
}

/// Those of a member's devices for which a token is known that no relay refused just now.
fn reached(
    ctx: &Context<'_>,
    member: &Member,
    contact: &Contact,
    mut devices: Vec<DeviceId>,
) -> Vec<DeviceId> {
    let known = || member.grants.iter().chain(&contact.grants);
    let takes =
        |grant: &&DeliveryGrant| !matches!(ctx.agenda.refusals.standing(grant, ctx.now), Standing::Denied(_));
    devices.retain(|device| known().filter(takes).any(|grant| grant.device == *device));
    devices
}

/// Another own device, or one of some member who can be reached: another one each time.
fn whom_to_ask(
    ctx: &mut Context<'_>,
    circle: &Circle,
    members: &[Member],
    tries: u32,
) -> Result<Option<DeviceId>, StoreError> {
    let mut devices = own::siblings(ctx);
    for member in members {
        if let Some(person) = ctx.tx.contact(&member.user)? {
            devices.extend(reached(ctx, member, &person, circle.authorised(ctx, &person)));
        }
    }
    // Each begins with another one, or all would ask the same.
    let [first, second, ..] = ctx.me.device.as_bytes();
    let turn =
        usize::from(u16::from_be_bytes([*first, *second])) + usize::try_from(tries).unwrap_or_default();
    let turn = turn.checked_rem(devices.len());
    Ok(turn.and_then(|turn| devices.get(turn).copied()))
}

/// A relay refused what went to a member's device by this token. It is given up, whoever said it: the way to them as a
/// contact may hold. They are asked for another one, and so are others.
pub(in crate::engine) fn not_reached(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    (user, device): (&UserId, &DeviceId),
    token: &TokenGrant,
) -> Result<(), StoreError> {
    let Some(mut member) = ctx.tx.member(group, user)? else { return Ok(()) };
    let known = member.grants.len();
    member.grants.retain(|grant| grant.device != *device || grant.token != *token);
    if member.grants.len() == known {
        // By one that they gave as a contact, say: it is not told again before they give another one, or others know one.
        if !member.grants.iter().any(|grant| grant.device == *device) {
            begin(ctx, group);
        }
        return group_acknowledging::not_told(ctx, group, user).map(drop);
    }
    member.introduced.retain(|(by, _)| by != device);
    ctx.tx.put_member(&member)?;
    group_acknowledging::tell_again(ctx, group, user)?;
    // Where what they say is refused again and again, they are asked ever more rarely.
    let refused = ctx.agenda.refused.get(&(*group, *device)).copied();
    if let Some(refused) = refused.filter(|refused| ctx.now < refused.at.after(pause(refused.times))) {
        tracing::debug!(device = %device.short(), times = refused.times, "a member's tokens are refused again");
        return Ok(());
    }
    let recent = refused.filter(|refused| ctx.now.since(refused.at) < FORGIVEN);
    let times = recent.map_or(0, |refused| refused.times.saturating_add(1));
    ctx.agenda.refused.insert((*group, *device), Shown { at: ctx.now, times });
    ctx.agenda.updates.entry((*group, *device)).or_default().wants.insert(*user);
    begin(ctx, group);
    Ok(())
}

/// A member can't reach this device: it says again how to.
pub(super) fn is_sought(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    by: &UserId,
) -> Result<(), StoreError> {
    let Some(mut member) = ctx.tx.member(group, by)?.filter(Member::is_in) else { return Ok(()) };
    member.introduction_due = true;
    ctx.tx.put_member(&member)?;
    ctx.agenda.meet.insert((*group, *by));
    Ok(())
}
