//! What nodes and relays share over libp2p: one long-lived stream of length-delimited frames per
//! connection, over TCP or WebSocket, noise and yamux. `protocol/spec/wire.md` has the bytes.
//!
//! A device dials ([`dial`]), a relay listens ([`listen`]) and dials other relays. This crate carries frames and proves keys;
//! what a frame means, when to dial again and who is silent for too long are decided by its callers.

mod address;
mod behaviour;
mod budget;
mod client;
mod finder;
mod frame;
mod gate;
mod identity;
mod muxer;
mod protocol;
mod pump;
mod queue;
mod server;
mod sockets;
mod swarm;
#[cfg(test)]
mod tests;
mod tls;
mod websocket;

pub use address::{Address, AddressError, RelayAddress};
pub use budget::{Budget, Weight};
pub use client::{DialError, DialOptions, LinkReceiver, dial};
pub use finder::{Find, FinderOptions};
pub use frame::{FrameError, FrameReader, FrameWriter, PREFIX_BYTES, Received};
pub use gate::GateLimits;
pub use identity::{ForeignKey, Identity, relay_from_text};
pub use protocol::Protocol;
pub use pump::CloseReason;
pub use queue::{CLOSE_WAIT, FrameSender, QueueLimits, SendError};
pub use server::{LinkId, ListenError, ListenOptions, Listener, ServerEvent, listen};
pub use swarm::SetupError;
pub use tls::{Certificate, Roots, TlsError};
