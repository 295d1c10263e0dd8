//! Whose bundles are wanted, and who is looked at next. A group may have a thousand members, and each look reads what is
//! known of one: so a user is looked at again when something happened that they wait for, not at each step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use undertone_protocol::ids::{DeviceId, RelayId, UserId};
use undertone_protocol::time::Timestamp;

use super::asked::{Asked, BundleWant};
use super::link::Link;
use super::links::Links;
use crate::LinkId;
use crate::store::Contact;

const RETRY_MIN: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_secs(3_600);
/// Bundles that one relay is asked for and has not given yet: one that gives none holds up no other.
const ASKED_MAX: usize = 64;
/// A relay that was asked for too many bundles is asked for none for so long, or for as long as it says itself.
const PAUSE: Duration = Duration::from_secs(10);
/// The time from one look at all who are wanted to the next: a relay may have lost its place to others.
const ROUND: Duration = Duration::from_secs(30);

/// Whose bundles are wanted, and when to try again after a failure. Volatile.
#[derive(Debug, Default)]
pub(super) struct Fetches {
    wanted: BTreeSet<UserId>,
    /// Those of them to be looked at next; the others wait for an answer, for a relay, or for their time.
    look: BTreeSet<UserId>,
    /// Those who wait until a relay has answered some of what it was asked.
    crowds: BTreeMap<RelayId, BTreeSet<UserId>>,
    /// When all are looked at again, whatever they wait for.
    round_at: Timestamp,
    failures: BTreeMap<DeviceId, Failure>,
    /// Relays that were asked for too many, and until when they are asked for none.
    paused: BTreeMap<RelayId, Timestamp>,
}

/// A bundle that could not be had.
#[derive(Debug)]
struct Failure {
    user: UserId,
    count: u32,
    /// Zero: as soon as a relay is there.
    retry_at: Timestamp,
}

impl Fetches {
    /// Takes in who is wanted now, and finds whom to look at: [`Self::pop`].
    pub(super) fn begin(&mut self, fetch: &mut BTreeSet<UserId>, links: &Links, now: Timestamp) {
        if self.round_at <= now {
            self.round_at = now.after(ROUND);
            self.paused.retain(|_, until| *until > now);
            self.look_again();
        }
        self.look.extend(fetch.iter().copied());
        self.wanted.append(fetch);
        let is_due = |failure: &&mut Failure| failure.retry_at > Timestamp::ZERO && failure.retry_at <= now;
        for failure in self.failures.values_mut().filter(is_due) {
            failure.retry_at = Timestamp::ZERO;
            self.look.insert(failure.user);
        }
        for (relay, crowd) in &mut self.crowds {
            let room = links.get(&LinkId::hidden(*relay)).map_or(0, room);
            let next = std::iter::from_fn(|| crowd.pop_first());
            self.look.extend(next.take(room));
        }
        self.crowds.retain(|_, crowd| !crowd.is_empty());
    }

    /// Who is looked at next.
    pub(super) fn pop(&mut self) -> Option<UserId> {
        self.look.pop_first()
    }

    /// Nothing of theirs is missing.
    pub(super) fn is_done(&mut self, user: &UserId) {
        self.wanted.remove(user);
    }

    /// How often the bundle of a device could not be had.
    pub(super) fn failed_times(&self, device: &DeviceId) -> usize {
        let count = self.failures.get(device).map_or(0, |failure| failure.count);
        usize::try_from(count).unwrap_or(usize::MAX)
    }

    /// Of a user's devices these count: one that was revoked is not tried again.
    pub(super) fn keep(&mut self, user: &UserId, devices: &BTreeSet<DeviceId>) {
        self.failures.retain(|device, failure| failure.user != *user || devices.contains(device));
    }

    /// A bundle is there.
    pub(super) fn came(&mut self, device: &DeviceId) {
        self.failures.remove(device);
    }

    pub(super) fn failed(&mut self, want: &BundleWant, now: Timestamp) {
        let count = self.failures.get(&want.access.device).map_or(0, |failure| failure.count);
        let delay = RETRY_MIN.saturating_mul(1 << count.min(12)).min(RETRY_MAX);
        let failure = Failure { user: want.user, count: count.saturating_add(1), retry_at: now.after(delay) };
        self.failures.insert(want.access.device, failure);
        self.wanted.insert(want.user);
    }

    /// A relay was asked for too many: it is asked for none for a while. Another one may have what was wanted of it.
    pub(super) fn pause(&mut self, relay: &RelayId, retry_after: Duration, user: UserId, now: Timestamp) {
        self.paused.insert(*relay, now.after(retry_after.clamp(PAUSE, RETRY_MAX)));
        self.wanted.insert(user);
        self.look.insert(user);
    }

    /// It is tried again at a moment, as if for the first time.
    pub(super) fn postpone(&mut self, user: UserId, device: DeviceId, until: Timestamp) {
        self.failures.entry(device).or_insert(Failure { user, count: 0, retry_at: until }).retry_at = until;
        self.wanted.insert(user);
    }

    /// Until when no relay that has the bundle of a device is asked for any; `None`: one may be asked.
    pub(super) fn paused_until(
        &self,
        contact: &Contact,
        device: &DeviceId,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let relays = contact.bundles.iter().filter(|access| access.device == *device);
        let paused = relays.map(|access| self.paused.get(&access.relay.relay).filter(|until| **until > now));
        paused.collect::<Option<Vec<_>>>()?.into_iter().min().copied()
    }

    /// Whether a relay may be asked for a bundle of this user. One that has too much to answer is asked later.
    pub(super) fn may_ask(&mut self, relay: &RelayId, link: &Link, user: &UserId, now: Timestamp) -> bool {
        if self.paused.get(relay).is_some_and(|until| *until > now) || !link.is_ready() {
            return false;
        }
        let may = room(link) > 0;
        if !may {
            self.crowds.entry(*relay).or_default().insert(*user);
        }
        may
    }

    /// A relay is there again: what it refused before, it may have by now.
    pub(super) fn relay_is_up(&mut self) {
        for failure in self.failures.values_mut() {
            failure.retry_at = Timestamp::ZERO;
        }
        self.look_again();
    }

    /// What may be asked of whom is not as it was.
    pub(super) fn look_again(&mut self) {
        self.look.clone_from(&self.wanted);
        self.crowds.clear();
    }

    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, by: Duration) {
        self.round_at = self.round_at.before(by);
        for until in self.paused.values_mut() {
            *until = until.before(by);
        }
        for failure in self.failures.values_mut() {
            failure.retry_at = failure.retry_at.before(by);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        if !self.look.is_empty() {
            return Some(Timestamp::ZERO);
        }
        let round_at = (!self.wanted.is_empty()).then_some(self.round_at);
        let retries = self.failures.values().map(|failure| failure.retry_at);
        retries.filter(|at| *at > Timestamp::ZERO).chain(round_at).min()
    }

    /// It is tried now, or as soon as a relay is there: no time is to be waited for.
    pub(super) fn waits_for_relay(&mut self, device: &DeviceId) {
        if let Some(failure) = self.failures.get_mut(device) {
            failure.retry_at = Timestamp::ZERO;
        }
    }

    pub(super) fn may_try(&self, device: &DeviceId, now: Timestamp) -> bool {
        self.failures.get(device).is_none_or(|failure| failure.retry_at <= now)
    }
}

/// How many bundles more a relay may be asked for.
fn room(link: &Link) -> usize {
    let asked = link.questions.count(|asked| matches!(asked, Asked::FetchBundle(_)));
    ASKED_MAX.saturating_sub(asked).min(link.questions.left())
}

#[cfg(test)]
mod tests;
