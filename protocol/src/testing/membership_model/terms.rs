//! What the model is given, and what it says of that.

use std::collections::{BTreeMap, BTreeSet};

/// The roles: the lesser, the more it may do.
pub const OWNER: u32 = 0;
/// See [`OWNER`].
pub const ADMIN: u32 = 1;
/// See [`OWNER`].
pub const MEMBER: u32 = 2;

/// Operations and users are called by numbers; where the rules compare hashes, the numbers are compared.
pub type Id = usize;
/// See [`Id`].
pub type User = usize;
/// See [`Id`].
pub type Device = usize;
/// (role, generation).
pub type Rank = (u32, u32);

/// What an operation does, in the words of the spec.
#[expect(missing_docs, reason = "the fields are those of the spec")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Create { cap: usize, name: Option<u32> },
    Add { target: User, role: u32 },
    Remove { target: User, cut: Option<BTreeMap<Device, Cut>> },
    SetRole { target: User, role: u32 },
    Leave { successor: Option<User> },
    DeviceRevoke { target: User, device: Device, cut: Cut },
    Settings { name: Option<u32>, add: Option<u32> },
    InviteLink,
    InviteRevoke { link: Id },
}

/// The last operation, and the last entry, that count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cut {
    /// `None`: none counts.
    pub operation: Option<Id>,
    /// `None`: none counts.
    pub entry: Option<Id>,
}

/// An operation.
#[derive(Debug, Clone)]
pub struct Op {
    /// Who signed it.
    pub user: User,
    /// With which device.
    pub device: Device,
    /// What it stands on.
    pub parents: Vec<Id>,
    /// What it does.
    pub kind: Kind,
}

/// What an entry says of itself.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Who wrote it.
    pub user: User,
    /// With which device.
    pub device: Device,
    /// Its membership heads.
    pub heads: BTreeSet<Id>,
    /// The entries that it is an ancestor of, itself included.
    pub below: BTreeSet<Id>,
}

/// V(S).
#[derive(Debug, Default, PartialEq, Eq)]
pub struct View {
    /// What counts.
    pub counts: BTreeSet<Id>,
    /// What does not, with the rule.
    pub void: BTreeMap<Id, u8>,
    /// Who is in.
    pub members: BTreeMap<User, Rank>,
    /// The grants that gave members their ranks.
    pub grants: BTreeMap<User, BTreeSet<Id>>,
    /// Who was in, with their last ranks.
    pub past: BTreeMap<User, Rank>,
    /// Who acts as owner, if there is none.
    pub acting: Option<User>,
    /// The name that was set.
    pub name: Option<u32>,
    /// The least role that may add.
    pub add: u32,
    /// Links that were not taken back.
    pub links: BTreeSet<Id>,
    /// Devices that were revoked.
    pub revoked: BTreeSet<(User, Device)>,
}
