//! The node's links to relays. Executes, never decides: it connects, sends and disconnects as told, says
//! what happened, and tries nothing a second time. When to connect, and where, is the engine's matter.

mod links;
#[cfg(test)]
mod tests;

pub use links::{Down, NetCommand, NetEvent, NetLimits, NetStopped, Network};
