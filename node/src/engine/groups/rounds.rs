//! What a device knows of a group goes round, so that all hear of what its author told only some.

use rand_core::Rng;
use undertone_protocol::ids::{ConversationId, DeviceId, OperationHash};
use undertone_protocol::membership::View;

use crate::engine::circle::Circle;
use crate::engine::context::Context;
use crate::store::StoreError;

/// So many devices are told, the next ones by their ids: each tells the next ones what it did not know, and one that
/// can't be reached breaks no ring.
const NEXT_DEVICES: usize = 3;

/// Operations came, or somebody went. What a device did that can't send any more may have reached only some.
pub(super) fn follow(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    before: Option<&View>,
    held: &[OperationHash],
) -> Result<(), StoreError> {
    let Some(view) = ctx.groups.view(group).cloned() else { return Ok(()) };
    let Some(document) = ctx.groups.document(group) else { return Ok(()) };
    let mut authors: Vec<DeviceId> =
        held.iter().filter_map(|hash| document.get(hash)).map(|made| made.operation.device).collect();
    let somebody_went = before.is_some_and(|before| {
        before.members.keys().any(|user| !view.is_in(user)) || before.revoked_devices != view.revoked_devices
    });
    if somebody_went {
        authors.extend(document.since(&[]).map(|(_, made)| made.operation.device));
    }
    let is_gone = |device: &DeviceId| {
        let user = ctx.agenda.devices.get(device);
        user.is_some_and(|user| !view.is_active(user, device))
    };
    if authors.iter().any(is_gone) { tell_next(ctx, group) } else { Ok(()) }
}

/// The next devices are told what this one knows, and say what they lack, or it does.
fn tell_next(ctx: &mut Context<'_>, group: &ConversationId) -> Result<(), StoreError> {
    let mut devices = everybody(ctx, group)?;
    let own = ctx.me.device;
    devices.sort_unstable();
    let turn = devices.partition_point(|device| *device < own);
    devices.rotate_left(turn);
    for device in devices.into_iter().take(NEXT_DEVICES) {
        ctx.agenda.updates.entry((*group, device)).or_default();
    }
    Ok(())
}

/// Some device is told what this one knows: whoever wrote what did not get through may never write again.
pub(super) fn tell_somebody(ctx: &mut Context<'_>, group: &ConversationId) -> Result<(), StoreError> {
    let devices = everybody(ctx, group)?;
    let count = u64::try_from(devices.len()).unwrap_or(u64::MAX);
    let drawn = ctx.rng.next_u64().checked_rem(count).and_then(|drawn| usize::try_from(drawn).ok());
    if let Some(device) = drawn.and_then(|drawn| devices.get(drawn)) {
        ctx.agenda.updates.entry((*group, *device)).or_default();
    }
    Ok(())
}

fn everybody(ctx: &Context<'_>, group: &ConversationId) -> Result<Vec<DeviceId>, StoreError> {
    match Circle::of(ctx, group)?.filter(Circle::is_open) {
        Some(circle) => circle.devices(ctx),
        None => Ok(Vec::new()),
    }
}
