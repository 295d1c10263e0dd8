//! Rules 5 to 7, 15 and 16: what an author may do, judged only by what the operation's past shows.

use super::op::{Field, Kind, Op, POLICY_MEMBERS_ADD, POLICY_OWNERS_ADD, Role, User, cut};
use super::view::{Rank, Rule, Set, View};

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
/// Rule 15, the cut, comes last.
pub(super) fn allowed(past: &Set, before: &View, op: &Op, cap: usize) -> Result<(), Rule> {
    if !matches!(op.kind, Kind::Create | Kind::DeviceRevoke { .. }) {
        permitted(before, op, cap)?;
    }
    let heads = cut(op).into_values().filter_map(|(head, _)| head);
    require(heads.into_iter().all(|head| past.contains(&head)), Rule::Cut)
}

fn permitted(before: &View, op: &Op, cap: usize) -> Result<(), Rule> {
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
        Kind::Settings { .. } => require(right.reaches(Role::Admin), Rule::Allowed),
    }
}

/// Nobody is added who is in: this would lower them without a look at their rank.
fn add(before: &View, right: Right, user: User, role: Role, cap: usize) -> Result<(), Rule> {
    require(
        right.reaches(may_add(before)) && right.may_grant(role) && !before.members.contains_key(&user),
        Rule::Allowed,
    )?;
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

/// Of a member. Somebody else is lowered only by who does not stand below them.
fn set_role(before: &View, op: &Op, right: Right, user: User, role: Role) -> Result<(), Rule> {
    let target = before.members.get(&user).ok_or(Rule::Allowed)?;
    let permitted = right.reaches(Role::Admin) && right.may_grant(role);
    require(permitted, Rule::Allowed)?;
    let harmless = user == op.author || !lowers(before, op) || right.rank <= target.rank;
    require(harmless, Rule::Allowed)?;
    require(role == Role::Owner || !before.is_last_owner(user), Rule::LastOwner)
}

/// A successor is granted to be an owner: another member, whom it raises. Who is alone needs none.
fn leave(before: &View, op: &Op, right: Right, successor: Option<User>) -> Result<(), Rule> {
    let Some(user) = successor else {
        return require(before.members.len() == 1 || !before.is_last_owner(op.author), Rule::LastOwner);
    };
    let target = before.members.get(&user).ok_or(Rule::Allowed)?;
    let raises = given(before, op, Role::Owner).is_some_and(|given| given < target.rank);
    require(user != op.author && raises && right.may_grant(Role::Owner), Rule::Allowed)
}

/// The rank that an operation's author gives with a role (rule 4); none if they are out.
pub(super) fn given(before: &View, op: &Op, role: Role) -> Option<Rank> {
    let author = before.members.get(&op.author)?;
    Some(Rank { role, generation: author.rank.generation.saturating_add(1) })
}

/// Rule 3: whether a SetRole gives less than its target's rank.
pub(super) fn lowers(before: &View, op: &Op) -> bool {
    let Kind::SetRole { user, role } = op.kind else { return false };
    let target = before.members.get(&user).map(|target| target.rank);
    target.is_some_and(|target| given(before, op, role).is_some_and(|given| given > target))
}

/// The least role that adds members.
fn may_add(before: &View) -> Role {
    let policy = before.settings.get(&Field::Policy).copied().unwrap_or_default();
    if policy & POLICY_MEMBERS_ADD != 0 {
        Role::Member
    } else if policy & POLICY_OWNERS_ADD != 0 {
        Role::Owner
    } else {
        Role::Admin
    }
}

fn require(holds: bool, rule: Rule) -> Result<(), Rule> {
    if holds { Ok(()) } else { Err(rule) }
}
