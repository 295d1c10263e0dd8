//! What a home relay keeps for this device, and whether it may be asked for that now; and whether it is there.

use std::time::Duration;

use undertone_protocol::limits::FALL_OVER_WAIT;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, frame::Body};

use super::super::asked::Asked;
use super::super::types::Outputs;
use super::{Link, State};

/// A relay that refused something is left alone for so long, unless it says itself how long.
const PAUSE: Duration = Duration::from_secs(60);
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// One-time prekeys are made for one relay no more often than this; between, the fallback prekey serves.
const BATCH_PAUSE: Duration = Duration::from_secs(600);

/// The checkpoint that a home relay has.
#[derive(Debug, Default)]
pub(in crate::engine) struct Known {
    /// The number in it; 0: none.
    pub(in crate::engine) next: u64,
    /// No other is put before.
    pub(in crate::engine) not_before: Timestamp,
    /// When another is to be put.
    pub(in crate::engine) due: Option<Timestamp>,
}

impl Link {
    /// The relay delivers from here on.
    pub(in crate::engine) fn attached(&mut self, now: Timestamp) {
        self.attached = true;
        self.delivered = now;
    }

    /// The relay's store is an older copy. False where it said so on this connection before.
    pub(in crate::engine) const fn counts_anew(&mut self) -> bool {
        !std::mem::replace(&mut self.counted_anew, true)
    }

    /// Whether the relay delivers.
    pub(in crate::engine) const fn is_attached(&self) -> bool {
        self.attached
    }

    /// When something last came from the relay.
    pub(in crate::engine) const fn last_heard(&self) -> Timestamp {
        self.heard
    }

    /// Asks whether the relay is there, unless that was asked a moment ago.
    pub(in crate::engine) fn sound(&mut self, now: Timestamp, out: &mut Outputs) {
        if self.sounded.is_none_or(|sounded| now >= sounded.after(FALL_OVER_WAIT)) {
            self.sounded = Some(now);
            self.send(Body::Ping(wire::Ping { nonce: now.as_ms() }), now, out);
        }
    }

    /// Whether the relay has to be asked for this device's mailbox.
    pub(in crate::engine) fn needs_mailbox(&self) -> bool {
        !self.attached && !self.is_asking_for_mailbox()
    }

    pub(super) fn is_asking_for_mailbox(&self) -> bool {
        self.questions.any(|asked| matches!(asked, Asked::Register | Asked::Attach))
    }

    /// Whether one-time prekeys may be made for the relay; then they are counted as made.
    pub(in crate::engine) fn begins_batch(&mut self, now: Timestamp) -> bool {
        let is_too_soon = self.batch_made.is_some_and(|made| now < made.after(BATCH_PAUSE));
        if !is_too_soon {
            self.batch_made = Some(now);
        }
        !is_too_soon
    }

    /// The relay refused something: it is left alone for a while with what it should keep for this device.
    pub(in crate::engine) fn refused(&mut self, text: &str, retry_after: Duration, now: Timestamp) {
        let pause = if retry_after.is_zero() { PAUSE } else { retry_after.clamp(PAUSE_MIN, PAUSE_MAX) };
        self.problem = Some(format!("the relay refused: {text}"));
        self.paused_until = Some(now.after(pause));
    }

    /// What the relay refused may be another matter now.
    pub(in crate::engine) fn ask_again(&mut self) {
        if self.paused_until.take().is_some() {
            self.problem = None;
        }
    }

    /// Whether the relay may be asked to keep something for this device.
    pub(in crate::engine) fn begins_upkeep(&mut self, now: Timestamp) -> bool {
        if self.paused_until.is_some_and(|until| until <= now) {
            self.paused_until = None;
            self.problem = None;
        }
        self.is_ready() && self.paused_until.is_none()
    }

    /// When the relay may be asked to keep something again. Only whoever then asks looks beyond it.
    pub(in crate::engine) fn next_upkeep(&self) -> Option<Timestamp> {
        match self.state {
            State::Down { .. } | State::Connecting { .. } => None,
            State::Greeting { .. } | State::Ready { .. } => {
                self.paused_until.into_iter().chain(self.checkpoint.due).min()
            }
        }
    }
}
