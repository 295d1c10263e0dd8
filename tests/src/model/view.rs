//! What a set of operations shows.

use std::collections::{BTreeMap, BTreeSet};

use super::op::{Device, Field, OpId, Role, User};

/// A set of operations.
pub(super) type Set = BTreeSet<OpId>;

/// Why an operation does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Rule 1: its form or its signature is bad, it is another Create, or it stands on what is missing or malformed.
    Form,
    /// Rule 5: its author is out, or may not do this, or not to this user.
    Allowed,
    /// Rule 6: the last owner would go.
    LastOwner,
    /// Rule 7: whom it would remove is not in, and was not, or not below its author.
    Fence,
    /// Rule 8: no grant of its author's rank counts.
    Supported,
    /// Rule 9: a revocation kills it.
    Killed,
    /// Rule 15: a cut names what is not in its past.
    Cut,
    /// Rule 16: the group is full.
    Cap,
}

/// Rule 4: by role, then by generation. The least is the most senior.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    /// First by this.
    pub role: Role,
    /// Then by this: how many grants lie between the creator and this one.
    pub generation: u32,
}

/// The rank of an operation (rule 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Create and DeviceRevoke.
    BelowAll,
    /// Any other's: that of its author.
    Of(Rank),
}

/// Someone who is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The recorded role, with its generation.
    pub rank: Rank,
    /// The grants that give exactly this rank.
    pub grants: BTreeSet<OpId>,
}

/// V(S): what a set of operations shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Who is in.
    pub members: BTreeMap<User, Member>,
    /// Who is out and was in, with the last rank.
    pub former: BTreeMap<User, Rank>,
    /// Who stands in for an owner, where there is none.
    pub acting: Option<User>,
    /// What is set.
    pub settings: BTreeMap<Field, u32>,
    /// Devices that are out of use.
    pub revoked: BTreeSet<(User, Device)>,
    /// Which operations count, and which rule stands against the others.
    pub counts: BTreeMap<OpId, Result<(), Rule>>,
}

impl View {
    /// Whether a user is the only recorded owner.
    pub(super) fn is_last_owner(&self, user: User) -> bool {
        let owner = |member: &&Member| member.rank.role == Role::Owner;
        self.members.get(&user).filter(owner).is_some() && self.members.values().filter(owner).count() == 1
    }

    /// Whether a user is in, and this device of theirs in use.
    pub(super) fn admits(&self, user: User, device: Device) -> bool {
        self.members.contains_key(&user) && !self.revoked.contains(&(user, device))
    }
}
