//! The relays of a world: which there are, who has a home where, who reaches which, and which one is lost for ever. With one
//! relay there is nothing to draw, and the world is as it was before there could be more.

use std::collections::BTreeMap;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use undertone_protocol::ids::RelayId;
use undertone_protocol::keys::RelayAddress;
use undertone_protocol::time::Timestamp;
use undertone_relay::limits::Limits;

use super::faults::{Faults, below, one_in};
use super::relay::SimRelay;

/// Tells the relays' randomness from the rest.
const RELAYS: u64 = 0x7265_6c61_7973;
/// As many as a world has.
pub(super) const RELAYS_MAX: usize = 7;
/// As many home relays as a device has.
const HOMES_MAX: usize = 3;
/// Of so many worlds with several relays one loses none.
const NONE_DOOMED_ONE_IN: u32 = 4;
/// How often home relays change in those worlds with several where they do, in thousandths of what a user does.
const MOVES_MAX: u32 = 12;
/// Of so many worlds with several relays one has relays that lie about forwards, and to each other.
const LIES_ONE_IN: u32 = 3;
/// How often they do in those worlds, in thousandths of what they say.
const LIES_MAX: u32 = 100;

/// All relays of a world.
pub(super) struct Relays {
    pub(super) all: Vec<SimRelay>,
    pub(super) rng: ChaCha20Rng,
    /// The one that is lost in the course of things, with its disk. Unless it comes back every device has another one, too.
    pub(super) doomed: Option<usize>,
    comes_back: bool,
    /// Which devices, by node, don't reach which relays, and until when.
    pub(super) apart: BTreeMap<(usize, usize), Timestamp>,
    /// Which relays don't reach each other, the lower number first, and until when.
    pub(super) far_apart: BTreeMap<(usize, usize), Timestamp>,
    pub(super) report: Troubles,
}

/// What happened to them.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Troubles {
    pub(super) lost: u64,
    pub(super) restored: u64,
    pub(super) partitions: u64,
    pub(super) outages: u64,
    pub(super) changes: u64,
}

impl Relays {
    /// `first` is the one that there would be without the others; `comes_back`: the one that is lost does, with another disk.
    pub(super) fn new(seed: u64, count: usize, comes_back: bool, first: SimRelay, limits: &Limits) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed ^ RELAYS);
        let mut all = vec![first];
        for _ in 1..count.clamp(1, RELAYS_MAX) {
            all.push(SimRelay::new(limits.clone(), ChaCha20Rng::seed_from_u64(rng.next_u64())));
        }
        let doomed = below(&mut rng, all.len());
        let is_lost = all.len() > 1 && !one_in(&mut rng, NONE_DOOMED_ONE_IN);
        all.iter_mut().for_each(SimRelay::start);
        Self {
            all,
            rng,
            doomed: is_lost.then_some(doomed),
            comes_back,
            apart: BTreeMap::new(),
            far_apart: BTreeMap::new(),
            report: Troubles::default(),
        }
    }

    /// How many relays the world of a seed has that is to have several.
    pub(super) fn several(seed: u64) -> usize {
        let mut rng = ChaCha20Rng::seed_from_u64(seed ^ RELAYS.rotate_left(1));
        2 + below(&mut rng, RELAYS_MAX - 1)
    }

    /// What can go wrong in such a world beside the rest.
    pub(super) fn with_faults(seed: u64, faults: Faults) -> Faults {
        let mut rng = ChaCha20Rng::seed_from_u64(seed ^ RELAYS.rotate_left(2));
        let moves = if one_in(&mut rng, 2) { 1 + rng.next_u32() % MOVES_MAX } else { 0 };
        let forgets = one_in(&mut rng, 2);
        let old_backup = forgets && one_in(&mut rng, 2);
        let forward_lies = if one_in(&mut rng, LIES_ONE_IN) { 1 + rng.next_u32() % LIES_MAX } else { 0 };
        Faults { moves, forgets, old_backup, forward_lies, ..faults }
    }

    /// Whether there is more than one.
    pub(super) fn are_several(&self) -> bool {
        self.all.len() > 1
    }

    /// The home relays of a new device, the preferred one first.
    pub(super) fn homes(&mut self) -> Vec<RelayAddress> {
        let mut left: Vec<usize> = (0..self.all.len()).collect();
        if left.len() == 1 {
            return self.all.iter().map(SimRelay::address).collect();
        }
        let mut count = 1 + below(&mut self.rng, left.len().min(HOMES_MAX));
        let mut homes = Vec::new();
        while homes.len() < count && !left.is_empty() {
            let home = left.remove(below(&mut self.rng, left.len()));
            homes.push(home);
            // Nobody may be out of reach for ever.
            if count == 1 && Some(home) == self.doomed && !self.comes_back {
                count = 2;
            }
        }
        homes.into_iter().filter_map(|home| self.all.get(home)).map(SimRelay::address).collect()
    }

    pub(super) fn index(&self, id: &RelayId) -> Option<usize> {
        self.all.iter().position(|relay| relay.address().relay == *id)
    }

    pub(super) fn id(&self, index: usize) -> Option<RelayId> {
        self.all.get(index).map(|relay| relay.address().relay)
    }

    /// Whether a device gets an answer when it calls.
    pub(super) fn answers(&self, node: usize, relay: usize, now: Timestamp) -> bool {
        let reaches = self.apart.get(&(node, relay)).is_none_or(|until| *until <= now);
        reaches && self.all.get(relay).is_some_and(|relay| relay.machine.is_some())
    }

    /// Whether a relay gets an answer when it calls another one.
    pub(super) fn answer_each_other(&self, from: usize, to: usize, now: Timestamp) -> bool {
        let reaches = self.far_apart.get(&pair(from, to)).is_none_or(|until| *until <= now);
        reaches && self.all.get(to).is_some_and(|relay| relay.machine.is_some())
    }

    /// Two relays don't reach each other before then.
    pub(super) fn set_apart(&mut self, one: usize, other: usize, until: Timestamp) {
        self.far_apart.insert(pair(one, other), until);
    }

    /// How often a mailbox was full.
    pub(super) fn full(&self) -> u64 {
        self.all.iter().map(SimRelay::full).sum()
    }

    /// So many seconds, at most.
    pub(super) fn seconds(&mut self, max: u64) -> Duration {
        Duration::from_secs(1 + self.rng.next_u64() % max)
    }
}

fn pair(one: usize, other: usize) -> (usize, usize) {
    (one.min(other), one.max(other))
}
