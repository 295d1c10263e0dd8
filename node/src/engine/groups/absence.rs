//! What was written while this user was out: it was not for them, and so is not lost.

use undertone_protocol::ids::{DeviceId, OperationHash};

use crate::engine::circle::Circle;
use crate::engine::context::Context;
use crate::engine::membership::{heads_of, is_gone, went_between};
use crate::store::{Gap, StoreError};

/// Whether this user was out when what is missing was written, as far as the entries around it prove that. What an author
/// says of it proves nothing.
pub(in crate::engine) fn was_out_meanwhile(
    ctx: &Context<'_>,
    circle: &Circle,
    author: &DeviceId,
    gap: &Gap,
) -> Result<bool, StoreError> {
    let Circle::Group(group) = circle else { return Ok(false) };
    let heads_at = |seq: u64| -> Result<Option<Vec<OperationHash>>, StoreError> {
        let held = ctx.tx.entries_at(&group.id, author, seq)?;
        Ok(held.first().map(|stored| heads_of(&stored.entry.header)))
    };
    let Some(after) = heads_at(gap.through.saturating_add(1))? else { return Ok(false) };
    let Some(view_after) = ctx.groups.view_at(&group.id, &after) else { return Ok(false) };
    // Where the history is shown to who comes, they are to have it all.
    if view_after.settings.history {
        return Ok(false);
    }
    let me = &ctx.me.user;
    if !view_after.is_in(me) {
        return Ok(true);
    }
    if gap.from == 1 {
        // Of whom is gone nothing said where it begins for this user.
        let user = circle.user_of(ctx, author);
        return Ok(user.is_some_and(|user| is_gone(ctx, circle, &user, author)));
    }
    let Some(before) = heads_at(gap.from.saturating_sub(1))? else { return Ok(false) };
    let was_in = ctx.groups.view_at(&group.id, &before).is_some_and(|view| view.is_in(me));
    Ok(!was_in || went_between(ctx, &group.id, me, &before, &after))
}
