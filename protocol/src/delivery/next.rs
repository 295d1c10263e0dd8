use std::time::Duration;

use crate::limits::ENVELOPE_TTL_MAX;
use crate::receipts::{Denial, Outcome};
use crate::time::Timestamp;

const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(600);

/// What is to be done for one recipient of a payload, after a relay answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Wait for the device's acknowledgement.
    Custody {
        /// The relay holds the payload until then.
        until: Timestamp,
    },
    /// Publish it again.
    Retry {
        /// Not before this.
        not_before: Timestamp,
    },
    /// The token does not allow it: nothing that the sender can do.
    Denied(Denial),
    /// This relay will never take it.
    TooLarge {
        /// What it takes.
        bytes_max: u32,
    },
}

impl Next {
    /// After `outcome` of a publish that `attempts` others came before, answered at `now`.
    pub fn after(outcome: Outcome, attempts: u32, now: Timestamp) -> Self {
        match outcome {
            // No relay holds anything for longer, and a claim to do so would put off *failed* for ever.
            Outcome::Stored { held_until } | Outcome::Duplicate { held_until } => {
                Self::Custody { until: held_until.min(now.after(ENVELOPE_TTL_MAX)) }
            }
            // The device fetched it; its own acknowledgement entry will say so.
            Outcome::Acknowledged => Self::Custody { until: now },
            Outcome::Full { retry_after } | Outcome::RetryAfter(retry_after) => {
                Self::Retry { not_before: now.after(retry_delay(attempts, retry_after)) }
            }
            Outcome::Denied(denial) => Self::Denied(denial),
            Outcome::TooLarge { bytes_max } => Self::TooLarge { bytes_max },
        }
    }
}

/// How long to wait before a payload is published again: a second, doubled with each attempt before this
/// one, at least what the relay asked for, at most ten minutes.
pub fn retry_delay(attempts: u32, asked: Duration) -> Duration {
    RETRY_MIN.saturating_mul(1 << attempts.min(10)).max(asked).min(RETRY_MAX)
}
