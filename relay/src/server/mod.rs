//! The running relay. One thread of its own owns the machine and the store; Tokio tasks own the
//! connections; bounded queues lie between them.

mod clock;
mod driver;
mod inlets;
mod run;
#[cfg(test)]
mod tests;

pub(crate) use clock::SystemClock;
pub(crate) use run::{open_store, run};
