//! The node's deciding part: commands, frames and time in; frames, answers and events out.
//!
//! # The contract
//!
//! The shell runs, in one [`crate::store::NodeStore::transaction`], any number of [`Engine::handle`] and then
//! one [`Engine::settle`]. When the transaction is durable it carries out [`Outputs::net`] in order, and
//! only then hands out [`Outputs::notices`]: persist, then send, then notify. When the transaction fails
//! it drops the outputs, the engine and every connection and loads anew: what the engine holds in memory
//! can be rebuilt, but it may be ahead of the store. It calls `handle` with [`Input::Tick`] at or after
//! [`Engine::next_deadline`].
//!
//! Nothing in here reads a clock, draws randomness from the operating system or does I/O.

mod agenda;
mod bundles;
mod commands;
mod contacts;
mod context;
mod direct;
mod frames;
mod home;
mod inbox;
mod introductions;
mod links;
mod pairwise;
mod publish;
mod receipts;
mod run;
mod sealing;
mod setup;
mod views;
mod waiters;

pub use context::Me;
pub use links::{DownReason, MAX_LINKS};
pub use run::{Engine, Input, LoadError, NetOutput, Notice, Outputs};
pub use setup::{NewAccount, create_account};

#[cfg(test)]
mod tests;
