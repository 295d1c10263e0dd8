//! Bundles and one-time prekeys, both sealed by their device (`spec/relay.md`, "Bundles").
//!
//! No memory of its own. A prekey is handed out once: it is removed in the commit before the answer leaves.

mod fetch;
mod put;
mod record;
mod sweep;

pub(crate) use fetch::get_bundle;
pub(crate) use put::{put_bundle, put_prekeys};
pub(crate) use sweep::{drop_prekeys, sweep};
