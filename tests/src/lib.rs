//! What the tests of the whole share: the simulated world, real processes, and load on a real relay.

pub mod load;
pub mod processes;
pub mod report;
pub mod simulation;
