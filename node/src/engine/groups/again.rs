//! What is said once more to members who may not have heard it, or may have refused it.

use std::collections::BTreeSet;

use undertone_protocol::ids::{ConversationId, DeviceId, UserId};

use super::farewells::tell_late;
use super::let_in::did_let_in;
use crate::engine::context::Context;
use crate::engine::{acknowledging, group_acknowledging};
use crate::store::{Member, StoreError};

/// A contact says anew how to reach them. Where they never spoke in a group they may not know it, and ask when they hear
/// of it; and what others said of how to reach them is as old as what this user knew.
pub(in crate::engine) fn introduce_again(
    ctx: &mut Context<'_>,
    user: &UserId,
    devices: &BTreeSet<DeviceId>,
) -> Result<(), StoreError> {
    for group in ctx.tx.groups_of(user)? {
        let Some(mut member) = ctx.tx.member(&group, user)?.filter(Member::is_in) else { continue };
        if member.introduced.is_empty() {
            member.grants.clear();
            member.introduction_due = true;
            ctx.tx.put_member(&member)?;
            ctx.agenda.meet.insert((group, *user));
        }
    }
    tell_again(ctx, user, devices)
}

/// One of two blocks the other no more, or there is another way to these devices: what was told of a group meanwhile was
/// not heard, or was refused, as what welcomed them may have been. They are told again, and what this device has of theirs;
/// of a group that they are out of, that they are.
pub(in crate::engine) fn tell_again(
    ctx: &mut Context<'_>,
    user: &UserId,
    devices: &BTreeSet<DeviceId>,
) -> Result<(), StoreError> {
    for group in ctx.tx.groups_of(user)? {
        if ctx.tx.member(&group, user)?.is_some_and(|member| member.is_in()) {
            for device in devices {
                ctx.agenda.updates.entry((group, *device)).or_default();
            }
            if !devices.is_empty() {
                group_acknowledging::not_told(ctx, &group, user)?;
                acknowledging::make_due(ctx, &group)?;
            }
        }
    }
    for device in devices {
        tell_late(ctx, user, device)?;
    }
    welcome_again(ctx, user)
}

/// Somebody could not read something: whom this user let in, and did not hear of since, may not know the group.
pub(in crate::engine) fn welcome_again(ctx: &mut Context<'_>, user: &UserId) -> Result<(), StoreError> {
    for group in ctx.tx.groups_of(user)? {
        let is_unheard = ctx.tx.member(&group, user)?.is_some_and(|member| member.introduced.is_empty());
        let is_in = ctx.groups.view(&group).is_some_and(|view| view.is_in(user));
        if is_unheard && is_in && did_let_in(ctx, &group, user) {
            welcome_due(ctx, &group, user)?;
        }
    }
    Ok(())
}

/// Somebody was added by this user: they are told all of the group.
pub(in crate::engine) fn welcome_due(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    user: &UserId,
) -> Result<(), StoreError> {
    if let Some(mut member) = ctx.tx.member(group, user)? {
        member.welcome_due = true;
        ctx.tx.put_member(&member)?;
        ctx.agenda.meet.insert((*group, *user));
    }
    Ok(())
}
