//! A world, and how it comes about.

use super::super::entries::Entry;
use super::super::op::{Device, Group, Op, User};
use super::builder::Builder;

/// With so many operations a random world ends, but for the last turn.
const OPS_MAX: usize = 50;

/// One group's operations and entries, all that there are anywhere.
#[derive(Debug, Clone)]
pub struct World {
    /// The group.
    pub group: Group,
    /// All devices that there are, 1 or 2 of each user.
    pub devices: Vec<(User, Device)>,
    /// Every operation, malformed ones among them, each after those that it knows.
    pub ops: Vec<Op>,
    /// Every entry, each after those that it knows.
    pub entries: Vec<Entry>,
}

impl World {
    /// The world of this seed, the same always.
    pub fn random(seed: u64) -> Self {
        let mut builder = Builder::new(seed);
        let count = 15 + builder.rng.below(OPS_MAX - 14);
        builder.found();
        // Now and then nothing comes of a step.
        for _ in 0..40 * OPS_MAX {
            if builder.ops.len() >= count {
                break;
            }
            builder.step();
        }
        let devices = builder.replicas.iter().map(|replica| (replica.user, replica.device)).collect();
        Self { group: builder.group, devices, ops: builder.ops, entries: builder.entries }
    }
}
