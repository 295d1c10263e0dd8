//! One connection to a relay: how far it has come, what was asked on it, heartbeats and backoff.

mod place;
mod upkeep;

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use undertone_protocol::keys::RelayAddress;
use undertone_protocol::limits::{
    ANSWER_WAIT_MAX, DRAINED_AFTER, HEARTBEAT, PROTOCOL_VERSION, PUBLISHES_IN_FLIGHT_MAX, SILENCE_MAX,
};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, frame::Body};

use place::Place;
use upkeep::Known;

use super::asked::{Asked, InFlight};
use super::intake::Intakes;
use super::questions::Questions;
use super::types::{NetOutput, Outputs};
use crate::LinkId;

/// The waits between two tries double from the first to the second of these.
const CALL_RETRY_MIN: Duration = Duration::from_millis(250);
const CALL_RETRY_MAX: Duration = Duration::from_secs(60);
/// A connection that is neither there nor refused after this long is given up.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(90);
/// A connection that held this long was a good one: the next try after it comes soon.
const GOOD_AFTER: Duration = Duration::from_secs(3);
/// A connection to a relay where this device has no mailbox ends after this long without use.
const LINK_IDLE_MAX: Duration = Duration::from_secs(300);
/// The same where others wait for their turn.
const LINK_IDLE_CROWDED_MAX: Duration = Duration::from_secs(10);
/// A relay that takes longer to answer publishes is slow.
const SLOW_FROM: Duration = Duration::from_secs(2);
/// Latencies that differ by less count as one.
const LATENCY_STEP_MS: u128 = 100;
/// For so long after a loss others are preferred.
const SHAKY_FOR: Duration = Duration::from_secs(60);
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Down { retry_at: Timestamp },
    Connecting { give_up_at: Timestamp },
    Greeting { give_up_at: Timestamp },
    Ready { since: Timestamp },
}

/// How well a relay serves that is there. The best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Health {
    Good,
    /// It takes long to answer publishes.
    Slow,
    /// The connection was lost a moment ago.
    Shaky,
    /// It has not answered a publish for long.
    Stuck,
}

/// How a connection fares when it is looked at.
pub(super) enum Beat {
    Alive,
    /// Nobody needs it.
    Idle,
    /// It is to be dropped, for this reason.
    Dead(&'static str),
}

/// One connection.
pub(super) struct Link {
    id: LinkId,
    place: Place,
    state: State,
    backoff: ExponentialBackoff,
    jitter: u64,
    /// What is wrong with it: it can't be had, or the relay refused something.
    pub(super) problem: Option<String>,
    /// After a refusal the relay is not asked the same again before this.
    paused_until: Option<Timestamp>,
    /// Whether the relay delivers, on a home link.
    attached: bool,
    /// Whether the relay said on this connection that its store is an older copy.
    counted_anew: bool,
    /// What the relay knows of how far this device is, on a home link.
    pub(super) checkpoint: Known,
    /// When one-time prekeys were last made for it.
    batch_made: Option<Timestamp>,
    /// What was asked on it.
    pub(super) questions: Questions,
    heard: Timestamp,
    said: Timestamp,
    /// When it was last asked whether it is there, out of its turn.
    sounded: Option<Timestamp>,
    used: Timestamp,
    /// Since when there is to be this connection.
    since: Timestamp,
    /// Since when it is ready, or is not.
    changed: Timestamp,
    /// When it was last lost.
    lost: Option<Timestamp>,
    /// What comes in, on a home link.
    pub(super) intakes: Intakes,
    /// When something was last delivered, or could have been from.
    pub(super) delivered: Timestamp,
}

impl Link {
    pub(super) fn new(id: LinkId, address: RelayAddress, now: Timestamp, jitter: u64) -> Self {
        Self {
            id,
            place: Place::new(address),
            state: State::Down { retry_at: now },
            backoff: backoff(jitter),
            jitter,
            problem: None,
            paused_until: None,
            attached: false,
            counted_anew: false,
            checkpoint: Known::default(),
            batch_made: None,
            questions: Questions::default(),
            heard: now,
            said: now,
            sounded: None,
            used: now,
            since: now,
            changed: now,
            lost: None,
            intakes: Intakes::default(),
            delivered: now,
        }
    }

    /// The clock was set back by so much: all waits go on as they were.
    pub(super) fn set_back(&mut self, by: Duration) {
        let state = match &mut self.state {
            State::Down { retry_at } => Some(retry_at),
            State::Connecting { give_up_at } | State::Greeting { give_up_at } => Some(give_up_at),
            State::Ready { since } => Some(since),
        };
        let optional = [
            &mut self.paused_until,
            &mut self.batch_made,
            &mut self.checkpoint.due,
            &mut self.lost,
            &mut self.sounded,
        ];
        let always = [
            &mut self.heard,
            &mut self.said,
            &mut self.used,
            &mut self.since,
            &mut self.changed,
            &mut self.delivered,
            &mut self.checkpoint.not_before,
        ];
        for at in state.into_iter().chain(optional.into_iter().flatten()).chain(always) {
            *at = at.before(by);
        }
        self.questions.set_back(by);
    }

    pub(super) const fn address(&self) -> &RelayAddress {
        self.place.get()
    }

    /// It is at other addresses. It is not dropped for that.
    pub(super) fn readdress(&mut self, address: &RelayAddress, now: Timestamp) {
        if !self.place.is_at(address) {
            return;
        }
        self.backoff = backoff(self.jitter);
        if let State::Down { retry_at } = &mut self.state {
            *retry_at = now;
        }
    }

    /// Somebody names addresses: where none is there at those that are known, these are called next, too.
    pub(super) fn learn(&mut self, address: &RelayAddress) {
        if matches!(self.state, State::Down { .. }) {
            self.place.learn(address);
        }
    }

    /// Since when it is ready, or is not.
    pub(super) const fn changed(&self) -> Timestamp {
        self.changed
    }

    /// Whether it is to a home relay, under this device's own key.
    pub(super) const fn is_home(&self) -> bool {
        !self.id.hidden
    }

    /// Somebody needs it.
    pub(super) const fn want(&mut self, now: Timestamp) {
        self.used = now;
    }

    /// When it was last needed, if it may give way to another one: it could not be had for a while.
    pub(super) fn gives_way(&self, now: Timestamp) -> Option<Timestamp> {
        let is_down = matches!(self.state, State::Down { .. }) && self.problem.is_some();
        (is_down && !self.is_home() && now >= self.since.after(CALL_RETRY_MAX)).then_some(self.used)
    }

    /// Whether there is a transport.
    pub(super) const fn is_up(&self) -> bool {
        matches!(self.state, State::Greeting { .. } | State::Ready { .. })
    }

    pub(super) const fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready { .. })
    }

    /// The transport is there: greet.
    pub(super) fn up(&mut self, now: Timestamp, out: &mut Outputs) {
        self.state = State::Greeting { give_up_at: now.after(ANSWER_WAIT_MAX) };
        self.heard = now;
        let hello = wire::Hello { version_min: PROTOCOL_VERSION, version_max: PROTOCOL_VERSION };
        self.send(Body::Hello(hello), now, out);
    }

    /// The relay greeted back. False when it was not asked.
    pub(super) fn greeted(&mut self, now: Timestamp) -> bool {
        if !matches!(self.state, State::Greeting { .. }) {
            return false;
        }
        self.state = State::Ready { since: now };
        self.changed = now;
        self.problem = None;
        self.paused_until = None;
        true
    }

    /// The transport is gone. Gives whether it had been ready, and what was on its way.
    pub(super) fn down(&mut self, reason: &str, now: Timestamp) -> (bool, Vec<InFlight>) {
        let was_ready = self.is_ready();
        if was_ready {
            self.changed = now;
            self.lost = Some(now);
        }
        if matches!(self.state, State::Ready { since } if now >= since.after(GOOD_AFTER)) {
            self.backoff = backoff(self.jitter);
        }
        let delay = self.backoff.next().unwrap_or(CALL_RETRY_MAX);
        self.state = State::Down { retry_at: now.after(delay) };
        self.problem = Some(reason.to_owned());
        self.attached = false;
        self.counted_anew = false;
        self.checkpoint = Known::default();
        (was_ready, self.questions.end())
    }

    /// The next try comes after the longest wait.
    pub(super) fn stand_back(&mut self, now: Timestamp) {
        if let State::Down { retry_at } = &mut self.state {
            *retry_at = now.after(CALL_RETRY_MAX);
        }
    }

    /// Connects if it is due, beats the heart.
    pub(super) fn beat(&mut self, is_crowded: bool, now: Timestamp, out: &mut Outputs) -> Beat {
        match self.state {
            State::Down { .. } | State::Ready { .. } if self.is_idle(is_crowded, now) => return Beat::Idle,
            State::Down { retry_at } if retry_at <= now => {
                self.state = State::Connecting { give_up_at: now.after(CONNECT_WAIT_MAX) };
                let addresses = self.place.call();
                out.net.push(NetOutput::Connect { link: self.id, addresses });
            }
            State::Connecting { give_up_at } if give_up_at <= now => {
                return Beat::Dead("the relay could not be reached in time");
            }
            // Whatever else it says meanwhile.
            State::Greeting { give_up_at } if give_up_at <= now => {
                return Beat::Dead("the relay did not greet in time");
            }
            State::Down { .. } | State::Connecting { .. } => {}
            State::Greeting { .. } | State::Ready { .. } => match self.overdue(now) {
                Some(reason) => return Beat::Dead(reason),
                None if now >= self.said.after(HEARTBEAT) => {
                    self.send(Body::Ping(wire::Ping { nonce: now.as_ms() }), now, out);
                }
                None => {}
            },
        }
        Beat::Alive
    }

    /// Asks something. False when it is not ready or has too much unanswered.
    pub(super) fn ask(&mut self, asked: Asked, body: Body, now: Timestamp, out: &mut Outputs) -> bool {
        if !self.can_ask(&asked) {
            return false;
        }
        let request = self.questions.ask(asked, now);
        self.used = now;
        self.said = now;
        out.net.push(NetOutput::Send { link: self.id, frame: wire::Frame { request, body: Some(body) } });
        true
    }

    /// Whether something can be asked.
    pub(super) fn can_ask(&self, asked: &Asked) -> bool {
        self.is_ready() && self.questions.left() > 0 && (!asked.is_upload() || self.takes_publishes())
    }

    /// Whether it is ready, and one more publish may be on its way. First of all a home relay says what it knows of this
    /// device: by that the store may turn out to be an old copy.
    pub(super) fn takes_publishes(&self) -> bool {
        self.is_ready()
            && !self.is_asking_for_mailbox()
            && self.questions.count(Asked::is_upload) < PUBLISHES_IN_FLIGHT_MAX
    }

    /// How well it serves, and in how many steps of a tenth of a second it answers; `None`: it is not there.
    pub(super) fn health(&self, now: Timestamp) -> Option<(Health, u128)> {
        self.health_over(None, now)
    }

    /// The same of a way that goes on from there, and of late took so long in all.
    pub(super) fn health_over(&self, whole: Option<Duration>, now: Timestamp) -> Option<(Health, u128)> {
        if !self.is_ready() {
            return None;
        }
        let latency = self.questions.latency(now).max(whole).unwrap_or_default();
        let health = if self.questions.are_stuck(now) {
            Health::Stuck
        } else if self.lost.is_some_and(|lost| now < lost.after(SHAKY_FOR)) {
            Health::Shaky
        } else if latency >= SLOW_FROM {
            Health::Slow
        } else {
            Health::Good
        };
        Some((health, latency.as_millis() / LATENCY_STEP_MS))
    }

    pub(super) const fn heard(&mut self, now: Timestamp) {
        self.heard = now;
    }

    pub(super) fn send(&mut self, body: Body, now: Timestamp, out: &mut Outputs) {
        self.said = now;
        out.net.push(NetOutput::Send { link: self.id, frame: wire::Frame { request: 0, body: Some(body) } });
    }

    /// Whether all that waited at the relay was delivered.
    pub(super) fn is_drained(&self, now: Timestamp) -> bool {
        self.is_ready() && self.attached && now.since(self.delivered) >= DRAINED_AFTER
    }

    fn idle_at(&self, is_crowded: bool) -> Option<Timestamp> {
        let idle = if is_crowded { LINK_IDLE_CROWDED_MAX } else { LINK_IDLE_MAX };
        (!self.is_home() && self.questions.are_answered()).then(|| self.used.after(idle))
    }

    fn is_idle(&self, is_crowded: bool, now: Timestamp) -> bool {
        self.idle_at(is_crowded).is_some_and(|at| at <= now)
    }

    fn overdue(&self, now: Timestamp) -> Option<&'static str> {
        if now >= self.heard.after(SILENCE_MAX) {
            return Some("the relay fell silent");
        }
        let overdue = self.questions.overdue_at().is_some_and(|at| at <= now);
        overdue.then_some("the relay did not answer in time")
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        match self.state {
            State::Down { retry_at } => Some(retry_at),
            State::Connecting { give_up_at } => Some(give_up_at),
            State::Greeting { give_up_at } => {
                [give_up_at, self.said.after(HEARTBEAT), self.heard.after(SILENCE_MAX)].into_iter().min()
            }
            State::Ready { .. } => {
                let beats = [self.said.after(HEARTBEAT), self.heard.after(SILENCE_MAX)];
                let lasting = self.questions.overdue_at().into_iter().chain(self.idle_at(false)).chain(beats);
                lasting.min()
            }
        }
    }
}

fn backoff(jitter: u64) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(CALL_RETRY_MIN)
        .with_max_delay(CALL_RETRY_MAX)
        .with_factor(2.0)
        .without_max_times()
        .with_jitter()
        .with_jitter_seed(jitter)
        .build()
}
