//! What the tests of the whole share: the simulated world, real processes, load on a real relay, and faults that
//! the tests must catch.

pub mod load;
pub mod processes;
pub mod seeded;
pub mod simulation;
