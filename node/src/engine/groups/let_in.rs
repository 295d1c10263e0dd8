//! Who let somebody in.

use undertone_protocol::ids::{ConversationId, DeviceId, OperationHash, UserId};
use undertone_protocol::membership::Action;

use crate::engine::context::Context;
use crate::engine::own;

/// How somebody was let in, whether it counts or not.
pub(super) struct LetIn {
    /// Who did.
    pub(super) by: UserId,
    /// With which device.
    pub(super) device: DeviceId,
    /// By which operation.
    pub(super) operation: OperationHash,
}

/// How somebody was ever let in.
pub(super) fn let_in(ctx: &mut Context<'_>, group: &ConversationId, who: &UserId) -> Vec<LetIn> {
    let Some(document) = ctx.groups.document(group) else { return Vec::new() };
    let adds = document.since(&[]).filter(|(_, made)| match &made.operation.action {
        Action::Add { user, .. } => user == who,
        _ => false,
    });
    let adds: Vec<_> = adds.map(|(operation, made)| (operation, made.operation.device)).collect();
    let user_of = |device: &DeviceId| match own::is_own(ctx, device) {
        true => Some(ctx.me.user),
        false => ctx.agenda.devices.get(device).copied(),
    };
    let known = |(operation, device)| Some(LetIn { by: user_of(&device)?, device, operation });
    adds.into_iter().filter_map(known).collect()
}

/// Whether this user ever let somebody in, whether it counts or not.
pub(super) fn did_let_in(ctx: &mut Context<'_>, group: &ConversationId, who: &UserId) -> bool {
    let_in(ctx, group, who).iter().any(|add| add.by == ctx.me.user)
}
