//! What the programs share that show Undertone at work (`src/bin`): people, relays, their processes, and how a story is told.

pub mod checks;
pub mod circle;
pub mod person;
pub mod play;
pub mod process;
pub mod relay;
pub mod tell;
