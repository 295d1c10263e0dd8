//! A user's devices come and go: groups are told, and one that was revoked is taken out of them.

use std::time::Duration;

use undertone_protocol::entry::{Content, DeviceChange, EntryBody};
use undertone_protocol::ids::DeviceId;
use undertone_protocol::keys::{DeviceRevoke, DeviceRevokeFields};
use undertone_protocol::membership::Action;

use super::changes::{last_operation, operate};
use crate::engine::circle::Circle;
use crate::engine::context::Context;
use crate::engine::writing;
use crate::log;
use crate::store::{Group, Standing, StoreError};

/// A device that just came to know a group waits so long for what a revoked one wrote there: what it does not hold when it
/// takes that one out does not count.
const HANDED_OVER: Duration = Duration::from_secs(3_600);

/// The user's devices changed: each group is told, and one that was revoked is taken out of it.
pub(super) fn announce(ctx: &mut Context<'_>, revoked: Option<DeviceId>) -> Result<(), StoreError> {
    if ctx.me.identity().is_none() {
        return Ok(());
    }
    let list = ctx.account()?.device_list;
    for group in open_groups(ctx)? {
        if let Some(device) = &revoked {
            take_out(ctx, &group, device)?;
        }
        let change = DeviceChange { device_list: list.signed.clone(), revocations: Vec::new() };
        match EntryBody::new(Content::Devices(change), ctx.rng) {
            Ok(body) => writing::append_to_group(ctx, &group, body).map(drop)?,
            Err(error) => tracing::error!(%error, "a device list could not be told"),
        }
    }
    Ok(())
}

/// What is looked at every ten minutes. Revocations that were left out with a device that forked are carried again, by this
/// one; and the primary device takes those out that were revoked before it knew of the group.
pub(super) fn sweep(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for group in open_groups(ctx)? {
        let open = ctx.groups.document(&group.id).map(|document| document.to_carry()).unwrap_or_default();
        for action in open {
            if let Err(why) = operate(ctx, &group, action)? {
                tracing::warn!(why, "a revocation could not be carried again");
            }
        }
        if ctx.me.identity().is_some() {
            take_out_late(ctx, &group)?;
        }
    }
    Ok(())
}

fn open_groups(ctx: &Context<'_>) -> Result<Vec<Group>, StoreError> {
    let mut groups = ctx.tx.groups()?;
    groups.retain(|group| group.standing == Standing::In);
    Ok(groups)
}

fn take_out_late(ctx: &mut Context<'_>, group: &Group) -> Result<(), StoreError> {
    let listed = ctx.account()?.device_list.devices;
    for device in listed.into_iter().filter(|listed| listed.revoked).map(|listed| listed.certificate.device) {
        let me = ctx.me.user;
        if ctx.groups.view(&group.id).is_none_or(|view| !view.is_active(&me, &device)) {
            continue;
        }
        let held = log::frontier_of(ctx.tx, &group.id, &device)?.seq;
        let others_hold = held_by_others(ctx, group, &device)?;
        let took_part = held > 0 || others_hold > 0 || last_operation(ctx, &group.id, &device).is_some();
        let may_come = held < others_hold && ctx.now.since(group.added) < HANDED_OVER;
        if took_part && !may_come {
            take_out(ctx, group, &device)?;
        }
    }
    Ok(())
}

/// The last number of a device of this user's that members say they hold.
fn held_by_others(ctx: &Context<'_>, group: &Group, device: &DeviceId) -> Result<u64, StoreError> {
    let mut most = 0;
    for other in Circle::Group(group.clone()).devices(ctx)? {
        let said = ctx.tx.acknowledgement(&group.id, &other)?.map(|told| told.fields.delivered);
        most = most.max(said.and_then(|said| said.get(device).map(|item| item.last())).unwrap_or(0));
    }
    Ok(most)
}

fn take_out(ctx: &mut Context<'_>, group: &Group, device: &DeviceId) -> Result<(), StoreError> {
    let Some(identity) = ctx.me.identity() else { return Ok(()) };
    let held = log::frontier_of(ctx.tx, &group.id, device)?;
    let fields = DeviceRevokeFields {
        user: ctx.me.user,
        list: ctx.account()?.device_list.hash(),
        device: *device,
        conversation: group.id,
        cut: held.head.map(|head| (held.seq, head)),
    };
    let last = last_operation(ctx, &group.id, device);
    let revoke = DeviceRevoke::issue_in_group(&identity, fields, last);
    if let Err(why) = operate(ctx, group, Action::DeviceRevoke(Box::new(revoke)))? {
        tracing::error!(why, "a device could not be taken out of a group");
    }
    Ok(())
}
