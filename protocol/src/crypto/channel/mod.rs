//! The pairwise channel: HPKE base mode with X-Wing, to one device, one way (`spec/crypto.md`, "Pairwise channel").
//!
//! It hides who sends, and is what a later quantum computer would have to break; it does not
//! authenticate the sender: Olm and signatures inside do. Its opening envelopes carry the 1,120 bytes of
//! key encapsulation until the peer acknowledged one, later ones a tag that no relay can link.

mod error;
mod inbound;
mod keys;
mod outbound;
mod window;

pub use error::ChannelError;
pub use inbound::{InboundChannel, opening_hash};
pub use outbound::OutboundChannel;

#[cfg(test)]
mod tests;
