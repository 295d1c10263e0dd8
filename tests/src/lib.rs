//! What the tests of the whole share: the simulated world, real processes, power cuts, load on a real relay, faults
//! that the tests must catch, and a reference model of the membership rules.

pub mod load;
pub mod model;
pub mod power;
pub mod processes;
pub mod report;
pub mod seeded;
pub mod simulation;
