//! What a user, or a program, can ask of a node, and what it answers.

mod error;
mod groups;
mod message;
mod quoted;
mod relays;
mod views;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::error::{CommandError, ErrorKind};
pub(crate) use self::groups::span;
pub use self::groups::{GroupChange, GroupLinkView, GroupMemberView, GroupSettingsView, GroupView};
pub use self::message::{
    ChangeView, DeviceInfo, InfoView, MemberInfo, MentionView, MessageView, ReactionView, ReplyView,
};
pub(crate) use self::quoted::quoted;
pub use self::relays::HomeRelayView;
pub(crate) use self::relays::{NamedRelay, relay_addresses};
pub use self::views::{
    ContactView, CountView, DeviceCodeView, DeviceView, HistoryItem, IdView, InvitationView, LostView,
    RelayView, SafetyNumberView, StatusView,
};

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
    /// Sends a text that answers a message.
    Reply {
        /// The contact.
        name: String,
        /// The message: the beginning of its id, six digits at least, that no other message there has.
        message: String,
        /// The text.
        text: String,
    },
    /// Sends a message's text on to somebody else.
    Forward {
        /// The contact whose conversation it stands in.
        name: String,
        /// The message.
        message: String,
        /// The contact who gets it.
        to: String,
    },
    /// Reacts to a message, in the place of an earlier reaction.
    React {
        /// The contact.
        name: String,
        /// The message.
        message: String,
        /// The reaction; empty: none any more.
        reaction: String,
    },
    /// Puts another text in the place of one's own.
    Edit {
        /// The contact.
        name: String,
        /// The message.
        message: String,
        /// The text.
        text: String,
    },
    /// Deletes a message: one's own for everyone, or any for oneself.
    Delete {
        /// The contact.
        name: String,
        /// The message.
        message: String,
        /// On this user's devices only.
        #[serde(default)]
        for_me: bool,
    },
    /// Pins a message for everyone in the conversation.
    Pin {
        /// The contact.
        name: String,
        /// The message.
        message: String,
        /// Takes the pin off instead.
        #[serde(default)]
        off: bool,
    },
    /// Who has a message, and who read it?
    Info {
        /// The contact.
        name: String,
        /// The message.
        message: String,
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
    /// A link by which others can ask to be let into a group.
    GroupLink {
        /// The group.
        group: String,
        /// How many may use it.
        uses: u32,
        /// How long it is good; in JSON `life_s`, in seconds.
        #[serde(rename = "life_s", with = "seconds")]
        life: Duration,
    },
    /// Takes a link back.
    GroupUnlink {
        /// The group.
        group: String,
        /// The beginning of its name, six digits at least.
        link: String,
    },
    /// Asks to be let into a group, by its link.
    GroupJoin {
        /// The link.
        link: String,
        /// A first text, shown with the request.
        #[serde(default)]
        message: Option<String>,
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
    /// This device's home relays.
    RelayList {},
    /// Makes a relay one of this device's; or says anew where one is, or how much it is preferred.
    RelayAdd {
        /// Its addresses, each with its key.
        addresses: Vec<String>,
        /// Lower is preferred; `None`: after the others.
        #[serde(default)]
        priority: Option<u32>,
    },
    /// Gives a home relay up.
    RelayRemove {
        /// One of its addresses, or the beginning of its key, six digits at least.
        relay: String,
    },
    /// Takes a relay in the place of all others.
    RelayMove {
        /// Its addresses, each with its key.
        addresses: Vec<String>,
    },
}

fn member() -> String {
    "member".to_owned()
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
    /// To [`Command::Send`], [`Command::Reply`], [`Command::Forward`], [`Command::React`], [`Command::Edit`],
    /// [`Command::Pin`], and [`Command::Delete`] for everyone.
    Message(MessageView),
    /// To [`Command::Info`].
    Info(InfoView),
    /// To [`Command::History`].
    History(Vec<HistoryItem>),
    /// To [`Command::Read`], [`Command::Retry`], and [`Command::Delete`] for oneself.
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
    /// To [`Command::RelayList`], [`Command::RelayAdd`], [`Command::RelayRemove`] and [`Command::RelayMove`]: all home
    /// relays as they are then.
    Relays(Vec<HomeRelayView>),
}
