//! The link to one other relay: whether there is one, and when the next is tried.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use undertone_protocol::ids::PublishId;
use undertone_protocol::time::Timestamp;

use super::up::Up;
use crate::conn::ConnId;
use crate::store::owner::Owner;

/// The waits between two tries double from the first to the second, each with a random part of up to as much again.
const RETRY_MIN: Duration = Duration::from_millis(500);
pub(super) const RETRY_MAX: Duration = Duration::from_secs(600);
/// A dial that says nothing for so long has failed.
const DIAL_WAIT_MAX: Duration = Duration::from_secs(90);
/// A relay that failed, and that nothing waits for, is remembered for so long beyond its next try: or whoever asks for
/// its key would have it called anew each time.
const REMEMBERED: Duration = RETRY_MAX;
/// Parcels on their way at one time, and their bytes; one always may be.
const WINDOW_PARCELS: usize = 256;
const WINDOW_BYTES: usize = 2 * 1024 * 1024;
/// How long a destination may ask to be left alone, in milliseconds.
const PAUSE_MS: (u64, u64) = (1_000, 3_600_000);

/// A relay that says that it is there is called out of turn no more often than this.
const BACK_EVERY: Duration = Duration::from_secs(10);

/// How far a link has come.
#[derive(Debug)]
pub(super) enum State {
    Down { retry_at: Timestamp },
    Dialling { give_up_at: Timestamp },
    Up(Up),
}

/// Where a relay waits for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// Something waits for it.
    Waited,
    /// It is only asked for its key.
    Asked,
}

/// That somebody asked for a relay's routing key.
#[derive(Debug)]
pub(super) struct KeyWanted {
    /// Where that relay is.
    pub(super) addresses: Vec<String>,
    /// Who asked first.
    pub(super) by: Owner,
}

/// One other relay.
#[derive(Debug)]
pub(super) struct Link {
    state: State,
    /// Since it last answered. While there are any, one parcel at a time is tried.
    pub(super) failures: u32,
    /// It had too much, and has not answered since: one parcel at a time is tried.
    careful: bool,
    /// Whether it last said that it speaks no version that this relay does.
    pub(super) incompatible: bool,
    /// Somebody asked for its routing key.
    pub(super) key_wanted: Option<KeyWanted>,
    /// A heartbeat is to be made.
    pub(super) beat_wanted: bool,
    /// It is not asked for its key before.
    key_refused_until: Timestamp,
    /// Whether there is something to do there.
    pub(super) wanted: bool,
    /// Whether that is more than to ask for its key.
    pub(super) waited_for: bool,
    /// Where it waits for a connection, if it does.
    pub(super) in_line: Option<Line>,
    pub(super) answer_ms: u64,
    /// What waits leaves together then, or at once.
    leaves_at: Option<Timestamp>,
    /// When it was last called out of turn.
    called_back_at: Timestamp,
    backoff: ExponentialBackoff,
    jitter: u64,
}

impl Link {
    pub(super) fn new(now: Timestamp, jitter: u64) -> Self {
        Self {
            state: State::Down { retry_at: now },
            failures: 0,
            careful: false,
            incompatible: false,
            key_wanted: None,
            beat_wanted: false,
            key_refused_until: Timestamp::ZERO,
            wanted: false,
            waited_for: false,
            in_line: None,
            answer_ms: 0,
            leaves_at: None,
            called_back_at: Timestamp::ZERO,
            backoff: backoff(jitter),
            jitter,
        }
    }

    pub(super) const fn up(&mut self) -> Option<&mut Up> {
        match &mut self.state {
            State::Up(up) => Some(up),
            State::Down { .. } | State::Dialling { .. } => None,
        }
    }

    pub(super) const fn as_up(&self) -> Option<&Up> {
        match &self.state {
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

    pub(super) fn may_dial(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Down { retry_at } if retry_at <= now)
    }

    pub(super) fn dialling(&mut self, now: Timestamp) {
        self.state = State::Dialling { give_up_at: now.after(DIAL_WAIT_MAX) };
    }

    pub(super) fn connected(&mut self, conn: ConnId, now: Timestamp) {
        self.state = State::Up(Up::new(conn, now));
    }

    /// It failed: the next try comes later than the one before did, and not before `least` is over.
    pub(super) fn failed(&mut self, least: Duration, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.key_wanted = None;
        self.leaves_at = None;
        self.beat_wanted = false;
        let wait = self.backoff.next().unwrap_or(RETRY_MAX).max(least);
        self.state = State::Down { retry_at: self.paused_until().max(now.after(wait)) };
    }

    /// It is there again, or somewhere else. Whether it is to be called at once: it could not be reached where it was.
    pub(super) fn is_back(&mut self, now: Timestamp) -> bool {
        let State::Down { retry_at } = &mut self.state else { return false };
        let may_call = self.failures > 0 && !self.careful && self.called_back_at.after(BACK_EVERY) <= now;
        if may_call {
            (*retry_at, self.called_back_at) = (now, now);
            self.backoff = backoff(self.jitter);
        }
        may_call
    }

    /// It ended, and nothing was lost by that.
    pub(super) fn ended(&mut self, now: Timestamp) {
        self.leaves_at = None;
        self.state = State::Down { retry_at: self.paused_until().max(now) };
    }

    fn paused_until(&self) -> Timestamp {
        self.as_up().map_or(Timestamp::ZERO, Up::paused_until)
    }

    /// The destination answered: what failed before is over.
    pub(super) fn answered(&mut self, id: &PublishId, now: Timestamp) {
        if self.failures > 0 {
            self.failures = 0;
            self.jitter = self.jitter.wrapping_add(1);
        }
        self.careful = false;
        self.backoff = backoff(self.jitter);
        if let Some(up) = self.up()
            && let Some(flight) = up.land(id, now)
        {
            let took = now.since(flight.sent_at);
            self.answer_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        }
    }

    /// The destination has too much just now.
    pub(super) fn pause(&mut self, retry_after_ms: u64, now: Timestamp) {
        self.careful = true;
        if let Some(up) = self.up() {
            up.pause(now.after(pause(retry_after_ms)));
        }
    }

    /// How many more parcels may leave, and bytes of them; `None`: not now. On all links together there may be
    /// `bytes_left` more on their way.
    pub(super) fn room(&mut self, bytes_left: usize, now: Timestamp) -> Option<(usize, usize)> {
        let parcels = if self.failures > 0 || self.careful { 1 } else { WINDOW_PARCELS };
        let up = self.up()?;
        if !up.is_open(now) {
            return None;
        }
        let bytes = WINDOW_BYTES.saturating_sub(up.in_flight_bytes()).min(bytes_left);
        let parcels = parcels.checked_sub(up.in_flight.len())?;
        (parcels > 0 && (bytes > 0 || up.in_flight.is_empty())).then_some((parcels, bytes))
    }

    /// Whether what waits may leave. With a delay that is drawn anew for what leaves together, by when it leaves nobody can tell
    /// what came in for it.
    pub(super) fn leaves(&mut self, delay: impl FnOnce() -> Duration, now: Timestamp) -> bool {
        let leaves = *self.leaves_at.get_or_insert_with(|| now.after(delay())) <= now;
        if leaves {
            self.leaves_at = None;
        }
        leaves
    }

    /// Nothing may leave for now: the delay is drawn anew when something may.
    pub(super) fn leaves_not(&mut self) {
        self.leaves_at = None;
    }

    /// Whether it is to be asked for its key now.
    pub(super) fn key_is_due(&mut self) -> bool {
        self.key_wanted.is_some() && self.up().is_some_and(|up| up.is_greeted() && !up.awaits_key())
    }

    /// Whether a heartbeat is to go out now.
    pub(super) fn beat_is_due(&mut self) -> bool {
        self.beat_wanted && self.up().is_some_and(|up| up.is_greeted() && !up.awaits_beat())
    }

    /// Whether forwards wait there is known: so is what there is to do.
    pub(super) const fn look(&mut self, has_forwards: bool) {
        self.waited_for = has_forwards || self.beat_wanted;
        self.wanted = self.waited_for || self.key_wanted.is_some();
    }

    /// The device for which it is only asked for its key, if that is so.
    pub(super) fn asked_for(&self) -> Option<Owner> {
        self.key_wanted.as_ref().filter(|_| !self.waited_for).map(|wanted| wanted.by)
    }

    /// It can't give its key just now.
    pub(super) fn key_refused(&mut self, retry_after_ms: u64, now: Timestamp) {
        self.key_wanted = None;
        self.key_refused_until = now.after(pause(retry_after_ms));
    }

    /// Whether it may be asked for its key.
    pub(super) fn may_ask_key(&self, now: Timestamp) -> bool {
        self.key_refused_until <= now
    }

    /// How long whoever asks for its key has to wait at least.
    pub(super) fn key_wait(&self, now: Timestamp) -> Duration {
        self.retry_at().unwrap_or(now).max(self.key_refused_until).since(now)
    }

    /// When something is to be done, if nothing comes before.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match &self.state {
            State::Down { retry_at } => (self.wanted && self.in_line.is_none()).then_some(*retry_at),
            State::Dialling { give_up_at } => Some(*give_up_at),
            State::Up(up) => up.due(self.wanted).into_iter().chain(self.leaves_at).min(),
        }
    }

    /// Whether what was asked for did not come in time.
    pub(super) fn is_late(&self, now: Timestamp) -> bool {
        match &self.state {
            State::Down { .. } => false,
            State::Dialling { give_up_at } => *give_up_at <= now,
            State::Up(up) => up.is_late(now),
        }
    }

    /// Whether nobody needs the connection any more.
    pub(super) fn is_idle(&self, now: Timestamp) -> bool {
        self.as_up().is_some_and(|up| up.is_idle(now))
    }

    /// Whether it need not be remembered, or only for as long as there is room.
    pub(super) fn is_needless(&self, now: Option<Timestamp>) -> bool {
        let State::Down { retry_at } = self.state else { return false };
        let remembered = if self.failures > 0 { REMEMBERED } else { Duration::ZERO };
        let is_over = now.is_none_or(|now| retry_at.after(remembered) <= now && self.may_ask_key(now));
        is_over && !self.wanted && self.in_line.is_none()
    }

    /// The clock was set back by so much: what was to come in a while still does.
    pub(super) fn set_back(&mut self, by: Duration) {
        self.key_refused_until = self.key_refused_until.before(by);
        self.leaves_at = self.leaves_at.map(|at| at.before(by));
        self.called_back_at = self.called_back_at.before(by);
        match &mut self.state {
            State::Down { retry_at: at } | State::Dialling { give_up_at: at } => *at = at.before(by),
            State::Up(up) => up.set_back(by),
        }
    }
}

fn pause(retry_after_ms: u64) -> Duration {
    Duration::from_millis(retry_after_ms.clamp(PAUSE_MS.0, PAUSE_MS.1))
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
