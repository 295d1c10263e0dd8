use undertone_protocol::ids::{DeviceId, RelayId};
use undertone_protocol::wire;

use crate::conn::ConnId;
use crate::federation::Finding;

/// What happens to a relay.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A connection is up.
    Connected {
        /// Its number.
        conn: ConnId,
        /// Whom the transport (Noise) proved at the other end.
        device: DeviceId,
    },
    /// Another relay has connected.
    RelayConnected {
        /// Its number.
        conn: ConnId,
        /// Whom the transport (Noise) proved at the other end.
        relay: RelayId,
    },
    /// There is the connection that [`Output::Dial`] asked for.
    Dialled {
        /// To which relay.
        relay: RelayId,
        /// Its number.
        conn: ConnId,
    },
    /// There is none.
    DialFailed {
        /// To which relay.
        relay: RelayId,
    },
    /// A relay's record was found, signed and unchecked.
    Found {
        /// The record.
        record: wire::Signed,
    },
    /// A frame came. The shell has bounded its size by `FRAME_BYTES_MAX` and decoded it.
    Frame {
        /// On which connection.
        conn: ConnId,
        /// The frame.
        frame: wire::Frame,
    },
    /// The connection is gone.
    Disconnected {
        /// Which.
        conn: ConnId,
    },
    /// The socket took frames. What was put out and not reported here is the connection's backlog: above
    /// one limit class 2 is dropped, above another the connection is closed. So every frame must be reported once.
    Sent {
        /// On which connection.
        conn: ConnId,
        /// The frames' encoded lengths (`Message::encoded_len`), length prefixes left out.
        bytes: u64,
    },
    /// Time has passed.
    Tick,
}

/// What a relay wants done, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send a frame.
    Send {
        /// On which connection.
        conn: ConnId,
        /// The frame.
        frame: wire::Frame,
    },
    /// Flush and close the connection.
    Close {
        /// Which.
        conn: ConnId,
    },
    /// Connect to another relay.
    Dial {
        /// Which.
        relay: RelayId,
        /// Where it may be: text of clients, not checked.
        addresses: Vec<String>,
    },
    /// Tell or ask whoever finds relays.
    Find(Finding),
}
