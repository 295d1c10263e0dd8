//! What answers say of contacts, messages and devices.

use serde::{Deserialize, Serialize};

use super::message::MessageView;

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
    /// Why it is not, or what the relay refused, or why the connection is not by which this node sends to others there.
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
    /// The group that they ask to be let into, by its link; in the answer to an accept, that they were let into.
    pub group: Option<String>,
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

/// What stands in a history. In JSON `kind` tells which it is: that of a message, or `lost`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum HistoryItem {
    /// Messages that are lost, at their place.
    Lost(LostView),
    /// A message.
    Message(MessageView),
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
    /// `lost`.
    pub kind: String,
    /// The contact or group.
    pub contact: String,
    /// Who wrote them.
    pub from: String,
    /// Whether this user wrote them.
    pub mine: bool,
    /// How many messages.
    pub messages: u64,
}

/// How many messages a command touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountView {
    /// The contact or group.
    pub name: String,
    /// Messages.
    pub messages: usize,
}
