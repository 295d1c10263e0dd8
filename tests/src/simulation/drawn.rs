use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::faults::{Faults, one_in};

/// Tells the clocks' randomness from the rest.
const JUMPS: u64 = 0x636c_6f63_6b73;
/// The same for what relay and users do on purpose.
const ILL_WILL: u64 = 0x696c_6c77_696c;

/// What a seed decides before its world begins, and the randomness that is left.
pub(super) struct Drawn {
    pub(super) rng: ChaCha20Rng,
    /// Of their own, so that they change nothing in the worlds without them.
    pub(super) jumps: ChaCha20Rng,
    pub(super) ill_will: ChaCha20Rng,
    pub(super) faults: Faults,
}

impl Drawn {
    pub(super) fn of(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let mut jumps = ChaCha20Rng::seed_from_u64(seed ^ JUMPS);
        let mut ill_will = ChaCha20Rng::seed_from_u64(seed ^ ILL_WILL);
        let faults = Faults { clock_jumps: one_in(&mut jumps, 8), ..Faults::random(&mut rng) };
        let faults = faults.with_ill_will(&mut ill_will);
        Self { rng, jumps, ill_will, faults }
    }
}
