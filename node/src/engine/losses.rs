//! What nobody supplies for long is lost: passed over, and shown (`spec/log.md`, "Lost entries").

use std::collections::BTreeMap;

use undertone_protocol::ids::{ConversationId, DeviceId};

use super::circle::Circle;
use super::context::Context;
use super::links::Links;
use super::{keys, own};
use crate::command::LostView;
use crate::event::Event;
use crate::store::{Gap, StoreError};
use crate::{gaps, log};

/// Counts the days on which gaps were looked for in vain. Only a device that has all that waited for it looks, and only
/// where somebody may supply what is missing.
pub(super) fn look(ctx: &mut Context<'_>, links: &Links) -> Result<(), StoreError> {
    if !keys::is_drained(links, ctx.now) {
        return Ok(());
    }
    let conversations: Vec<ConversationId> = ctx.agenda.directory.keys().copied().collect();
    for conversation in conversations {
        let gaps = ctx.tx.gaps(&conversation)?;
        if gaps.is_empty() {
            continue;
        }
        let Some(circle) = Circle::of(ctx, &conversation)?.filter(Circle::is_open) else { continue };
        for (device, gap) in gaps {
            look_for(ctx, &circle, &conversation, &device, gap)?;
        }
    }
    Ok(())
}

fn look_for(
    ctx: &mut Context<'_>,
    circle: &Circle,
    conversation: &ConversationId,
    device: &DeviceId,
    gap: Gap,
) -> Result<(), StoreError> {
    // What is beyond a cut is not wanted.
    let is_cut_off = ctx.tx.cut(conversation, device)?.is_some_and(|cut| cut.through <= gap.through);
    if is_cut_off || !gaps::look(ctx.tx, conversation, device, gap, ctx.now)? {
        return Ok(());
    }
    tracing::warn!(device = %device.short(), from = gap.from, through = gap.through, "entries are lost");
    log::pass_over(ctx.tx, conversation, device, ctx.now)?;
    let lost = view(ctx, circle, device, &gap)?;
    ctx.events.push(Event::Lost { lost });
    Ok(())
}

/// What is lost of a conversation, by the device and the number behind it, where it shows.
pub(super) fn before(
    ctx: &Context<'_>,
    circle: &Circle,
    conversation: &ConversationId,
) -> Result<BTreeMap<(DeviceId, u64), LostView>, StoreError> {
    let lost = ctx.tx.gaps(conversation)?.into_iter().filter(|(_, gap)| gap.is_lost());
    let shown = lost.map(|(device, gap)| {
        let behind = gap.through.saturating_add(1);
        Ok(((device, behind), view(ctx, circle, &device, &gap)?))
    });
    shown.collect()
}

fn view(ctx: &Context<'_>, circle: &Circle, device: &DeviceId, gap: &Gap) -> Result<LostView, StoreError> {
    Ok(LostView {
        kind: "lost".to_owned(),
        contact: circle.name(),
        from: circle.author(ctx, device)?,
        mine: own::is_own(ctx, device),
        messages: gap.through.saturating_sub(gap.from).saturating_add(1),
    })
}
