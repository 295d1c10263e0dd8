//! Mailboxes: a durable sequence for each (mailbox, class), payloads stored once, deduplication and
//! expiry (`spec/relay.md`, "Mailboxes").
//!
//! The machine has no memory of its own: everything is in the store. Invariants: a sequence number is
//! given once; a payload is in the store exactly while an entry refers to it; an entry leaves only by
//! the device's acknowledgement or at the end of its custody.

mod ack;
mod enqueue;
mod entries;
mod queue;
mod recount;
mod sweep;

pub(crate) use ack::{AckSpans, acknowledge, acknowledge_each, acknowledge_through};
pub(crate) use enqueue::{Enqueue, Enqueued, Known, enqueue, extend, known};
pub(crate) use entries::{Entry, entries, payload};
#[cfg(test)]
pub(crate) use queue::Queue;
pub(crate) use queue::{DurableClass, queue};
pub(crate) use recount::recount;
pub(crate) use sweep::sweep;

#[cfg(test)]
mod tests;
