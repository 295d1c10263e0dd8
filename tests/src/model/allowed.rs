//! Rules 5 to 7 and 16: what an author may do, judged only by what the operation's past shows.

use super::op::{Field, Kind, Op, POLICY_MEMBERS_ADD, POLICY_MEMBERS_SET, Role, User};
use super::view::{Rank, Rule, View};

/// What an author can throw in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Right {
    pub(super) rank: Rank,
    /// Whether they act as owner (rule 13).
    pub(super) acts: bool,
}

impl Right {
    /// Whether one may do what this role may do. Acting owners may do what owners may.
    fn reaches(&self, role: Role) -> bool {
        self.acts || self.rank.role <= role
    }

    /// Rule 5: whether one may grant a role. Only the recorded role tells.
    fn may_grant(&self, role: Role) -> bool {
        self.rank.role <= role
    }
}

/// Allowed(o), in V(past(o)). A device that was revoked there writes nothing more, as if its author were out.
pub(super) fn allowed(before: &View, op: &Op, cap: usize) -> Result<(), Rule> {
    if matches!(op.kind, Kind::Create | Kind::DeviceRevoke { .. }) {
        return Ok(());
    }
    let author = before.members.get(&op.author).filter(|_| before.admits(op.author, op.device));
    let author = author.ok_or(Rule::Allowed)?;
    let right = Right { rank: author.rank, acts: before.acting == Some(op.author) };
    judge(before, op, right, cap)
}

/// The same, if the author's right were this one.
pub(super) fn judge(before: &View, op: &Op, right: Right, cap: usize) -> Result<(), Rule> {
    match &op.kind {
        Kind::Create | Kind::DeviceRevoke { .. } => Ok(()),
        Kind::Add { user, role } => add(before, right, *user, *role, cap),
        Kind::Remove { user, .. } => remove(before, op, right, *user),
        Kind::SetRole { user, role } => set_role(before, op, right, *user, *role),
        Kind::Leave { successor } => leave(before, op, right, *successor),
        Kind::Settings { field, .. } => settings(before, right, *field),
    }
}

/// Nobody is added who is in: this would lower them without a look at their rank.
fn add(before: &View, right: Right, user: User, role: Role, cap: usize) -> Result<(), Rule> {
    let permitted = right.reaches(Role::Admin) || policy_has(before, POLICY_MEMBERS_ADD);
    require(permitted && right.may_grant(role) && !before.members.contains_key(&user), Rule::Allowed)?;
    require(before.members.len() < cap, Rule::Cap)
}

/// Of oneself: there is Leave.
fn remove(before: &View, op: &Op, right: Right, user: User) -> Result<(), Rule> {
    require(right.reaches(Role::Admin) && user != op.author, Rule::Allowed)?;
    match before.members.get(&user) {
        Some(target) => require(right.rank <= target.rank, Rule::Allowed),
        None => require(before.former.get(&user).is_some_and(|last| right.rank < *last), Rule::Fence),
    }
}

/// Of a member, to a role that they do not have: the same role again would only make their generation greater.
fn set_role(before: &View, op: &Op, right: Right, user: User, role: Role) -> Result<(), Rule> {
    let target = before.members.get(&user).ok_or(Rule::Allowed)?;
    let permitted = right.reaches(Role::Admin) && right.may_grant(role);
    require(permitted && role != target.rank.role, Rule::Allowed)?;
    if role < target.rank.role {
        return Ok(());
    }
    require(user == op.author || right.rank <= target.rank, Rule::Allowed)?;
    require(!before.is_last_owner(user), Rule::LastOwner)
}

/// A successor is granted to be an owner: another member who is none.
fn leave(before: &View, op: &Op, right: Right, successor: Option<User>) -> Result<(), Rule> {
    let Some(user) = successor else {
        return require(!before.is_last_owner(op.author), Rule::LastOwner);
    };
    let target = before.members.get(&user).ok_or(Rule::Allowed)?;
    let fits = user != op.author && target.rank.role != Role::Owner;
    require(fits && right.may_grant(Role::Owner), Rule::Allowed)
}

/// Only owners set the policy.
fn settings(before: &View, right: Right, field: Field) -> Result<(), Rule> {
    let permitted = match field {
        Field::Policy => right.reaches(Role::Owner),
        Field::Name | Field::Picture | Field::Timer => {
            right.reaches(Role::Admin) || policy_has(before, POLICY_MEMBERS_SET)
        }
    };
    require(permitted, Rule::Allowed)
}

fn policy_has(before: &View, bit: u32) -> bool {
    before.settings.get(&Field::Policy).is_some_and(|policy| policy & bit != 0)
}

fn require(holds: bool, rule: Rule) -> Result<(), Rule> {
    if holds { Ok(()) } else { Err(rule) }
}
