//! A world in one thread: the real machines of nodes and relay, memory disks that lose what was not
//! committed, a network that delays, drops, doubles and reorders, clocks that are off, and crashes at every boundary
//! between deciding, committing and sending. One seed decides everything, so a seed that fails fails again.
//!
//! A [`Stage`] is the same machines without faults, led by a test. A world is driven in [`World::run`]; what
//! must hold is looked at while it runs, in `watch`, and at its end, in `checks`. [`explore`] runs many worlds.

mod asking;
mod bounds;
mod capsule;
mod checks;
mod circle;
mod devices;
mod drive;
mod failed;
mod faults;
mod hostile;
mod lies;
mod many;
mod network;
mod node;
mod peace;
mod people;
mod reference;
mod relay;
mod report;
mod scenario;
mod seen;
mod stage;
mod trace;
mod user;
mod watch;
mod world;

pub use capsule::Capsule;
pub use failed::{Check, Failed};
pub use faults::{Faults, Gap};
pub use many::{Explored, explore};
pub use report::Report;
pub use scenario::{CryptoKind, Scenario, WorldOptions};
pub use stage::Stage;
pub use world::World;

/// Replays one world, with `SEED=n` before it.
pub const REPLAY: &str = "cargo test -p undertone-tests --test simulation one_seed -- --nocapture";
