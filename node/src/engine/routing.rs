//! Private routing: what a device knows of the ways that lead over two relays (`spec/federation.md`). Volatile, but for the
//! forwards, which are read from the store at a start.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use undertone_protocol::federation::{Circuit, CircuitError, RoutingKey};
use undertone_protocol::ids::{ConversationId, DeviceId, PublishId, RelayId, UserId};
use undertone_protocol::keys::RelayAddress;
use undertone_protocol::limits::{
    ANSWER_WAIT_MAX, CIRCUIT_AGE_MAX, CIRCUIT_FORWARDS_MAX, CUSTODIAN_WAIT, FALL_OVER_WAIT,
};
use undertone_protocol::time::Timestamp;

use super::latency::Latency;
use crate::store::StoredForward;

/// Forwards that are not answered at one time.
pub(super) const FORWARDS_MAX: usize = 512;
/// The same over one home relay to one relay; beyond that, what goes there waits.
const FORWARDS_PER_RELAY_MAX: usize = 64;
/// Relays whose routing keys are remembered; of more the one that was asked for first is forgotten.
const KEYS_MAX: usize = 1_024;
/// Circuits at one time; of more the oldest is forgotten.
const CIRCUITS_MAX: usize = 1_024;
/// Pairs of relays between which nothing is forwarded just now.
const SHUT_MAX: usize = 1_024;
/// Pairs of relays of which is remembered how quickly forwards are answered; of more, the one that was answered first is forgotten.
const LATENCIES_MAX: usize = 1_024;
/// For so long a way over two relays is waited for that is not there yet; then the straight one serves.
pub(super) const PRIVATE_WAIT: Duration = FALL_OVER_WAIT;
/// A key that is wanted is asked for so often.
const ASK_EVERY: Duration = Duration::from_secs(30);
/// A home relay that did not say when to ask again is asked again after this long.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// A key is new for so long.
const NEW_KEY: Duration = Duration::from_secs(60);
/// A home relay that forwards nothing to some relay is tried again after this long.
const SHUT_FOR: Duration = Duration::from_secs(3600);

/// What a circuit is for: a destination must not see that two conversations are of one sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    /// What is said in a group.
    Group(ConversationId),
    /// What is for one user.
    User(UserId),
}

/// What is known of a relay's routing key.
#[derive(Debug)]
enum Known {
    /// It is not known. Where somebody wants it, it is asked for when it is time.
    Wanted { address: RelayAddress, since: Timestamp, ask_at: Timestamp, is_wanted: bool },
    /// This is it.
    Key { key: Box<RoutingKey>, since: Timestamp },
}

impl Known {
    const fn since(&self) -> Timestamp {
        match self {
            Self::Wanted { since, .. } | Self::Key { since, .. } => *since,
        }
    }
}

/// A forward that is not answered yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct OnTheWay {
    pub(super) forward: PublishId,
    /// The destination.
    pub(super) relay: RelayId,
    /// The home relay that got it.
    pub(super) via: RelayId,
    made: Timestamp,
    /// The home relay said that it holds it.
    pub(super) waits: bool,
}

impl OnTheWay {
    /// Whether it is waited for no longer alone: other mailboxes are used, too.
    pub(super) fn is_slow(&self, now: Timestamp) -> bool {
        now >= self.slow_at()
    }

    fn slow_at(&self) -> Timestamp {
        self.made.after(FALL_OVER_WAIT)
    }

    /// From when on the straight way to its relay is used, too.
    pub(super) fn late_at(&self) -> Timestamp {
        self.made.after(CUSTODIAN_WAIT)
    }

    /// When another way opens.
    fn next_way(&self, now: Timestamp) -> Option<Timestamp> {
        [FALL_OVER_WAIT, CUSTODIAN_WAIT].map(|wait| self.made.after(wait)).into_iter().find(|at| *at > now)
    }
}

/// Ways over two relays.
#[derive(Debug, Default)]
pub(super) struct Routing {
    keys: BTreeMap<RelayId, Known>,
    circuits: BTreeMap<(RelayId, Topic), (Circuit, Timestamp)>,
    forwards: BTreeMap<PublishId, OnTheWay>,
    /// Which forward has an item for a device, by destination and home relay.
    carried: BTreeMap<(u64, DeviceId, RelayId, RelayId), PublishId>,
    /// From a home relay to another one, and until when.
    shut: BTreeMap<(RelayId, RelayId), Timestamp>,
    /// How long forwards took over a home relay to another one, until that one's answer came.
    latencies: BTreeMap<(RelayId, RelayId), Latency>,
}

impl Routing {
    /// A relay's routing key, if it can be used; else it is wanted from now on.
    pub(super) fn has_key(&mut self, address: &RelayAddress, now: Timestamp) -> bool {
        let relay = address.relay;
        match self.keys.get_mut(&relay) {
            Some(Known::Key { key, .. }) if now < key.not_after => return true,
            Some(Known::Wanted { is_wanted, .. }) => {
                *is_wanted = true;
                return false;
            }
            Some(Known::Key { .. }) | None => {}
        }
        let oldest = self.keys.iter().min_by_key(|(_, known)| known.since()).map(|(relay, _)| *relay);
        if self.keys.len() >= KEYS_MAX {
            oldest.and_then(|relay| self.keys.remove(&relay));
        }
        let address = address.clone();
        self.keys.insert(relay, Known::Wanted { address, since: now, ask_at: now, is_wanted: true });
        false
    }

    /// Until when a relay's key is waited for that is wanted.
    pub(super) fn key_awaited(&self, relay: &RelayId, now: Timestamp) -> Option<Timestamp> {
        match self.keys.get(relay) {
            Some(Known::Wanted { since, .. }) => Some(since.after(PRIVATE_WAIT)).filter(|until| *until > now),
            _ => None,
        }
    }

    /// The relays whose keys are to be asked for now. Each is asked for again only after a while.
    pub(super) fn keys_due(&mut self, now: Timestamp) -> Vec<RelayAddress> {
        let mut due = Vec::new();
        for known in self.keys.values_mut() {
            if let Known::Wanted { address, ask_at, is_wanted, .. } = known
                && *is_wanted
                && *ask_at <= now
            {
                *ask_at = now.after(ASK_EVERY);
                *is_wanted = false;
                due.push(address.clone());
            }
        }
        due
    }

    /// A home relay gave a relay's routing key.
    pub(super) fn found(&mut self, key: RoutingKey, now: Timestamp) {
        if now < key.not_after {
            self.keys.insert(key.relay, Known::Key { key: Box::new(key), since: now });
        }
    }

    /// A relay's key could not be had: it is asked for again.
    pub(super) fn not_found(&mut self, relay: &RelayId, retry_after: Duration, now: Timestamp) {
        if let Some(Known::Wanted { ask_at, is_wanted, .. }) = self.keys.get_mut(relay) {
            *ask_at = now.after(retry_after.clamp(ASK_AGAIN, ASK_EVERY));
            *is_wanted = true;
        }
    }

    /// A relay does not know its key that circuits were made with: it is asked for again. One that was given a moment ago
    /// would be refused again and again.
    pub(super) fn key_unknown(&mut self, via: RelayId, relay: RelayId, now: Timestamp) {
        let is_new = |known: &Known| matches!(known, Known::Key { since, .. } if now < since.after(NEW_KEY));
        if self.keys.get(&relay).is_some_and(is_new) {
            self.shut(via, relay, None, now);
        }
        self.keys.remove(&relay);
        self.circuits.retain(|(of, _), _| *of != relay);
    }

    /// The circuit for a topic: the one that there is, or a new one. `None`: the key is not there.
    pub(super) fn circuit(
        &mut self,
        relay: RelayId,
        topic: Topic,
        rng: &mut ChaCha20Rng,
        now: Timestamp,
    ) -> Option<Result<&mut Circuit, CircuitError>> {
        let Some(Known::Key { key, .. }) = self.keys.get(&relay) else { return None };
        let is_good = |(circuit, since): &(Circuit, Timestamp)| {
            circuit.used() < CIRCUIT_FORWARDS_MAX
                && now.since(*since) < CIRCUIT_AGE_MAX
                && circuit.routing_key() == key.id()
        };
        if !self.circuits.get(&(relay, topic)).is_some_and(is_good) {
            let made = match Circuit::set_up(key, rng) {
                Ok(made) => made,
                Err(error) => return Some(Err(error)),
            };
            if self.circuits.len() >= CIRCUITS_MAX {
                let oldest = self.circuits.iter().min_by_key(|(_, (_, since))| *since).map(|(key, _)| *key);
                oldest.and_then(|key| self.circuits.remove(&key));
            }
            self.circuits.insert((relay, topic), (made, now));
        }
        self.circuits.get_mut(&(relay, topic)).map(|(circuit, _)| Ok(circuit))
    }

    /// Whether a home relay forwards to a relay, for all that is known.
    pub(super) fn serves(&self, via: &RelayId, relay: &RelayId, now: Timestamp) -> bool {
        self.shut.get(&(*via, *relay)).is_none_or(|until| *until <= now)
    }

    /// A home relay forwards nothing to a relay for a while.
    pub(super) fn shut(&mut self, via: RelayId, relay: RelayId, wait: Option<Duration>, now: Timestamp) {
        if self.shut.len() >= SHUT_MAX {
            let first = self.shut.iter().min_by_key(|(_, until)| **until).map(|(pair, _)| *pair);
            first.and_then(|pair| self.shut.remove(&pair));
        }
        let wait = wait.unwrap_or(SHUT_FOR).clamp(ASK_AGAIN, SHUT_FOR);
        self.shut.insert((via, relay), now.after(wait));
    }

    /// A forward goes out, went out before the start, or waits from now on.
    pub(super) fn note(&mut self, forward: &StoredForward) {
        let StoredForward { answer, via, made, waits_until, items, .. } = forward;
        let (forward, relay) = (answer.forward_id, answer.relay);
        let on_the_way = OnTheWay { forward, relay, via: *via, made: *made, waits: waits_until.is_some() };
        self.forwards.insert(forward, on_the_way);
        for item in items {
            let to = item.devices.iter().map(|device| (item.outbox, *device, relay, *via));
            self.carried.extend(to.map(|to| (to, forward)));
        }
    }

    /// A forward's destination answered, over a connection that there is since a moment. What went out before that, or longer ago
    /// than an answer is waited for, says nothing of how quickly it answers: this device, or that relay, was away meanwhile.
    pub(super) fn answered(&mut self, forward: &PublishId, since: Timestamp, now: Timestamp) {
        let Some(OnTheWay { relay, via, made, .. }) = self.forwards.get(forward) else { return };
        let (way, took) = ((*via, *relay), now.since(*made));
        if *made < since || took >= ANSWER_WAIT_MAX {
            return;
        }
        if self.latencies.len() >= LATENCIES_MAX && !self.latencies.contains_key(&way) {
            let first = self.latencies.iter().min_by_key(|(_, latency)| latency.measured());
            let first = first.map(|(way, _)| *way);
            first.and_then(|way| self.latencies.remove(&way));
        }
        self.latencies.entry(way).or_default().took(took, now);
    }

    /// How long forwards take over a home relay to a relay, until that one's answer comes, if that was seen of late.
    pub(super) fn latency(&self, via: &RelayId, relay: &RelayId, now: Timestamp) -> Option<Duration> {
        self.latencies.get(&(*via, *relay)).and_then(|latency| latency.get(now))
    }

    /// A forward is waited for no more.
    pub(super) fn forget(&mut self, forward: &StoredForward) {
        let id = forward.answer.forward_id;
        self.forwards.remove(&id);
        for item in &forward.items {
            for device in &item.devices {
                let to = (item.outbox, *device, forward.answer.relay, forward.via);
                if self.carried.get(&to) == Some(&id) {
                    self.carried.remove(&to);
                }
            }
        }
    }

    /// The forwards that have an item for a device.
    pub(super) fn carrying(&self, outbox: u64, device: DeviceId) -> impl Iterator<Item = &OnTheWay> {
        let [first, last] = [[0; 32], [u8::MAX; 32]].map(RelayId::new);
        let carried = self.carried.range((outbox, device, first, first)..=(outbox, device, last, last));
        carried.filter_map(|(_, forward)| self.forwards.get(forward))
    }

    /// The forwards that no home relay confirmed, and the home relays that got them.
    pub(super) fn unconfirmed(&self) -> Vec<(PublishId, RelayId)> {
        let unconfirmed = self.forwards.values().filter(|forward| !forward.waits);
        unconfirmed.map(|forward| (forward.forward, forward.via)).collect()
    }

    /// The oldest forward to a relay that is not answered.
    pub(super) fn oldest(&self, relay: &RelayId) -> Option<&OnTheWay> {
        self.forwards.values().filter(|forward| forward.relay == *relay).min_by_key(|forward| forward.made)
    }

    /// Whether a relay left a forward unanswered for long, and nothing was heard of it here since that went out.
    pub(super) fn doubts(&self, relay: &RelayId, heard: Timestamp, now: Timestamp) -> bool {
        let mut forwards = self.forwards.values().filter(|forward| forward.relay == *relay);
        forwards.any(|forward| forward.made >= heard && forward.is_slow(now))
    }

    /// How many forwards over a home relay to a relay are not answered, and the oldest of them.
    pub(super) fn queue(&self, via: &RelayId, relay: &RelayId) -> (usize, Option<&OnTheWay>) {
        let between = |forward: &&OnTheWay| forward.via == *via && forward.relay == *relay;
        let forwards = || self.forwards.values().filter(between);
        (forwards().count(), forwards().min_by_key(|forward| forward.made))
    }

    /// Until when more waits that is to go over a home relay to a relay, unless something is answered; `None`: it need not wait.
    /// There may be as many unanswered as there is room left for others: so relays that never answer can't use up all of it.
    pub(super) fn crowded_until(&self, via: &RelayId, relay: &RelayId) -> Option<Timestamp> {
        let (waiting, first) = self.queue(via, relay);
        let left = FORWARDS_MAX.saturating_sub(self.forwards.len());
        if waiting < left.min(FORWARDS_PER_RELAY_MAX) {
            return None;
        }
        // Where nothing is left, what went out last may be answered soon.
        let last = || self.forwards.values().map(OnTheWay::slow_at).max();
        first.map(OnTheWay::late_at).or_else(last)
    }

    /// How many relays do not answer over a home relay: of all of them it may be the one that is cut off.
    pub(super) fn unanswering(&self, via: &RelayId, now: Timestamp) -> usize {
        let slow = self.forwards.values().filter(|forward| forward.via == *via && forward.is_slow(now));
        slow.map(|forward| forward.relay).collect::<BTreeSet<_>>().len()
    }

    /// When something opens, or is to be asked.
    pub(super) fn next_deadline(&self, now: Timestamp) -> Option<Timestamp> {
        let ways = self.forwards.values().filter_map(|forward| forward.next_way(now));
        let asks = self.keys.values().filter_map(|known| match known {
            Known::Wanted { ask_at, is_wanted: true, .. } => Some(*ask_at),
            Known::Wanted { .. } | Known::Key { .. } => None,
        });
        ways.chain(asks).min()
    }

    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, by: Duration) {
        let keys = self.keys.values_mut().flat_map(|known| match known {
            Known::Wanted { since, ask_at, .. } => [Some(since), Some(ask_at)],
            Known::Key { since, .. } => [Some(since), None],
        });
        let circuits = self.circuits.values_mut().map(|(_, since)| since);
        let forwards = self.forwards.values_mut().map(|forward| &mut forward.made);
        let all = keys.flatten().chain(circuits).chain(forwards).chain(self.shut.values_mut());
        for at in all {
            *at = at.before(by);
        }
        self.latencies.values_mut().for_each(|latency| latency.set_back(by));
    }
}
