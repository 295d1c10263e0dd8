//! The running node: one thread owns the engine and its store, and everything else talks to it by queues.
//!
//! What comes in at one time is handled in one transaction; what goes out is released only after the
//! commit: first to the network, then answers and events. When the store fails, everything in memory and
//! all connections are dropped, and the engine is loaded anew from what is durable.

mod create;
mod driver;
mod error;
mod handle;
mod node;
mod os;
mod session;

#[cfg(test)]
pub(crate) mod tests;

pub use create::create_account;
pub use error::NodeError;
pub use handle::{Events, NodeHandle};
pub use node::Node;
pub use os::SystemClock;
pub(crate) use os::fresh_rng;
