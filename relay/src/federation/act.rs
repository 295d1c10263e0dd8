use ed25519_dalek::SigningKey;
use rand_core::CryptoRng;
use undertone_protocol::ids::{PublishId, RelayId};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, Frame, frame::Body};

use super::Policy;
use crate::conn::ConnId;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::store::owner::Owner;

/// What happens to [`super::Source`].
#[derive(Debug)]
pub(crate) enum Event {
    /// There is a connection to another relay, as was asked for.
    Dialled { relay: RelayId, conn: ConnId },
    /// There is none.
    DialFailed { relay: RelayId },
    /// A frame came on such a connection.
    Frame { conn: ConnId, frame: Frame },
    /// A connection is gone: one to a relay, or one of a device.
    Gone { conn: ConnId },
    /// A relay's record was found.
    Found { record: wire::Signed },
    /// A device said hello, and may have answers to take.
    Greeted { conn: ConnId, owner: Owner },
    /// A device has taken these answers.
    Taken { owner: Owner, forwards: Vec<PublishId> },
    /// Time has passed.
    Tick,
}

/// What [`super::Source`] wants done, once what it wrote is durable.
#[derive(Debug)]
pub(crate) enum Act {
    Send { conn: ConnId, frame: Frame },
    Close { conn: ConnId },
    Dial { relay: RelayId, addresses: Vec<String> },
    Find(Finding),
}

/// What whoever finds relays is told, or asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A relay is there.
    Known {
        /// Which.
        relay: RelayId,
        /// Where: text of that relay or of the operator, not checked.
        addresses: Vec<String>,
    },
    /// This is the relay's newest record.
    Announced {
        /// Signed by it.
        record: wire::Signed,
    },
    /// Where is it? What is found comes as `Input::Found`; nothing, if nothing is.
    Sought {
        /// Which.
        relay: RelayId,
        /// Whether a device asks, and nothing waits for it: that makes way for what does.
        for_device: bool,
    },
}

/// What the machine decides by, beside the store.
pub(crate) struct Cx<'a> {
    pub(crate) now: Timestamp,
    pub(crate) limits: &'a Limits,
    pub(crate) policy: &'a Policy,
    pub(crate) key: &'a SigningKey,
    pub(crate) rng: &'a mut dyn CryptoRng,
    pub(crate) metrics: &'a mut Metrics,
    pub(crate) acts: &'a mut Vec<Act>,
}

impl Cx<'_> {
    pub(super) fn send(&mut self, conn: ConnId, request: u64, body: Body) {
        self.acts.push(Act::Send { conn, frame: Frame { request, body: Some(body) } });
    }
}
