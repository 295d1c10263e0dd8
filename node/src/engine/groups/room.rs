//! What devices brought of a group that came to nothing makes room for others.

use std::collections::BTreeSet;

use undertone_protocol::ids::{ConversationId, DeviceId};

use crate::engine::context::Context;
use crate::store::StoreError;

/// Drops what waits of whoever brought it, or holds by nothing, where it did so at the last look already: what it lacks was
/// asked for, and comes with all that lies beyond. The document holds what so few suppliers brought at a time that they
/// could keep others out.
pub(super) fn sweep(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    let before = std::mem::take(&mut ctx.agenda.lingering);
    for group in ctx.tx.groups()? {
        let new = make_room(ctx, &group.id, &before)?;
        ctx.agenda.lingering.extend(new);
    }
    Ok(())
}

/// Gives who was not there `before`.
fn make_room(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    before: &BTreeSet<(ConversationId, DeviceId)>,
) -> Result<Vec<(ConversationId, DeviceId)>, StoreError> {
    let suppliers = ctx.groups.document(group).map(|document| document.suppliers()).unwrap_or_default();
    let of_group = suppliers.into_iter().map(|supplier| (*group, supplier));
    let (over, new): (Vec<_>, Vec<_>) = of_group.partition(|which| before.contains(which));
    let Some(document) = ctx.groups.document(group).filter(|_| !over.is_empty()) else { return Ok(new) };
    let aside = document.aside();
    for (_, supplier) in &over {
        document.forget(supplier);
    }
    if document.aside() != aside {
        ctx.groups.refresh(group, ctx.tx)?;
    }
    Ok(new)
}
