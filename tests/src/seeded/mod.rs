//! Deliberate faults: the project is built with one at a time, and what watches over it must catch each.
//!
//! The faults stand in `tests/faults.toml`. A [`Workshop`] is a copy of the source to break.

mod fault;
mod workshop;

pub use fault::{Catch, Fault, faults};
pub use workshop::{Ran, Workshop};
