//! Heartbeats: which other relays are looked after, when each is called next, and how it did.

use std::collections::BTreeMap;
use std::time::Duration;

use rand_core::CryptoRng;
use undertone_protocol::ids::RelayId;
use undertone_protocol::time::Timestamp;

/// Relays that are looked after.
const PEERS_MAX: usize = 256;
/// Heartbeats that are under way at one time.
const UNDER_WAY_MAX: usize = 8;
/// The wait for the next one doubles with each that failed, so often.
const DOUBLED_MAX: u32 = 3;
/// After a start all are called within this time.
const FIRST: Duration = Duration::from_secs(2);

/// Says when a relay's heartbeat is due, and keeps how it did. Memory only.
///
/// [`Beats::due`] has those whose turn it is; what comes of each is said by [`Beats::answered`] or [`Beats::failed`].
#[derive(Debug, Default)]
pub(super) struct Beats {
    peers: BTreeMap<RelayId, Peer>,
}

/// A relay that is looked after.
#[derive(Debug)]
struct Peer {
    /// It was named by the operator: it stays.
    is_configured: bool,
    next: Timestamp,
    is_under_way: bool,
    health: Health,
}

/// How a relay does, as far as heartbeats say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Health {
    /// Whether the last one was answered, and since when it is so. `None`: none ended yet.
    pub(super) reachable: Option<(bool, Timestamp)>,
    /// When it last said anything.
    pub(super) heard_at: Option<Timestamp>,
    /// From the last heartbeat to its answer.
    pub(super) round_trip: Option<Duration>,
    /// Heartbeats since the last answer.
    pub(super) failures: u32,
}

impl Beats {
    /// Looks after a relay from now on. Where there are too many, the one that was not heard for longest is left to itself.
    pub(super) fn follow(
        &mut self,
        relay: RelayId,
        is_configured: bool,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) {
        if let Some(peer) = self.peers.get_mut(&relay) {
            peer.is_configured |= is_configured;
            return;
        }
        if self.peers.len() >= PEERS_MAX && !self.make_room() {
            return;
        }
        let next = now.after(random(FIRST, rng));
        let (is_under_way, health) = (false, Health::default());
        self.peers.insert(relay, Peer { is_configured, next, is_under_way, health });
    }

    fn make_room(&mut self) -> bool {
        let others = self.peers.iter().filter(|(_, peer)| !peer.is_configured && !peer.is_under_way);
        let silent = others.min_by_key(|(_, peer)| peer.health.heard_at).map(|(relay, _)| *relay);
        silent.is_some_and(|silent| self.peers.remove(&silent).is_some())
    }

    /// Looks after those alone for which this holds.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(&RelayId) -> bool) {
        self.peers.retain(|relay, _| keeps(relay));
    }

    /// When one is due next, if one may be under way.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let waiting = self.peers.values().filter(|peer| !peer.is_under_way);
        (self.under_way() < UNDER_WAY_MAX).then(|| waiting.map(|peer| peer.next).min())?
    }

    /// Whose turn it is: from now on it is under way.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<RelayId> {
        let room = UNDER_WAY_MAX.saturating_sub(self.under_way());
        let mut due: Vec<_> =
            self.peers.iter().filter(|(_, peer)| !peer.is_under_way && peer.next <= now).collect();
        due.sort_by_key(|(_, peer)| peer.next);
        let due: Vec<RelayId> = due.into_iter().take(room).map(|(relay, _)| *relay).collect();
        for relay in &due {
            if let Some(peer) = self.peers.get_mut(relay) {
                peer.is_under_way = true;
            }
        }
        due
    }

    fn under_way(&self) -> usize {
        self.peers.values().filter(|peer| peer.is_under_way).count()
    }

    /// A relay said something.
    pub(super) fn heard(&mut self, relay: &RelayId, now: Timestamp) {
        if let Some(peer) = self.peers.get_mut(relay) {
            peer.health.heard_at = Some(now);
        }
    }

    /// A heartbeat was answered, after so long.
    pub(super) fn answered(
        &mut self,
        relay: &RelayId,
        took: Duration,
        every: Duration,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) {
        let Some(peer) = self.peers.get_mut(relay) else { return };
        (peer.health.failures, peer.health.round_trip) = (0, Some(took));
        peer.ended(true, every, now, rng);
    }

    /// A heartbeat that was under way was not answered. Whether one was.
    pub(super) fn failed(
        &mut self,
        relay: &RelayId,
        every: Duration,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(relay).filter(|peer| peer.is_under_way) else { return false };
        let wait = every.saturating_mul(1 << peer.health.failures.min(DOUBLED_MAX));
        peer.health.failures = peer.health.failures.saturating_add(1);
        peer.ended(false, wait, now, rng);
        true
    }

    /// A heartbeat that was under way is not made now, for no fault of the relay's.
    pub(super) fn put_off(
        &mut self,
        relay: &RelayId,
        every: Duration,
        now: Timestamp,
        rng: &mut dyn CryptoRng,
    ) {
        if let Some(peer) = self.peers.get_mut(relay).filter(|peer| peer.is_under_way) {
            peer.wait(every, now, rng);
        }
    }

    /// How a relay does; nothing is known of one that is not looked after.
    pub(super) fn health(&self, relay: &RelayId) -> Health {
        self.peers.get(relay).map_or_else(Health::default, |peer| peer.health)
    }

    /// Those that are looked after, and how they do.
    pub(super) fn healths(&self) -> impl Iterator<Item = (&RelayId, Health)> {
        self.peers.iter().map(|(relay, peer)| (relay, peer.health))
    }

    /// The clock was set back by so much: what was to come in a while still does.
    pub(super) fn set_back(&mut self, by: Duration) {
        for peer in self.peers.values_mut() {
            let health = &mut peer.health;
            let since = health.reachable.as_mut().map(|(_, since)| since);
            for time in since.into_iter().chain(&mut health.heard_at).chain([&mut peer.next]) {
                *time = time.before(by);
            }
        }
    }
}

impl Peer {
    /// The next one comes after `wait`, with a random part of up to as much again.
    fn ended(&mut self, is_reachable: bool, wait: Duration, now: Timestamp, rng: &mut dyn CryptoRng) {
        let same = self.health.reachable.filter(|(was, _)| *was == is_reachable);
        self.health.reachable = same.or(Some((is_reachable, now)));
        self.wait(wait, now, rng);
    }

    fn wait(&mut self, wait: Duration, now: Timestamp, rng: &mut dyn CryptoRng) {
        self.is_under_way = false;
        self.next = now.after(wait).after(random(wait, rng));
    }
}

/// Up to so much.
fn random(most: Duration, rng: &mut dyn CryptoRng) -> Duration {
    let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(rng.next_u64() % most.saturating_add(1).max(1))
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);
    const EVERY: Duration = Duration::from_secs(300);
    const SECOND: Duration = Duration::from_secs(1);

    fn relay(number: u16) -> RelayId {
        let mut id = [0; 32];
        id[..2].copy_from_slice(&number.to_be_bytes());
        RelayId::new(id)
    }

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(1)
    }

    fn following(count: u16) -> Beats {
        let mut beats = Beats::default();
        (0..count).for_each(|number| beats.follow(relay(number), false, NOW, &mut rng()));
        beats
    }

    #[test]
    fn each_has_its_turn_and_few_are_under_way() {
        let (mut beats, now, mut rng) = (following(20), NOW.after(FIRST), rng());
        let first = beats.due(now);
        assert_eq!(first.len(), UNDER_WAY_MAX);
        assert!(beats.due(now).is_empty() && beats.next_due().is_none());
        first.iter().for_each(|relay| beats.answered(relay, SECOND, EVERY, now, &mut rng));
        let second = beats.due(now);
        assert!(second.len() == UNDER_WAY_MAX && second.iter().all(|relay| !first.contains(relay)));
        second.iter().for_each(|relay| assert!(beats.failed(relay, EVERY, now, &mut rng)));
        assert_eq!(beats.due(now).len(), 4);
    }

    #[test]
    fn the_next_comes_after_a_while_and_ever_later_where_nobody_answers() {
        let (mut beats, mut rng) = (following(1), rng());
        let mut now = NOW.after(FIRST);
        for doubled in [1, 2, 4, 8, 8, 8] {
            assert_eq!(beats.due(now), [relay(0)]);
            beats.failed(&relay(0), EVERY, now, &mut rng);
            let (next, wait) = (beats.next_due().unwrap(), EVERY * doubled);
            assert!(next >= now.after(wait) && next <= now.after(2 * wait), "{doubled}");
            now = next;
        }
        assert_eq!(beats.due(now), [relay(0)]);
        beats.answered(&relay(0), SECOND, EVERY, now, &mut rng);
        assert!(beats.next_due().unwrap() <= now.after(2 * EVERY));
    }

    #[test]
    fn how_they_do_is_kept() {
        let (mut beats, mut rng) = (following(1), rng());
        let health = |beats: &Beats| beats.healths().next().unwrap().1;
        assert_eq!(health(&beats), Health::default());
        let [first, second, third] = [1, 2, 3].map(|hours| NOW.after(hours * 3_600 * SECOND));
        beats.due(first);
        beats.heard(&relay(0), first);
        beats.answered(&relay(0), SECOND, EVERY, first, &mut rng);
        beats.due(second);
        beats.answered(&relay(0), 2 * SECOND, EVERY, second, &mut rng);
        let good = health(&beats);
        assert_eq!((good.reachable, good.failures), (Some((true, first)), 0));
        assert_eq!((good.heard_at, good.round_trip), (Some(first), Some(2 * SECOND)));
        beats.due(third);
        beats.failed(&relay(0), EVERY, third, &mut rng);
        let bad = health(&beats);
        assert_eq!((bad.reachable, bad.failures), (Some((false, third)), 1));
        assert!(!beats.failed(&relay(0), EVERY, third, &mut rng), "none is under way");
    }

    #[test]
    fn there_are_no_more_than_so_many_and_those_that_were_named_stay() {
        let mut beats = Beats::default();
        beats.follow(relay(0), true, NOW, &mut rng());
        (1..300).for_each(|number| {
            beats.follow(relay(number), false, NOW, &mut rng());
            beats.heard(&relay(number), NOW.after(SECOND * u32::from(number)));
        });
        assert_eq!(beats.peers.len(), PEERS_MAX);
        let follows = |number| beats.peers.contains_key(&relay(number));
        assert!(follows(0) && follows(299) && !follows(1));
    }

    #[test]
    fn a_clock_that_is_set_back_holds_nothing_up() {
        let mut beats = following(1);
        beats.set_back(24 * 3_600 * SECOND);
        assert_eq!(beats.due(NOW.before(24 * 3_600 * SECOND).after(FIRST)), [relay(0)]);
    }
}
