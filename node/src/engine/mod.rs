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

#![deny(clippy::print_stdout, clippy::print_stderr)]

// In import order: a module imports only from those above it.
mod clock;
mod latency;
mod looks;
mod refusals;
mod routing;

mod agenda;
mod documents;
mod types;

mod context;
mod intake;

mod asked;
mod questions;
mod link;

mod links;
mod names;
mod routes;
mod ways;
mod outgoing;
mod custodians;
mod own;
mod circle;
mod admission;
mod membership;
mod acknowledged;
mod elsewhere;
mod vanishing;
mod writing;
mod shown;
mod texts;
mod warnings;
mod views;
mod changes;
mod info;

mod revocations;

mod home;

mod addresses;
mod keys;
mod own_list;
mod pairwise;

mod members;
mod lists;
mod resend;

mod acknowledgements;
mod custody;
mod group_acknowledging;
mod acknowledging;
mod ticks;
mod progress;

mod sealing;
mod sender_keys;
mod received_keys;

mod offered;
mod offers;
mod forks;
mod history;
mod receipts;

mod healing;

mod groups;
mod losses;

mod introducing;
mod introductions;
mod relays;
mod finding;

mod blocking;
mod contacts;
mod direct;
mod linking;

mod arrivals;
mod fetches;
mod bundles;
mod conclusions;
mod outcomes;
mod sweep;

mod checkpoints;
mod drafts;
mod forwards;
mod publish;
mod records;

mod inbox;

mod frames;
mod setup;
mod waiters;

mod answers;
mod messages;
mod lines;

mod devices;
mod relay_commands;
mod group_names;
mod group_commands;
mod group_links;

mod commands;

mod run;

pub use context::Me;
pub use links::LINKS_MAX;
pub use run::{Engine, LoadError};
pub use setup::{NewAccount, Origin, SetupError, create_account};
pub use types::{DownReason, Input, NetOutput, Notice, Outputs};

#[cfg(test)]
mod tests;
