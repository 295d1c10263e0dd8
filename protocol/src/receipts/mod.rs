//! Receipts: what moves a message's ticks (`spec/receipts.md`).
//!
//! A custody receipt is the relay's signature that it holds envelopes (*sent*). An acknowledgement entry
//! is a device's signature that it has, or that its user has read, everything up to a frontier
//! (*delivered*, *read*).

mod authors;

mod acknowledgement;
mod custody;
mod tick;

mod parts;

pub use acknowledgement::{Acknowledgement, AcknowledgementError, AcknowledgementFields};
pub use authors::Authors;
pub use custody::{CustodyReceipt, Denial, ItemOutcome, Outcome};
pub use tick::Tick;

#[cfg(test)]
mod tests;
