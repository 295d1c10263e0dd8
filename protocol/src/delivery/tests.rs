use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::limits::ENVELOPE_TTL_MAX;
use crate::receipts::{Denial, Outcome};
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_ms(1_000_000);

fn next(outcome: Outcome) -> Next {
    Next::after(outcome, 0, NOW)
}

#[test]
fn custody_waits_until_its_end() {
    let held_until = NOW.after(Duration::from_secs(60));
    assert_eq!(next(Outcome::Stored { held_until }), Next::Custody { until: held_until });
    assert_eq!(next(Outcome::Duplicate { held_until }), Next::Custody { until: held_until });
    assert_eq!(next(Outcome::Acknowledged), Next::Custody { until: NOW });
}

#[test]
fn a_relay_that_claims_to_hold_for_ever_is_not_believed() {
    let held_until = Timestamp::from_ms(u64::MAX);
    let until = NOW.after(ENVELOPE_TTL_MAX);
    assert_eq!(next(Outcome::Stored { held_until }), Next::Custody { until });
    assert_eq!(next(Outcome::Duplicate { held_until }), Next::Custody { until });
}

#[test]
fn what_a_relay_will_never_take_is_final() {
    assert_eq!(next(Outcome::Denied(Denial::Revoked)), Next::Denied(Denial::Revoked));
    assert_eq!(next(Outcome::TooLarge { bytes_max: 7 }), Next::TooLarge { bytes_max: 7 });
}

#[test]
fn delays_double_up_to_ten_minutes() {
    let delays = [0, 1, 2, 9, 10, u32::MAX].map(|attempts| retry_delay(attempts, Duration::ZERO).as_secs());
    assert_eq!(delays, [1, 2, 4, 512, 600, 600]);
    assert_eq!(retry_delay(0, Duration::from_secs(30)).as_secs(), 30);
    assert_eq!(retry_delay(0, Duration::MAX).as_secs(), 600);
}

proptest! {
    #[test]
    fn a_retry_comes_within_bounds(attempts: u32, asked_ms: u64, full: bool, now_ms: u64) {
        let now = Timestamp::from_ms(now_ms);
        let retry_after = Duration::from_millis(asked_ms);
        let outcome = if full { Outcome::Full { retry_after } } else { Outcome::RetryAfter(retry_after) };
        let Next::Retry { not_before } = Next::after(outcome, attempts, now) else {
            return Err(TestCaseError::fail("no retry"));
        };
        prop_assert!(not_before >= now.after(Duration::from_secs(1)));
        prop_assert!(not_before <= now.after(Duration::from_secs(600)));
        prop_assert!(not_before >= now.after(retry_after.min(Duration::from_secs(600))));
    }
}
