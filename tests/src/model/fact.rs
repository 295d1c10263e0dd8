//! An operation with what follows from its past alone: rules 3 and 4.

use std::rc::Rc;

use super::allowed::{allowed, given, lowers};
use super::op::{Kind, Op, Role, User};
use super::view::{Rank, Rule, Set, Standing, View};

/// An operation, with what follows from its past alone.
#[derive(Debug)]
pub(super) struct Fact {
    pub(super) op: Op,
    /// Strict ancestors (rule 2).
    pub(super) past: Set,
    /// V(past(o)).
    pub(super) before: Rc<View>,
    /// Rules 5 to 7 and 16.
    pub(super) allowed: Result<(), Rule>,
    /// rank(o); none if its author is out.
    pub(super) standing: Option<Standing>,
    /// Whom it grants which rank.
    pub(super) grant: Option<(User, Rank)>,
    pub(super) is_revocation: bool,
}

impl Fact {
    /// Judges an operation by its past, and by what this shows.
    pub(super) fn new(op: &Op, past: Set, before: Rc<View>, cap: usize) -> Self {
        Self {
            allowed: allowed(&past, &before, op, cap),
            standing: standing(&before, op),
            grant: grant(&before, op),
            is_revocation: is_revocation(&before, op),
            op: op.clone(),
            past,
            before,
        }
    }
}

/// Rule 4.
fn standing(before: &View, op: &Op) -> Option<Standing> {
    match op.kind {
        Kind::Create | Kind::DeviceRevoke { .. } => Some(Standing::BelowAll),
        _ => before.members.get(&op.author).map(|author| Standing::Of(author.rank)),
    }
}

/// Rule 3: whom the operation grants which rank. A Leave grants its successor to be an owner.
fn grant(before: &View, op: &Op) -> Option<(User, Rank)> {
    let (user, role) = match op.kind {
        Kind::Create => return Some((op.author, Rank { role: Role::Owner, generation: 0 })),
        Kind::Add { user, role } | Kind::SetRole { user, role } => (user, role),
        Kind::Leave { successor } => (successor?, Role::Owner),
        _ => return None,
    };
    Some((user, given(before, op, role)?))
}

/// Rule 3: a SetRole is one if it lowers its target.
fn is_revocation(before: &View, op: &Op) -> bool {
    match op.kind {
        Kind::Remove { .. } | Kind::Leave { .. } | Kind::DeviceRevoke { .. } => true,
        _ => lowers(before, op),
    }
}

/// Whether r is aimed at o's author, or at its device.
pub(super) fn targets(r: &Op, o: &Op) -> bool {
    match r.kind {
        Kind::Remove { user, .. } | Kind::SetRole { user, .. } => user == o.author,
        Kind::DeviceRevoke { user, device, .. } => user == o.author && device == o.device,
        _ => false,
    }
}
