//! Who let somebody in, and why that does not count.

use std::collections::BTreeSet;

use undertone_protocol::ids::{ConversationId, DeviceId, OperationHash, UserId};
use undertone_protocol::membership::{Action, Verdict};

use crate::engine::context::Context;
use crate::engine::own;

/// How somebody was let in, whether it counts or not.
pub(super) struct LetIn {
    /// Who did.
    pub(super) by: UserId,
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
    let known = |(operation, device)| Some(LetIn { by: user_of(ctx, &device)?, operation });
    adds.into_iter().filter_map(known).collect()
}

fn user_of(ctx: &Context<'_>, device: &DeviceId) -> Option<UserId> {
    match own::is_own(ctx, device) {
        true => Some(ctx.me.user),
        false => ctx.agenda.devices.get(device).copied(),
    }
}

/// What voids the operations by which somebody was let in: what kills them, or those that gave the right to them
/// (rules 8 and 9).
pub(super) fn undone_by(
    ctx: &mut Context<'_>,
    group: &ConversationId,
    who: &UserId,
) -> BTreeSet<OperationHash> {
    let Some(document) = ctx.groups.document(group) else { return BTreeSet::new() };
    let void = document.since(&[]).filter_map(|(hash, made)| {
        let verdict = document.verdict(&hash).filter(|verdict| *verdict != Verdict::Counts)?;
        Some((granted(&made.operation.action)?, made.operation.device, verdict))
    });
    let void: Vec<(UserId, DeviceId, Verdict)> = void.collect();
    let (mut undone_by, mut known, mut next) = (BTreeSet::new(), BTreeSet::from([*who]), vec![*who]);
    while let Some(user) = next.pop() {
        for (_, device, verdict) in void.iter().filter(|(granted, ..)| *granted == user) {
            match verdict {
                Verdict::Killed(by) => drop(undone_by.insert(*by)),
                Verdict::Unsupported => {
                    next.extend(user_of(ctx, device).filter(|author| known.insert(*author)));
                }
                Verdict::Counts | Verdict::Forbidden(_) | Verdict::LeftOut => {}
            }
        }
    }
    undone_by
}

/// Whom an operation gives a role (rule 3).
const fn granted(action: &Action) -> Option<UserId> {
    match action {
        Action::Add { user, .. } | Action::SetRole { user, .. } | Action::Leave { successor: Some(user) } => {
            Some(*user)
        }
        _ => None,
    }
}

/// Whether this user ever let somebody in, whether it counts or not.
pub(super) fn did_let_in(ctx: &mut Context<'_>, group: &ConversationId, who: &UserId) -> bool {
    let_in(ctx, group, who).iter().any(|add| add.by == ctx.me.user)
}
