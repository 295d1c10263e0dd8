//! Undertone's node: an account's engine, its store and its ways to relays and users.

pub mod account;
mod disk;
pub mod store;
