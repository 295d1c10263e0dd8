//! A relay for Undertone: holds sealed envelopes for devices that are away.
//!
//! Everything that decides is a machine without I/O: [`core::Relay`] takes inputs and puts out frames,
//! reading and writing through an [`store::Overlay`] that the shell commits before it releases what
//! was put out. Modules in import order: a module imports only from those above it.

mod conn;
mod frames;
pub mod limits;
pub mod metrics;
pub mod store;

mod answer;

mod admission;
mod bundles;
mod federation;
mod mailbox;
mod session;

pub mod core;
pub mod migration;
pub mod restored;
pub mod writer;

pub use federation::{Policy, PolicyKind};

pub mod config;
mod data_dir;
mod key;

mod gateway;

mod admin;

mod server;

pub mod cli;
