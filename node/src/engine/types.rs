use undertone_protocol::wire;

use crate::LinkId;
use crate::command::{Ask, CommandError, CommandId, Response};
use crate::event::Event;

/// Why a connection ended or could not be made, in words for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownReason(pub String);

/// What comes in.
#[derive(Debug)]
pub enum Input {
    /// A command.
    Ask(Ask),
    /// The transport to a relay is there, with the right key.
    LinkUp {
        /// Which.
        link: LinkId,
    },
    /// The transport to a relay is gone, or could not be made.
    LinkDown {
        /// Which.
        link: LinkId,
        /// Why.
        reason: DownReason,
    },
    /// A frame from a relay.
    Frame {
        /// On which connection.
        link: LinkId,
        /// The frame.
        frame: wire::Frame,
    },
    /// Time passed.
    Tick,
}

/// What goes out to the network.
#[derive(Debug, Clone, PartialEq)]
pub enum NetOutput {
    /// Connect to a relay; answered by [`Input::LinkUp`] or [`Input::LinkDown`].
    Connect {
        /// Which connection.
        link: LinkId,
        /// Where the relay may be.
        addresses: Vec<String>,
    },
    /// Close a connection to a relay; not answered.
    Disconnect(LinkId),
    /// Send a frame.
    Send {
        /// On which connection.
        link: LinkId,
        /// The frame.
        frame: wire::Frame,
    },
}

/// What goes out to users and programs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most are messages; a transaction has few")]
pub enum Notice {
    /// The answer to a command.
    Reply {
        /// Which command.
        id: CommandId,
        /// The answer.
        result: Box<Result<Response, CommandError>>,
    },
    /// Something happened.
    Event(Event),
}

/// What a transaction gives, to be released when it is durable: first the net, then the notices.
#[derive(Debug, Default)]
pub struct Outputs {
    /// For the network, in order.
    pub net: Vec<NetOutput>,
    /// For users and programs, in order.
    pub notices: Vec<Notice>,
}
