//! What happens, as it happens: for `watch`, the local API and programs that embed a node.

use serde::{Deserialize, Serialize};

use crate::command::{ContactView, GroupView, LostView, MessageView};

/// Something that happened. It is told only after it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A message came.
    Message {
        /// The message.
        message: MessageView,
    },
    /// A message shows otherwise than before: somebody reacted, edited, deleted or pinned.
    Changed {
        /// The message as it shows now.
        message: MessageView,
    },
    /// A message shows no more: the user deleted it for themselves, on another of their devices, or its time is over.
    Hidden {
        /// The message's id, in hexadecimal.
        id: String,
    },
    /// A message of one's own came further, or failed.
    Tick {
        /// The contact.
        contact: String,
        /// The message's id, in hexadecimal.
        id: String,
        /// How far it has come: see [`MessageView::state`].
        state: String,
        /// Why it does not get further.
        #[serde(skip_serializing_if = "Option::is_none")]
        failed: Option<String>,
    },
    /// Somebody asks to be a contact.
    Request {
        /// Who.
        contact: ContactView,
    },
    /// A contact let us in, or we them.
    Accepted {
        /// Who.
        contact: ContactView,
    },
    /// What another device wrote is lost: nobody supplied it for long.
    Lost {
        /// What.
        lost: LostView,
    },
    /// Something about a contact changed: its identity, or a request that was refused.
    Contact {
        /// Who.
        contact: ContactView,
    },
    /// A group is another than before: who is in it, or what holds there.
    Group {
        /// Which.
        group: Box<GroupView>,
    },
    /// The user's own devices are others than before: one was added, or revoked.
    Devices {},
    /// This device's store turned out to be an old copy: nothing goes out of it any more.
    RolledBack {},
    /// A copy of this device's store turned out to be in use: nothing goes out of this one any more.
    Copied {},
    /// The connection to a relay is up and greeted.
    RelayUp {
        /// The relay's key, in hexadecimal.
        relay: String,
    },
    /// The connection to a relay is gone.
    RelayDown {
        /// The relay's key, in hexadecimal.
        relay: String,
        /// Why.
        reason: String,
    },
    /// More happened than this watcher could take: it has to read the history.
    Missed {
        /// How many events.
        count: u64,
    },
}
