//! What only the operating system knows: the time, and randomness. Nothing else in the node asks for them.

use std::time::{SystemTime, UNIX_EPOCH};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use undertone_protocol::time::{Clock, Timestamp};
use zeroize::Zeroizing;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the node reads a clock")]
    /// Before 1970, which only a clock that was never set says, it is 1970.
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A generator that the operating system seeds.
#[expect(clippy::disallowed_methods, reason = "the one place where the node draws randomness")]
pub(crate) fn fresh_rng() -> Result<ChaCha20Rng, getrandom::Error> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed)?;
    Ok(ChaCha20Rng::from_seed(*seed))
}
