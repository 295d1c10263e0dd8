//! A connection to another relay: what is on its way, and what it was asked.

use std::collections::BTreeMap;
use std::time::Duration;

use undertone_protocol::ids::PublishId;
use undertone_protocol::limits::ANSWER_WAIT_MAX;
use undertone_protocol::time::Timestamp;

use crate::conn::ConnId;

/// A link that nothing waits for is closed after so long: before the other side takes it for dead.
const IDLE_MAX: Duration = Duration::from_secs(50);
/// A link whose place is wanted for another relay keeps it for so long.
const TURN_MIN: Duration = Duration::from_secs(10);

/// A connection.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) conn: ConnId,
    /// Whether the welcome came.
    greeted: bool,
    /// The place in the queue that is looked at next.
    cursor: u64,
    /// Nothing stands before this place.
    head: u64,
    pub(super) in_flight: BTreeMap<PublishId, Flight>,
    in_flight_bytes: usize,
    paused_until: Timestamp,
    /// Something was sent or came.
    used_at: Timestamp,
    /// When it was made; then, when the welcome came.
    since: Timestamp,
    /// Its place is wanted for another relay: nothing more goes out.
    pub(super) leaving: bool,
    /// When the routing key was asked for, until that is answered.
    key_asked: Option<Timestamp>,
    /// The last heartbeat, until it is answered.
    beat: Option<Beat>,
    /// Whether anything was carried.
    has_carried: bool,
}

/// A parcel on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flight {
    number: u64,
    bytes: usize,
    pub(super) sent_at: Timestamp,
}

/// A heartbeat on its way.
#[derive(Debug, Clone, Copy)]
struct Beat {
    /// As the other side was told: it stays, whatever becomes of the clock.
    nonce: u64,
    sent_at: Timestamp,
}

impl Up {
    pub(super) fn new(conn: ConnId, now: Timestamp) -> Self {
        Self {
            conn,
            greeted: false,
            cursor: 0,
            head: 0,
            in_flight: BTreeMap::new(),
            in_flight_bytes: 0,
            paused_until: Timestamp::ZERO,
            used_at: now,
            since: now,
            leaving: false,
            key_asked: None,
            beat: None,
            has_carried: false,
        }
    }

    /// The welcome came.
    pub(super) fn greet(&mut self, now: Timestamp) {
        (self.greeted, self.since) = (true, now);
    }

    pub(super) const fn is_greeted(&self) -> bool {
        self.greeted
    }

    /// A parcel left from this place in the queue.
    pub(super) fn left(&mut self, id: PublishId, number: u64, bytes: usize, now: Timestamp) {
        (self.used_at, self.cursor) = (now, number.saturating_add(1));
        self.in_flight_bytes += bytes;
        self.has_carried = true;
        self.in_flight.insert(id, Flight { number, bytes, sent_at: now });
    }

    /// The parcels that are on their way, in the order of the queue.
    pub(super) fn on_the_way(&self) -> Vec<PublishId> {
        let mut all: Vec<_> = self.in_flight.iter().map(|(id, flight)| (flight.number, *id)).collect();
        all.sort_unstable();
        all.into_iter().map(|(_, id)| id).collect()
    }

    /// A parcel is on its way no more.
    pub(super) fn land(&mut self, id: &PublishId, now: Timestamp) -> Option<Flight> {
        self.used_at = now;
        let flight = self.in_flight.remove(id)?;
        self.in_flight_bytes = self.in_flight_bytes.saturating_sub(flight.bytes);
        Some(flight)
    }

    /// From where on the queue is to be read.
    pub(super) fn next(&self) -> u64 {
        if self.in_flight.is_empty() { self.head } else { self.cursor }
    }

    /// What was found there first.
    pub(super) fn found(&mut self, first: Option<u64>) {
        if self.in_flight.is_empty() {
            self.head = first.unwrap_or(self.head);
        }
    }

    /// Bytes of the parcels that are on their way.
    pub(super) const fn in_flight_bytes(&self) -> usize {
        self.in_flight_bytes
    }

    /// The queue was emptied: it counts from its beginning again.
    pub(super) fn rewind(&mut self) {
        (self.cursor, self.head) = (0, 0);
    }

    /// The destination has too much until then.
    pub(super) fn pause(&mut self, until: Timestamp) {
        self.paused_until = self.paused_until.max(until);
    }

    pub(super) const fn paused_until(&self) -> Timestamp {
        self.paused_until
    }

    /// Whether parcels may go out.
    pub(super) fn is_open(&mut self, now: Timestamp) -> bool {
        if !self.greeted || self.leaving || self.paused_until > now {
            return false;
        }
        self.paused_until = Timestamp::ZERO;
        true
    }

    pub(super) fn key_was_asked(&mut self, now: Timestamp) {
        (self.used_at, self.key_asked) = (now, Some(now));
    }

    pub(super) fn key_was_answered(&mut self) {
        self.key_asked = None;
    }

    pub(super) const fn awaits_key(&self) -> bool {
        self.key_asked.is_some()
    }

    /// A heartbeat leaves; its nonce.
    pub(super) fn beat_was_sent(&mut self, now: Timestamp) -> u64 {
        let nonce = now.as_ms();
        self.beat = Some(Beat { nonce, sent_at: now });
        nonce
    }

    pub(super) const fn awaits_beat(&self) -> bool {
        self.beat.is_some()
    }

    /// The heartbeat is answered; when it was sent.
    pub(super) fn beat_was_answered(&mut self, nonce: u64) -> Option<Timestamp> {
        self.beat.take_if(|beat| beat.nonce == nonce).map(|beat| beat.sent_at)
    }

    /// Whether nothing is to be expected of it: nothing was carried, and all was answered.
    pub(super) fn has_served(&self) -> bool {
        !self.has_carried && self.key_asked.is_none() && self.beat.is_none()
    }

    /// Until when all that was asked for must have come.
    fn answers_due(&self) -> Option<Timestamp> {
        let greeting = (!self.greeted).then_some(self.since);
        let sent = self.in_flight.values().map(|flight| flight.sent_at);
        sent.chain(self.key_asked)
            .chain(self.beat.map(|beat| beat.sent_at))
            .chain(greeting)
            .min()
            .map(|asked| asked.after(ANSWER_WAIT_MAX))
    }

    pub(super) fn is_late(&self, now: Timestamp) -> bool {
        self.answers_due().is_some_and(|due| due <= now)
    }

    /// When something is to be done, if nothing comes before.
    pub(super) fn due(&self, wanted: bool) -> Option<Timestamp> {
        let paused = (wanted && self.paused_until > Timestamp::ZERO).then_some(self.paused_until);
        [self.answers_due(), paused, Some(self.idle_at())].into_iter().flatten().min()
    }

    fn idle_at(&self) -> Timestamp {
        self.used_at.after(IDLE_MAX)
    }

    /// Whether nobody needs it any more.
    pub(super) fn is_idle(&self, now: Timestamp) -> bool {
        self.in_flight.is_empty() && self.idle_at() <= now
    }

    /// Whether it can end now for the sake of another relay, and nothing is lost by that.
    pub(super) fn can_go(&self, wanted: bool, now: Timestamp) -> bool {
        let needless = !wanted || self.leaving || self.paused_until > now;
        self.greeted && needless && self.in_flight.is_empty() && self.key_asked.is_none()
    }

    /// From when on it may be asked to leave; `None`: it was, or is not there in earnest.
    pub(super) fn turn_ends(&self) -> Option<Timestamp> {
        (self.greeted && !self.leaving).then(|| self.since.after(TURN_MIN))
    }

    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, by: Duration) {
        let times = [&mut self.paused_until, &mut self.used_at, &mut self.since];
        let beat = self.beat.as_mut().map(|beat| &mut beat.sent_at);
        let times = times.into_iter().chain(&mut self.key_asked).chain(beat);
        for time in times.chain(self.in_flight.values_mut().map(|flight| &mut flight.sent_at)) {
            *time = time.before(by);
        }
    }
}
