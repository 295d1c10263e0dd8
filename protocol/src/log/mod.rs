//! The log of a conversation: a grow-only set of entries with one order (`spec/log.md`).
//!
//! Merging is union. The order is a function of the set alone, so replicas that hold the same entries
//! show the same conversation.

mod annotated;
mod frontier;
mod order;

pub use annotated::{Annotated, Authority, Equals, Made, may_annotate};
pub use frontier::{Frontier, FrontierItem, SeqRange};
pub use order::{OrderKey, effective_time};

#[cfg(test)]
mod tests;
