//! Which connection drains which mailbox, and how much it may be sent (`spec/relay.md`, "Sessions").
//!
//! Memory only. A window is the smaller of the client's credit and the relay's own bound on what is
//! unacknowledged, so a session holds at most that many sequence numbers.

mod lane;
mod sessions;

pub(crate) use lane::Lane;
pub(crate) use sessions::{Session, Sessions};
