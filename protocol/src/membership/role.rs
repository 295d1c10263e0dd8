use crate::codec::Malformed;
use crate::wire;

/// What a member may do. The smaller stands above the larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Everything.
    Owner,
    /// Adds, removes, changes roles and settings.
    Admin,
    /// Writes, unless the group's settings say otherwise.
    Member,
}

impl Role {
    /// What it is called, in text and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }

    pub(super) fn from_wire(what: &'static str, role: i32) -> Result<Self, Malformed> {
        match wire::GroupRole::try_from(role) {
            Ok(wire::GroupRole::Owner) => Ok(Self::Owner),
            Ok(wire::GroupRole::Admin) => Ok(Self::Admin),
            Ok(wire::GroupRole::Member) => Ok(Self::Member),
            Ok(wire::GroupRole::Unspecified) | Err(_) => Err(Malformed::new(what, "no such role")),
        }
    }

    pub(super) const fn to_wire(self) -> i32 {
        match self {
            Self::Owner => wire::GroupRole::Owner as i32,
            Self::Admin => wire::GroupRole::Admin as i32,
            Self::Member => wire::GroupRole::Member as i32,
        }
    }
}

/// Where a member stands: by role, then by how many grants lie between them and the creator. The smaller
/// stands above the larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// The role.
    pub role: Role,
    /// The creator's is 0; else 1 + that of who granted it.
    pub generation: u32,
}

impl Rank {
    /// The creator's.
    pub(super) const CREATOR: Self = Self { role: Role::Owner, generation: 0 };

    /// The last one with this role.
    pub(super) const fn last(role: Role) -> Self {
        Self { role, generation: u32::MAX }
    }

    /// The one just above it; `None` above the creator's.
    pub(super) fn above(self) -> Option<Self> {
        match (self.generation.checked_sub(1), self.role) {
            (Some(generation), role) => Some(Self { role, generation }),
            (None, Role::Owner) => None,
            (None, Role::Admin) => Some(Self::last(Role::Owner)),
            (None, Role::Member) => Some(Self::last(Role::Admin)),
        }
    }

    /// What somebody of this rank grants with this role.
    pub(super) fn granting(self, role: Role) -> Self {
        Self { role, generation: self.generation.saturating_add(1) }
    }
}
