//! The relay's one machine: connections and frames in, frames out.
//!
//! # Drain contract
//!
//! The shell hands any number of inputs to [`Relay::handle`] on one [`crate::store::Overlay`], collecting
//! the outputs in one list; then it commits the overlay's batch; only then it releases all outputs, in
//! order (persist, then send). An overlay whose batch is empty needs no commit. On a [`crate::store::StoreError`] from `handle` or
//! from the commit the shell drops the outputs, the machine and every connection, and starts anew from
//! the store: what the machine holds in memory (sessions, rates) can be rebuilt, but it may be ahead of
//! the store.
//!
//! After [`Output::Close`] the shell flushes what was put out for that connection and closes it; frames
//! that still come from it are ignored, and [`Input::Disconnected`] for it is welcome but not needed.
//! [`Output::Dial`] is answered by [`Input::Dialled`], with a number of its own for the connection, or by
//! [`Input::DialFailed`].
//! [`Output::Find`] is for whoever finds relays, if somebody does; what it finds comes as [`Input::Found`].
//! The shell gives [`Input::Tick`] at or after [`Relay::next_tick`], which is asked again after every drain. As its clock may
//! be set back meanwhile, it asks [`Relay::wants_tick`] every now and then.

mod backlog;
mod carry;
mod deliver;
mod drain;
mod forward;
mod outgoing;
mod publish;
mod relay;
mod requests;
mod sweeps;
mod tick;
mod types;

#[cfg(test)]
mod tests;

pub use crate::conn::ConnId;
pub use crate::federation::Finding;
pub use relay::Relay;
pub use types::{Input, Output};
