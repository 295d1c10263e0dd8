//! Operations, as plain data.

use std::collections::BTreeMap;

/// Most parents of an operation.
pub const PARENTS_MAX: usize = 8;

/// The greatest number that an operation of a device may have.
pub const NUMBER_MAX: u32 = 4_095;

/// The policy's bit that lets members add members.
pub const POLICY_MEMBERS_ADD: u32 = 1;

/// The policy's bit that lets only owners add members, unless members may.
pub const POLICY_OWNERS_ADD: u32 = 2;

/// A user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct User(pub u32);

/// A device; no two users have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device(pub u32);

/// Names an operation. Says nothing of how its hash compares: see [`Op::hash`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u32);

/// Names an entry of the group's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryId(pub u32);

/// What a member may be, the most powerful first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// 0
    Owner,
    /// 1
    Admin,
    /// 2
    Member,
}

/// What a setting is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The group's name.
    Name,
    /// Its picture.
    Picture,
    /// After how long messages expire.
    Timer,
    /// Who may add members: [`POLICY_MEMBERS_ADD`] and [`POLICY_OWNERS_ADD`], else admins.
    Policy,
}

/// What still counts of each device: its last operation and its last entry. What is absent: nothing.
pub type Cut = BTreeMap<Device, (Option<OpId>, Option<EntryId>)>;

/// What an operation does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Begins the group; its author is the owner.
    Create,
    /// Lets a user in.
    Add {
        /// Who comes in.
        user: User,
        /// As what.
        role: Role,
    },
    /// Puts a user out, or puts up a fence before one who is out.
    Remove {
        /// Who goes.
        user: User,
        /// What of theirs still counts; none: past(r).
        cut: Option<Cut>,
    },
    /// Gives a member another role.
    SetRole {
        /// Whose.
        user: User,
        /// Which.
        role: Role,
    },
    /// Its author goes.
    Leave {
        /// Who is owner then.
        successor: Option<User>,
    },
    /// A user's identity puts a device out of use. The operation's author only carries it.
    DeviceRevoke {
        /// Whose device.
        user: User,
        /// Which one.
        device: Device,
        /// What of it still counts; of other devices nothing stands in it.
        cut: Cut,
    },
    /// Sets something.
    Settings {
        /// What.
        field: Field,
        /// To what.
        value: u32,
    },
}

/// A signed operation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Op {
    /// Its name.
    pub id: OpId,
    /// Breaks ties, as the operation's hash does. No two operations have the same.
    pub hash: u64,
    /// The user whose device signed it.
    pub author: User,
    /// The device that signed it.
    pub device: Device,
    /// The device's own number for it.
    pub number: u32,
    /// What its author knew, in any order.
    pub parents: Vec<OpId>,
    /// What it does.
    pub kind: Kind,
    /// Whether all its signatures are good: the device's, and in a DeviceRevoke the identity's.
    pub signed: bool,
}

/// What is known of a group from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// The Create whose hash is the group's id.
    pub id: OpId,
    /// With so many members nobody can be added (rule 16).
    pub cap: usize,
}

impl Group {
    /// With the cap that stands by default.
    pub fn new(id: OpId) -> Self {
        Self { id, cap: 1_024 }
    }
}

/// The cut that an operation states; empty if none.
pub(super) fn cut(op: &Op) -> Cut {
    match &op.kind {
        Kind::Remove { cut, .. } => cut.clone().unwrap_or_default(),
        Kind::DeviceRevoke { cut, .. } => cut.clone(),
        _ => Cut::new(),
    }
}
