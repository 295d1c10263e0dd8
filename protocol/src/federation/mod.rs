//! Relay to relay, and the route that only the destination reads (`spec/federation.md`).
//!
//! A sender hands a *parcel* to a home relay, which passes it on byte by byte. Payloads are in sight; who gets them is
//! sealed to the destination's routing key, and so is the destination's answer to the sender.

mod circuit;
mod notice;
mod parcel;
mod relay_record;
mod routing_key;

pub use circuit::{AnswerKey, Circuit, CircuitError, CircuitKeys};
pub use notice::{DeadLetter, DeadLetterReason, Waiting};
pub use parcel::{ENC_BYTES, Outgoing, OutgoingItem, Parcel, ParcelItem};
pub use relay_record::RelayRecord;
pub use routing_key::{RoutingKey, RoutingKeyId, RoutingSecret};

#[cfg(test)]
mod tests;
