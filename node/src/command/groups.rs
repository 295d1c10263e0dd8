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
    /// Messages written from then on vanish after so many seconds; 0: they stay.
    pub timer_s: Option<u64>,
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
    /// Messages vanish after so many seconds; 0: they stay.
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

/// A span of time in words, in the largest unit that it has whole: `90 minutes`, `1 day`.
pub(crate) fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(604_800, "week"), (86_400, "day"), (3_600, "hour"), (60, "minute")];
    let whole = UNITS.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    let (unit, name) = whole.unwrap_or((1, "second"));
    let count = seconds.checked_div(unit).unwrap_or_default();
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::span;

    #[test]
    fn spans_are_in_the_largest_unit_that_is_whole() {
        let spans = [1, 90, 60, 5_400, 86_400, 90_000, 1_209_600].map(span);
        let expected = ["1 second", "90 seconds", "1 minute", "90 minutes", "1 day", "25 hours", "2 weeks"];
        assert_eq!(spans, expected);
    }
}
