use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

use super::faults::{Faults, one_in};

/// Tells the clocks' randomness from the rest.
const JUMPS: u64 = 0x636c_6f63_6b73;
/// The same for what relay and users do on purpose.
const ILL_WILL: u64 = 0x696c_6c77_696c;
/// The same for what vanishes.
const VANISHING: u64 = 0x7661_6e69_7368;
/// The same for clocks that are off by days.
const SKEWS: u64 = 0x73_6b65_7773;
/// The same for how large a world is, and how long in trouble.
const SIZE: u64 = 0x7369_7a65;
/// Of so many worlds one has clocks that are off by days.
const SKEWED_ONE_IN: u32 = 6;
/// By how many they are at most.
const SKEW_DAYS_MAX: u64 = 5;

/// What a seed decides before its world begins, and the randomness that is left.
pub(super) struct Drawn {
    pub(super) rng: ChaCha20Rng,
    /// Of their own, so that they change nothing in the worlds without them.
    pub(super) jumps: ChaCha20Rng,
    pub(super) ill_will: ChaCha20Rng,
    pub(super) skews: ChaCha20Rng,
    pub(super) faults: Faults,
}

impl Drawn {
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut jumps = ChaCha20Rng::seed_from_u64(seed ^ JUMPS);
        let mut ill_will = ChaCha20Rng::seed_from_u64(seed ^ ILL_WILL);
        let faults = Faults { clock_jumps: one_in(&mut jumps, 8), ..Faults::random(&mut rng) };
        let faults = faults.with_ill_will(&mut ill_will);
        let mut vanishing = ChaCha20Rng::seed_from_u64(seed ^ VANISHING);
        // What somebody who cheats wrote, and when it is over, follows from nothing.
        let vanishes = faults.hostile == 0 && one_in(&mut vanishing, 3);
        let timer_s = if vanishes { u64::from(20 + vanishing.next_u32() % 600) } else { 0 };
        let mut skews = ChaCha20Rng::seed_from_u64(seed ^ SKEWS);
        let skewed = one_in(&mut skews, SKEWED_ONE_IN);
        let skew_days_max = if skewed { 1 + skews.next_u64() % SKEW_DAYS_MAX } else { 0 };
        let faults = Faults { timer_s, skew_days_max, ..faults };
        Self { rng, jumps, ill_will, skews, faults }
    }

    /// How long faults go on in the world of a seed, in seconds, and how many devices a user has at most: most worlds are
    /// short and small, so that there can be many, and one in sixteen has all that comes only with time. Whoever cheats
    /// needs some to be let in.
    pub(super) fn size(seed: u64) -> (u64, usize) {
        let cheats = Self::of(seed).faults.hostile > 0;
        match ChaCha20Rng::seed_from_u64(seed ^ SIZE).next_u32() % 16 {
            0 => (600, 3),
            1 | 2 => (300, 3),
            _ if cheats => (300, 3),
            _ => (120, 2),
        }
    }
}
