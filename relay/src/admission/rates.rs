//! Rates by `governor` (GCRA), with the time that the machine was given.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{NotUntil, Quota, RateLimiter};
use undertone_protocol::time::Timestamp;

/// A limiter is as good as new when it was not used for this long: every quota is of a minute.
const REPLENISHED_AFTER: Duration = Duration::from_secs(60);

/// `governor` counts nanoseconds in 64 bits and panics beyond.
const CLOCK_MS_MAX: u64 = 9_000_000_000_000;

/// The time that has passed, where `governor` reads it. The parent sets it before each input. When the
/// machine's clock is set back it stands still, so that nobody waits for the old time to come again.
#[derive(Debug, Clone, Default)]
pub(crate) struct RateClock {
    passed_ms: Arc<AtomicU64>,
    last: Timestamp,
}

impl RateClock {
    /// Whether it was later than this already.
    pub(crate) fn is_after(&self, now: Timestamp) -> bool {
        self.last > now
    }

    /// It is this late; by how much the machine's clock was set back, if it was.
    pub(crate) fn set(&mut self, now: Timestamp) -> Option<Duration> {
        let (passed, back) = (now.as_ms().saturating_sub(self.last.as_ms()), self.last.since(now));
        let total = self.passed_ms.load(Ordering::Relaxed).saturating_add(passed);
        self.passed_ms.store(total.min(CLOCK_MS_MAX), Ordering::Relaxed);
        self.last = now;
        (!back.is_zero()).then_some(back)
    }
}

impl Clock for RateClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_millis(self.passed_ms.load(Ordering::Relaxed))
    }
}

/// Too much just now; try again after this many milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooFast {
    pub(crate) retry_after_ms: u64,
}

/// So many a minute, and at once.
#[derive(Debug)]
pub(crate) struct Rate {
    limiter: RateLimiter<NotKeyed, InMemoryState, RateClock, NoOpMiddleware<Duration>>,
    clock: RateClock,
    per_minute: u32,
    /// When it was last asked, by its clock.
    asked_ms: AtomicU64,
}

impl Rate {
    /// A rate of 0 is taken as 1.
    pub(crate) fn per_minute(clock: &RateClock, count: u32) -> Self {
        let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let limiter = RateLimiter::direct_with_clock(Quota::per_minute(count), clock.clone());
        let rate =
            Self { limiter, clock: clock.clone(), per_minute: count.get(), asked_ms: AtomicU64::new(0) };
        rate.asked();
        rate
    }

    fn asked(&self) {
        self.asked_ms.store(self.clock.passed_ms.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// When it was last asked, by its clock, in milliseconds.
    pub(crate) fn asked_at(&self) -> u64 {
        self.asked_ms.load(Ordering::Relaxed)
    }

    /// Whether it is as good as new.
    pub(crate) fn is_replenished(&self) -> bool {
        let idle_ms = self.clock.passed_ms.load(Ordering::Relaxed).saturating_sub(self.asked_at());
        Duration::from_millis(idle_ms) >= REPLENISHED_AFTER
    }

    /// Takes one.
    pub(crate) fn take(&self) -> Result<(), TooFast> {
        self.asked();
        self.limiter.check().map_err(|not_until| self.too_fast(&not_until))
    }

    /// Takes several at once; as many as there are in a minute, if that is less.
    pub(crate) fn take_many(&self, count: u32) -> Result<(), TooFast> {
        self.asked();
        let Some(count) = NonZeroU32::new(count.min(self.per_minute)) else { return Ok(()) };
        match self.limiter.check_n(count) {
            Ok(taken) => taken.map_err(|not_until| self.too_fast(&not_until)),
            Err(_) => Err(TooFast { retry_after_ms: 60_000 }),
        }
    }

    fn too_fast(&self, not_until: &NotUntil<Duration>) -> TooFast {
        let wait = not_until.wait_time_from(self.clock.now());
        TooFast { retry_after_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_follows_the_given_time() {
        let mut clock = RateClock::default();
        clock.set(Timestamp::from_ms(1_700_000_000_000));
        let rate = Rate::per_minute(&clock, 2);
        assert_eq!(rate.take(), Ok(()));
        assert_eq!(rate.take(), Ok(()));
        let wait = rate.take().unwrap_err().retry_after_ms;
        assert!((29_000..=30_001).contains(&wait), "{wait}");
        clock.set(Timestamp::from_ms(1_700_000_000_000 + wait));
        assert_eq!(rate.take(), Ok(()));
        assert!(rate.take().is_err());
    }

    #[test]
    fn a_clock_that_is_set_back_or_far_ahead_blocks_nobody() {
        let mut clock = RateClock::default();
        clock.set(Timestamp::from_ms(1_700_000_000_000));
        let rate = Rate::per_minute(&clock, 1);
        assert_eq!(rate.take(), Ok(()));
        let back = clock.set(Timestamp::from_ms(1_600_000_000_000));
        assert_eq!(back, Some(Duration::from_millis(100_000_000_000)));
        assert!(rate.take().is_err());
        assert!(!rate.is_replenished());
        assert_eq!(clock.set(Timestamp::from_ms(1_600_000_060_000)), None);
        assert!(rate.is_replenished(), "not only when the old time has come again");
        assert_eq!(rate.take(), Ok(()));
        clock.set(Timestamp::from_ms(u64::MAX));
        assert_eq!(rate.take(), Ok(()));
        assert!(rate.take().is_err());
    }
}
