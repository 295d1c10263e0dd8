//! What the tests of the whole share: the simulated world, and load on a real relay.

pub mod load;
pub mod simulation;
