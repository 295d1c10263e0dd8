//! What a user, or a program, can ask of a node, and what it answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Names a command among those that are not answered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CommandId(pub u64);

/// What can be asked. In JSON `{"method": .., "params": {..}}`, as the local API has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Who am I?
    Id {},
    /// How are the connections, the outbox, the requests?
    Status {},
    /// A link that lets others ask to be contacts.
    Invite {
        /// How many may use it.
        uses: u32,
        /// How long it is good; in JSON `life_s`, in seconds.
        #[serde(rename = "life_s", with = "seconds")]
        life: Duration,
    },
    /// Asks somebody, by their link, to be a contact.
    ContactAdd {
        /// The link.
        link: String,
        /// What to call them instead of what they call themselves.
        #[serde(default)]
        name: Option<String>,
        /// A first text, shown with the request.
        #[serde(default)]
        message: Option<String>,
    },
    /// All contacts and requests.
    ContactList {},
    /// Lets somebody in who asked.
    ContactAccept {
        /// The contact.
        name: String,
    },
    /// Turns down somebody who asked. They are not told.
    ContactDecline {
        /// The contact.
        name: String,
    },
    /// Wants nothing from somebody any more: their messages are refused, and nothing of theirs shows.
    ContactBlock {
        /// The contact.
        name: String,
    },
    /// Takes a block back: they can write again.
    ContactUnblock {
        /// The contact.
        name: String,
    },
    /// The safety number with a contact.
    ContactVerify {
        /// The contact.
        name: String,
        /// The user compared the numbers, and they were the same.
        #[serde(default)]
        confirm: bool,
    },
    /// Sends a text.
    Send {
        /// The contact.
        name: String,
        /// The text.
        text: String,
    },
    /// Tries failed messages again.
    Retry {
        /// The contact.
        name: String,
    },
    /// The last messages with a contact.
    History {
        /// The contact.
        name: String,
        /// How many at most.
        limit: usize,
    },
    /// Marks everything received from a contact as read.
    Read {
        /// The contact.
        name: String,
    },
    /// Makes a group of which this user is the owner.
    GroupCreate {
        /// What it is called.
        name: String,
        /// Contacts to add to it.
        #[serde(default)]
        members: Vec<String>,
    },
    /// Lets contacts into a group.
    GroupAdd {
        /// The group.
        group: String,
        /// The contacts.
        members: Vec<String>,
        /// `owner`, `admin` or `member`.
        #[serde(default = "member")]
        role: String,
    },
    /// Puts a member out.
    GroupRemove {
        /// The group.
        group: String,
        /// Who.
        member: String,
    },
    /// Gives a member another role.
    GroupRole {
        /// The group.
        group: String,
        /// Who.
        member: String,
        /// `owner`, `admin` or `member`.
        role: String,
    },
    /// Goes out of a group.
    GroupLeave {
        /// The group.
        group: String,
        /// Who becomes owner: needed of the last one.
        #[serde(default)]
        successor: Option<String>,
    },
    /// Changes a group's settings.
    GroupSet {
        /// The group.
        group: String,
        /// What is another than before.
        change: GroupChange,
    },
    /// All groups.
    GroupList {},
    /// One group: its members and settings.
    GroupShow {
        /// The group.
        group: String,
    },
    /// What this new device shows, so that another one of its user can add it.
    DeviceCode {},
    /// Makes the device of a code one of this user's.
    DeviceAdd {
        /// The code.
        code: String,
    },
    /// This user's devices.
    DeviceList {},
    /// Takes a device out: it gets nothing more.
    DeviceRevoke {
        /// The device's name, or the beginning of its id.
        name: String,
    },
}

fn member() -> String {
    "member".to_owned()
}

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

/// Durations as whole seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(duration.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}

/// A command with how long its answer may wait for the network.
///
/// Commands that send something are answered when a relay has it, or when `wait` is over; the answer says
/// how far it has come.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Names the answer.
    pub id: CommandId,
    /// What is asked.
    pub command: Command,
    /// The longest wait; zero: none.
    pub wait: Duration,
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Response {
    /// To [`Command::Id`].
    Id(IdView),
    /// To [`Command::Status`].
    Status(StatusView),
    /// To [`Command::Invite`].
    Invitation(InvitationView),
    /// To [`Command::ContactAdd`], [`Command::ContactAccept`], [`Command::ContactDecline`],
    /// [`Command::ContactBlock`] and [`Command::ContactUnblock`].
    Contact(ContactView),
    /// To [`Command::ContactList`].
    Contacts(Vec<ContactView>),
    /// To [`Command::ContactVerify`].
    SafetyNumber(SafetyNumberView),
    /// To [`Command::Send`].
    Message(MessageView),
    /// To [`Command::History`].
    History(Vec<HistoryItem>),
    /// To [`Command::Read`] and [`Command::Retry`].
    Count(CountView),
    /// To all commands about one group.
    Group(Box<GroupView>),
    /// To [`Command::GroupList`].
    Groups(Vec<GroupView>),
    /// To [`Command::DeviceCode`].
    DeviceCode(DeviceCodeView),
    /// To [`Command::DeviceAdd`] and [`Command::DeviceRevoke`].
    Device(DeviceView),
    /// To [`Command::DeviceList`].
    Devices(Vec<DeviceView>),
}

/// Who this node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdView {
    /// What the user calls themselves.
    pub name: String,
    /// The user, in hexadecimal.
    pub user: String,
    /// This device, in hexadecimal.
    pub device: String,
}

/// What a new device shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceCodeView {
    /// The code; `None` when the device belongs to a user already.
    pub code: Option<String>,
    /// Whether a relay knows the device: until then it can't be answered.
    pub ready: bool,
    /// What keeps it from being ready, where that is known.
    pub problem: Option<String>,
}

/// A device of this user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceView {
    /// What it is called.
    pub name: String,
    /// Its key, in hexadecimal.
    pub device: String,
    /// Whether it is this one.
    pub this: bool,
    /// `active`; `revoked`; `linking`: added, and not heard of yet; `waiting`: added, and its relay not reached yet.
    pub state: String,
    /// When it was added, in milliseconds since 1970.
    pub added_ms: u64,
    /// What the user has to know of it.
    pub warning: Option<String>,
}

/// How the node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// Who this node is.
    pub id: IdView,
    /// `active`; `linking`: it waits to be added by another device of its user; `revoked`; `rolled back`; `copied`.
    pub device_state: String,
    /// What the user has to know of their own identity or device.
    pub warning: Option<String>,
    /// The relays that it uses.
    pub relays: Vec<RelayView>,
    /// Things on their way out.
    pub outbox: usize,
    /// Requests that wait for the user.
    pub requests: usize,
    /// Requests beyond these, which show when some of these were answered.
    pub requests_kept: usize,
    /// Contacts, those not counted that were declined or blocked.
    pub contacts: usize,
}

/// How the connection to a relay is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayView {
    /// The relay's key, in hexadecimal.
    pub relay: String,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// Whether this node has a mailbox there.
    pub home: bool,
    /// Whether the connection is up and greeted.
    pub connected: bool,
    /// Why it is not, or what the relay refused.
    pub problem: Option<String>,
}

/// An invitation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvitationView {
    /// The link.
    pub link: String,
    /// How many may use it.
    pub uses: u32,
    /// When it ends, in milliseconds since 1970.
    pub expires_ms: u64,
    /// Whether a home relay knows it already; until then a request by it is refused.
    pub ready: bool,
    /// What keeps it from being ready, where that is known.
    pub problem: Option<String>,
}

/// A contact or a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactView {
    /// What the user calls them.
    pub name: String,
    /// The user, in hexadecimal.
    pub user: String,
    /// `requesting` (we asked), `requested` (they asked), `declined`, `accepted`, `blocked`.
    pub state: String,
    /// Whether safety numbers were compared.
    pub verified: bool,
    /// What is wrong: an identity that changed, a request that was refused.
    pub warning: Option<String>,
    /// The first text of a request.
    pub message: Option<String>,
    /// Whether our request, or accept, is at their relay.
    pub introduced: bool,
}

/// The safety number with a contact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SafetyNumberView {
    /// The contact.
    pub name: String,
    /// 60 digits in groups of five.
    pub number: String,
    /// Whether the user compared it.
    pub verified: bool,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageView {
    /// Its id, in hexadecimal.
    pub id: String,
    /// The contact.
    pub contact: String,
    /// Who wrote it: the contact's name, or one's own.
    pub from: String,
    /// Whether this user wrote it.
    pub mine: bool,
    /// The text.
    pub text: String,
    /// The author's clock, in milliseconds since 1970.
    pub time_ms: u64,
    /// One's own: `queued`, `waiting`, `sent`, `delivered`, `read`. Others': `received`, `read`.
    pub state: String,
    /// Why it does not get further.
    pub failed: Option<String>,
    /// What it waits for, while queued.
    pub note: Option<String>,
}

/// What stands in a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum HistoryItem {
    /// A message.
    Message(MessageView),
    /// Messages that are lost, at their place.
    Lost(LostView),
}

impl HistoryItem {
    /// The message, if it is one.
    pub fn message(self) -> Option<MessageView> {
        match self {
            Self::Message(view) => Some(view),
            Self::Lost(_) => None,
        }
    }
}

/// Messages that one device wrote in a row and that nobody supplied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostView {
    /// The contact.
    pub contact: String,
    /// Who wrote them: the contact's name, or one's own.
    pub from: String,
    /// Whether this user wrote them.
    pub mine: bool,
    /// How many messages.
    pub messages: u64,
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

/// How many messages a command touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountView {
    /// The contact.
    pub name: String,
    /// Messages.
    pub messages: usize,
}

/// Why a command was not carried out: nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// What kind of error.
    pub kind: ErrorKind,
    /// What was wrong and what to do.
    pub message: String,
}

/// Kinds of errors, for programs; also the exit codes of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// What was given makes no sense.
    Invalid,
    /// No such contact, or device.
    Unknown,
    /// Not possible as things stand.
    Conflict,
    /// A limit would be passed.
    Limit,
    /// A relay or contact refused.
    Refused,
    /// The node failed.
    Internal,
}

impl ErrorKind {
    /// The exit code of the command line, and the code of the local API's error (negated, below -32000).
    pub const fn code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Invalid => 3,
            Self::Unknown => 4,
            Self::Conflict => 5,
            Self::Limit => 6,
            Self::Refused => 7,
        }
    }

    /// The kind with this code.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Internal,
            3 => Self::Invalid,
            4 => Self::Unknown,
            5 => Self::Conflict,
            6 => Self::Limit,
            7 => Self::Refused,
            _ => return None,
        })
    }
}

impl CommandError {
    /// An error of a kind with its text.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}
