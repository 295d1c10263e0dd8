//! Who may do what: connections, rates, mailbox ownership and delivery tokens
//! (`spec/relay.md`, `spec/tokens.md`).

mod connections;
mod rates;

pub(crate) use connections::{Connection, Connections};
pub(crate) use rates::{RateClock, TooFast};
