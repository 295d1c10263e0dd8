//! The link to one other relay: whether there is one, when the next is tried, and what is on its way.

use std::collections::BTreeMap;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use undertone_protocol::ids::PublishId;
use undertone_protocol::limits::ANSWER_WAIT_MAX;
use undertone_protocol::time::Timestamp;

use crate::conn::ConnId;

/// The waits between two tries double from the first to the second, each with a random part of up to as much again.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(600);
/// A dial that says nothing for so long has failed.
const DIAL_WAIT_MAX: Duration = Duration::from_secs(90);
/// A link that nothing waits for is closed after so long: before the other side takes it for dead.
const IDLE_MAX: Duration = Duration::from_secs(50);
/// Parcels on their way at one time, and their bytes; one always may be.
const WINDOW_PARCELS: usize = 256;
const WINDOW_BYTES: usize = 2 * 1024 * 1024;
/// How long a destination may ask to be left alone, in milliseconds.
const PAUSE_MS_MAX: u64 = 3_600_000;

/// How far a link has come.
#[derive(Debug)]
pub(super) enum State {
    Down { retry_at: Timestamp },
    Dialling { give_up_at: Timestamp },
    Up(Up),
}

/// A connection.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) conn: ConnId,
    /// Whether the welcome came.
    pub(super) greeted: bool,
    /// The place in the queue that is looked at next.
    pub(super) cursor: u64,
    pub(super) in_flight: BTreeMap<PublishId, Flight>,
    in_flight_bytes: usize,
    pub(super) paused_until: Timestamp,
    /// Something was sent or came.
    used_at: Timestamp,
}

/// A parcel on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flight {
    bytes: usize,
    sent_at: Timestamp,
}

/// One other relay.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) state: State,
    /// Since it last answered. While there are any, one parcel at a time is tried.
    pub(super) failures: u32,
    /// Somebody asked for its routing key; where it is.
    pub(super) key_wanted: Option<Vec<String>>,
    /// Whether there is something to do there.
    pub(super) wanted: bool,
    pub(super) answer_ms: u64,
    backoff: ExponentialBackoff,
    jitter: u64,
}

impl Link {
    pub(super) fn new(now: Timestamp, jitter: u64) -> Self {
        let state = State::Down { retry_at: now };
        Self {
            state,
            failures: 0,
            key_wanted: None,
            wanted: false,
            answer_ms: 0,
            backoff: backoff(jitter),
            jitter,
        }
    }

    pub(super) fn up(&mut self) -> Option<&mut Up> {
        match &mut self.state {
            State::Up(up) => Some(up),
            State::Down { .. } | State::Dialling { .. } => None,
        }
    }

    /// Not to be tried before; `None` while there is a connection, or may soon be.
    pub(super) const fn retry_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Down { retry_at } => Some(retry_at),
            State::Dialling { .. } | State::Up(_) => None,
        }
    }

    pub(super) const fn is_dialling(&self) -> bool {
        matches!(self.state, State::Dialling { .. })
    }

    pub(super) const fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// There are too many connections just now.
    pub(super) fn put_off(&mut self, until: Timestamp) {
        self.state = State::Down { retry_at: until };
    }

    pub(super) fn may_dial(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Down { retry_at } if retry_at <= now)
    }

    pub(super) fn dialling(&mut self, now: Timestamp) {
        self.state = State::Dialling { give_up_at: now.after(DIAL_WAIT_MAX) };
    }

    pub(super) fn connected(&mut self, conn: ConnId, now: Timestamp) {
        self.state = State::Up(Up {
            conn,
            greeted: false,
            cursor: 0,
            in_flight: BTreeMap::new(),
            in_flight_bytes: 0,
            paused_until: Timestamp::ZERO,
            used_at: now,
        });
    }

    /// It failed: the next try comes later than the one before did.
    pub(super) fn failed(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.key_wanted = None;
        self.state = State::Down { retry_at: now.after(self.backoff.next().unwrap_or(RETRY_MAX)) };
    }

    /// It ended, and nothing was lost by that.
    pub(super) fn ended(&mut self, now: Timestamp) {
        let paused_until = self.up().map_or(now, |up| up.paused_until);
        self.state = State::Down { retry_at: paused_until.max(now) };
    }

    /// The destination answered: what failed before is over.
    pub(super) fn answered(&mut self, id: &PublishId, now: Timestamp) {
        if self.failures > 0 {
            self.failures = 0;
            self.jitter = self.jitter.wrapping_add(1);
        }
        self.backoff = backoff(self.jitter);
        if let Some(up) = self.up()
            && let Some(flight) = up.land(id, now)
        {
            let took = now.since(flight.sent_at);
            self.answer_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        }
    }

    /// How many more parcels may leave, and bytes of them; `None`: not now.
    pub(super) fn room(&mut self, now: Timestamp) -> Option<(usize, usize)> {
        let parcels = if self.failures > 0 { 1 } else { WINDOW_PARCELS };
        let up = self.up()?;
        if !up.greeted || up.paused_until > now {
            return None;
        }
        up.paused_until = Timestamp::ZERO;
        let (parcels, bytes) =
            (parcels.checked_sub(up.in_flight.len())?, WINDOW_BYTES.checked_sub(up.in_flight_bytes)?);
        (parcels > 0 && (bytes > 0 || up.in_flight.is_empty())).then_some((parcels, bytes))
    }

    /// When something is to be done, if nothing comes before.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match &self.state {
            State::Down { retry_at } => self.wanted.then_some(*retry_at),
            State::Dialling { give_up_at } => Some(*give_up_at),
            State::Up(up) => {
                let answer = up.in_flight.values().map(|flight| flight.sent_at.after(ANSWER_WAIT_MAX)).min();
                let paused = (self.wanted && up.paused_until > Timestamp::ZERO).then_some(up.paused_until);
                let idle = up.used_at.after(if up.greeted { IDLE_MAX } else { ANSWER_WAIT_MAX });
                [answer, paused, Some(idle)].into_iter().flatten().min()
            }
        }
    }

    /// Whether what was asked for did not come in time.
    pub(super) fn is_late(&self, now: Timestamp) -> bool {
        match &self.state {
            State::Down { .. } => false,
            State::Dialling { give_up_at } => *give_up_at <= now,
            State::Up(up) if !up.greeted => up.used_at.after(ANSWER_WAIT_MAX) <= now,
            State::Up(up) => up.in_flight.values().any(|flight| flight.sent_at.after(ANSWER_WAIT_MAX) <= now),
        }
    }

    /// Whether nobody needs the connection any more.
    pub(super) fn is_idle(&self, now: Timestamp) -> bool {
        matches!(&self.state, State::Up(up) if up.in_flight.is_empty() && up.used_at.after(IDLE_MAX) <= now)
    }
}

impl Up {
    pub(super) fn left(&mut self, id: PublishId, bytes: usize, now: Timestamp) {
        self.used_at = now;
        self.in_flight_bytes += bytes;
        self.in_flight.insert(id, Flight { bytes, sent_at: now });
    }

    /// A parcel is on its way no more.
    pub(super) fn land(&mut self, id: &PublishId, now: Timestamp) -> Option<Flight> {
        self.used_at = now;
        let flight = self.in_flight.remove(id)?;
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(flight.bytes);
        Some(flight)
    }

    /// The destination has too much just now.
    pub(super) fn pause(&mut self, retry_after_ms: u64, now: Timestamp) {
        let wait = Duration::from_millis(retry_after_ms.clamp(1_000, PAUSE_MS_MAX));
        self.paused_until = self.paused_until.max(now.after(wait));
    }
}

fn backoff(jitter: u64) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(RETRY_MIN)
        .with_max_delay(RETRY_MAX)
        .with_factor(2.0)
        .without_max_times()
        .with_jitter()
        .with_jitter_seed(jitter)
        .build()
}
