//! Undertone's node: the library that applications embed, and the `undertone` binary on top of it.
//!
//! Deciding parts: [`engine`]. The shell around it: [`store`], [`account`], and what talks to the
//! network and to users.

pub mod account;
pub mod api;
pub mod cli;
pub mod command;
mod disk;
pub mod engine;
pub mod event;
mod gaps;
mod link_id;
pub mod log;
pub mod net;
pub mod runtime;
pub mod store;

pub use link_id::LinkId;
