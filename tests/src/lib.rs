//! What the tests of the whole share: the simulated world, and real processes.

pub mod processes;
pub mod simulation;
