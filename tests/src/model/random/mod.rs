//! Random worlds: users whose devices know of each other's operations only in part.
//!
//! Most do what they may, as they see it; some do what they may not, pretend not to know what they know, or write what
//! is malformed.

mod builder;
mod malformed;
mod replica;
mod rng;
mod scenes;
mod steps;
mod world;

#[cfg(test)]
pub(super) use rng::Rng;
pub use world::World;
