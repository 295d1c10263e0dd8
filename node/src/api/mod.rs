//! The local API: JSON-RPC 2.0 over WebSocket on the loopback interface, for programs of the same user.
//!
//! Methods are named like the commands, parameters are named objects as [`Command`](crate::command::Command)
//! has them, and each takes `wait_ms` besides: the longest that its answer may wait for the network. Results
//! are the views of [`crate::command`]. The subscription `watch` gives [`Event`](crate::event::Event)s.
//! Errors have the code -32000 less [`ErrorKind::code`](crate::command::ErrorKind::code).
//!
//! `api.json` in the account's directory, readable by its owner only, says where the API is and which token
//! a request must bring as `Authorization: Bearer TOKEN`. Whatever a browser sends on behalf of a page is
//! refused: it brings an `Origin`, or the `Host` of the page.

mod auth;
mod client;
mod file;
mod methods;
mod server;

#[cfg(test)]
mod tests;

pub use client::{Client, ClientEvents, ConnectError};
pub use file::{ApiFile, FileError};
pub use server::{ApiError, Server};
