//! What nobody supplies for long is lost: passed over, and shown (`spec/log.md`, "Lost entries").

use std::collections::BTreeMap;

use rand_core::Rng;
use undertone_protocol::ids::{ConversationId, DeviceId};

use super::circle::Circle;
use super::context::Context;
use super::links::Links;
use super::{group_acknowledging, groups, keys, own};
use crate::command::LostView;
use crate::event::Event;
use crate::gaps::{self, Looked};
use crate::log;
use crate::store::{Gap, StoreError};

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
    if is_cut_off {
        return Ok(());
    }
    match gaps::look(ctx.tx, conversation, device, gap, ctx.now)? {
        Looked::TooEarly => return Ok(()),
        Looked::InVain => return ask_another(ctx, circle, conversation, device),
        Looked::Lost => {}
    }
    tracing::warn!(device = %device.short(), from = gap.from, through = gap.through, "entries are lost");
    log::pass_over(ctx.tx, conversation, device, ctx.now)?;
    if groups::was_out_meanwhile(ctx, circle, device, &gap)? {
        return Ok(());
    }
    let lost = view(ctx, circle, device, &gap)?;
    ctx.events.push(Event::Lost { lost });
    Ok(())
}

/// For a day an author did not supply what is missing of theirs: some other member's device is told what is held of them,
/// another one each time.
fn ask_another(
    ctx: &mut Context<'_>,
    circle: &Circle,
    conversation: &ConversationId,
    author: &DeviceId,
) -> Result<(), StoreError> {
    let Circle::Group(_) = circle else { return Ok(()) };
    let wrote = circle.user_of(ctx, author);
    let mut devices: Vec<DeviceId> = Vec::new();
    for person in circle.people(ctx)?.into_iter().filter(|person| Some(person.user) != wrote) {
        devices.extend(circle.authorised(ctx, &person));
    }
    let count = u64::try_from(devices.len()).unwrap_or(u64::MAX);
    let chosen = ctx.rng.next_u64().checked_rem(count).and_then(|chosen| usize::try_from(chosen).ok());
    if let Some(device) = chosen.and_then(|chosen| devices.get(chosen)) {
        group_acknowledging::note_handed(ctx, conversation, device, author);
    }
    Ok(())
}

/// What is lost of a conversation, by the device and the number behind it, where it shows.
pub(super) fn before(
    ctx: &Context<'_>,
    circle: &Circle,
    conversation: &ConversationId,
) -> Result<BTreeMap<(DeviceId, u64), LostView>, StoreError> {
    let mut shown = BTreeMap::new();
    for (device, gap) in ctx.tx.gaps(conversation)?.into_iter().filter(|(_, gap)| gap.is_lost()) {
        if !groups::was_out_meanwhile(ctx, circle, &device, &gap)? {
            let behind = gap.through.saturating_add(1);
            shown.insert((device, behind), view(ctx, circle, &device, &gap)?);
        }
    }
    Ok(shown)
}

fn view(ctx: &Context<'_>, circle: &Circle, device: &DeviceId, gap: &Gap) -> Result<LostView, StoreError> {
    Ok(LostView {
        contact: circle.name(),
        from: circle.author(ctx, device)?,
        mine: own::is_own(ctx, device),
        messages: gap.through.saturating_sub(gap.from).saturating_add(1),
    })
}
