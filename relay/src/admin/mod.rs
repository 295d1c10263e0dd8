//! What an operator can ask a running relay.

mod socket;
mod status;

pub(crate) use socket::{ask, serve};
pub(crate) use status::{Question, Snapshot};
