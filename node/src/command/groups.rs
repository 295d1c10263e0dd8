//! What is asked of groups, and shown of them.

use serde::{Deserialize, Serialize};

/// A change of a group's settings: what is `None` stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupChange {
    /// What the group is called.
    pub name: Option<String>,
    /// What it is about.
    pub description: Option<String>,
    /// The least role that may add members and make links: `owner`, `admin` or `member`.
    pub may_add: Option<String>,
    /// The least role that may write.
    pub may_write: Option<String>,
    /// Whether new members get what was written before.
    pub history: Option<bool>,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupView {
    /// What it is called.
    pub name: String,
    /// Its id, in hexadecimal.
    pub group: String,
    /// `in`, or `out`: the user left, or was removed.
    pub state: String,
    /// Who is in, this user included.
    pub members: Vec<GroupMemberView>,
    /// What holds there.
    pub settings: GroupSettingsView,
    /// Invitation links that were not taken back.
    pub links: Vec<GroupLinkView>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMemberView {
    /// What they are called.
    pub name: String,
    /// The user, in hexadecimal.
    pub user: String,
    /// `owner`, `admin` or `member`.
    pub role: String,
    /// Whether they act as owner, as there is none.
    pub acts_as_owner: bool,
    /// Whether it is this user.
    pub me: bool,
}

/// What holds in a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSettingsView {
    /// What it is about; may be empty.
    pub description: String,
    /// The least role that may add members and make links.
    pub may_add: String,
    /// The least role that may write.
    pub may_write: String,
    /// Whether new members get what was written before.
    pub history: bool,
    /// Messages disappear after so many seconds; 0: they stay.
    pub timer_s: u64,
}

/// An invitation link of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupLinkView {
    /// The operation that made it, in hexadecimal: names it.
    pub link: String,
    /// Who made it.
    pub maker: String,
    /// When it ends, in milliseconds since 1970; `None`: never.
    pub expires_ms: Option<u64>,
}
