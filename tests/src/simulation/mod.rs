//! A world in one thread: the real machines of nodes and relay, memory disks that lose what was not
//! committed, a network that delays, drops, doubles and reorders, and crashes at every boundary between
//! deciding, committing and sending. One seed decides everything, so a seed that fails fails again.
//!
//! A [`Stage`] is the same machines without faults, led by a test. A world is driven in [`World::run`]; what
//! must hold is checked while it runs and at its end, in `checks`.

mod asking;
mod checks;
mod drive;
mod failed;
mod faults;
mod living;
mod many;
mod meeting;
mod network;
mod node;
mod person;
mod population;
mod relay;
mod stage;
mod world;

pub use failed::Failed;
pub use faults::Faults;
pub use many::{Summary, run_many};
pub use stage::Stage;
pub use world::{Report, World, WorldOptions};

/// Replays one world, with `SEED=n` before it.
pub const REPLAY: &str = "cargo test -p undertone-tests --test simulation one_seed -- --nocapture";
