//! What answers and events say of a message.

use serde::{Deserialize, Serialize};

/// A message, as it shows now.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageView {
    /// `text`; `notice`: what happened in the conversation, such as who was added to a group; `unknown`: made by a newer
    /// version.
    pub kind: String,
    /// Its id, in hexadecimal.
    pub id: String,
    /// The contact or group.
    pub contact: String,
    /// Who wrote it, or did what a notice tells.
    pub from: String,
    /// Whether this user wrote it.
    pub mine: bool,
    /// The text; empty when it was deleted. That of a notice stands in parentheses.
    pub text: String,
    /// The author's clock, in milliseconds since 1970.
    pub time_ms: u64,
    /// One's own: `queued`, `waiting`, `sent`, `delivered`, `read`. Others': `received`, `read`.
    pub state: String,
    /// Why it does not get further.
    pub failed: Option<String>,
    /// Whether `Retry` tries it again.
    #[serde(default)]
    pub retry: bool,
    /// What it waits for, while queued.
    pub note: Option<String>,
    /// What it answers.
    pub reply_to: Option<Box<ReplyView>>,
    /// Whom it mentions.
    pub mentions: Vec<MentionView>,
    /// Whether somebody else wrote the text first, or it was said elsewhere.
    pub forwarded: bool,
    /// Whether its author changed it.
    pub edited: bool,
    /// Whether it was deleted for everyone: nothing of it is left to see.
    pub deleted: bool,
    /// Whether it is pinned.
    pub pinned: bool,
    /// Who reacted how, by user.
    pub reactions: Vec<ReactionView>,
    /// In the answer to a command that changed it: the change.
    pub change: Option<Box<ChangeView>>,
}

/// A message that is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplyView {
    /// Its id, in hexadecimal.
    pub id: String,
    /// Who wrote it; `None`: it is not here, or not to be seen.
    pub from: Option<String>,
    /// How it begins; `None`: it is not here, or not to be seen.
    pub text: Option<String>,
    /// Whether it was deleted for everyone.
    pub deleted: bool,
}

/// A user who is mentioned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MentionView {
    /// The user, in hexadecimal.
    pub user: String,
    /// What they are called here; the beginning of their id where they are unknown.
    pub name: String,
    /// Whether it is this user.
    pub me: bool,
}

/// A reaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReactionView {
    /// Whose.
    pub from: String,
    /// Whether it is one's own.
    pub mine: bool,
    /// Which.
    pub reaction: String,
}

/// What somebody did to a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeView {
    /// The id of its own entry, in hexadecimal.
    pub id: String,
    /// `reaction`, `reaction_off`, `edit`, `delete`, `pin`, `pin_off`.
    pub kind: String,
    /// Who did it.
    pub from: String,
    /// Whether this user did it.
    pub mine: bool,
    /// Their clock, in milliseconds since 1970.
    pub time_ms: u64,
    /// How far it has come: see [`MessageView::state`].
    pub state: String,
    /// Why it does not get further.
    pub failed: Option<String>,
    /// Whether `Retry` tries it again.
    #[serde(default)]
    pub retry: bool,
    /// What it waits for, while queued.
    pub note: Option<String>,
}

/// Who has a message, and who read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfoView {
    /// The message.
    pub message: MessageView,
    /// Whom it is for.
    pub members: Vec<MemberInfo>,
    /// What was done to it and counts, in order.
    pub changes: Vec<ChangeView>,
}

/// How far a message has come with one user. Times are those of the first acknowledgement that this device saw and that
/// covers the message: the other device's clock when it signed, not when it had the message; `None`: not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberInfo {
    /// The user, in hexadecimal.
    pub user: String,
    /// What they are called.
    pub name: String,
    /// `waiting`: no device of theirs said that it has it; `delivered`; `read`.
    pub state: String,
    /// When the first of their devices said that it has it, in milliseconds since 1970.
    pub delivered_ms: Option<u64>,
    /// When the first of their devices said that it was read.
    pub read_ms: Option<u64>,
    /// The same of each device.
    pub devices: Vec<DeviceInfo>,
}

/// How far a message has come with one device: see [`MemberInfo`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// Its key, in hexadecimal.
    pub device: String,
    /// What it is called.
    pub name: String,
    /// `waiting`, `delivered`, `read`.
    pub state: String,
    /// When it said that it has it.
    pub delivered_ms: Option<u64>,
    /// When it said that it was read.
    pub read_ms: Option<u64>,
}
