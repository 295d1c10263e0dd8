//! What the tests of the whole share: the simulated world, real processes, power cuts, and load on a real relay.

pub mod load;
pub mod power;
pub mod processes;
pub mod report;
pub mod simulation;
