//! The membership document: a group's signed operations, each one change of an Automerge document that every
//! replica builds for itself from the operation's bytes (`spec/groups.md`, "The document").
//!
//! Nothing of Automerge's own comes from outside: neither chunks nor sync messages, only an operation's bytes and
//! their signature. What waits for its parents waits in a table of ours, which is bounded, never in Automerge's
//! queue, which is not. The order in which operations come decides nothing but the order in which they are kept.

mod aside;
mod carrier;
mod held;
mod proof;
mod replica;
mod saved;
mod waiting;

pub use carrier::ExportError;
pub use proof::{Proof, ProofError};
pub use replica::{Document, Released, TakeError, Taken};
pub use saved::LoadError;
pub use waiting::Missing;

#[cfg(test)]
mod tests;
