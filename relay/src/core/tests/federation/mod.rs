//! Two relays that forward to each other, over memory stores and a network that loses what it is told to lose; and one
//! with many others around it that say what they are told to.

mod answers;
mod asking;
mod clock;
mod far;
mod heartbeats;
mod keys;
mod lost;
mod path;
mod records;
mod refused;
mod seeking;
mod sweeps;
mod turns;
mod versions;
mod world;
