//! The relays of a world: which there are, who has a home where, who reaches which, and which one is lost for ever. With one
//! relay there is nothing to draw, and the world is as it was before there could be more.

use std::collections::BTreeMap;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use undertone::command::Command;
use undertone::store::NodeStore;
use undertone_protocol::ids::RelayId;
use undertone_protocol::keys::RelayAddress;
use undertone_protocol::time::Timestamp;
use undertone_relay::limits::Limits;
use undertone_transport::RelayAddress as KeyedAddress;

use super::failed::Failed;
use super::faults::{below, one_in};
use super::network::{Direction, Happening};
use super::relay::{ADDRESS, SimRelay};
use super::world::World;

/// Tells the relays' randomness from the rest.
const RELAYS: u64 = 0x7265_6c61_7973;
/// As many as a world has.
pub(super) const RELAYS_MAX: usize = 4;
/// As many home relays as a device has.
const HOMES_MAX: usize = 3;
/// Of so many worlds with several relays one loses none of them for ever.
const NONE_DOOMED_ONE_IN: u32 = 4;
/// Between two troubles with relays, in seconds.
const PAUSE_S_MAX: u64 = 120;
/// How often home relays change in those worlds with several where they do, in thousandths of what a user does.
const MOVES_MAX: u32 = 12;
/// How long some devices don't reach a relay, or it stays down, in seconds.
const TROUBLE_S_MAX: u64 = 240;

/// All relays of a world.
pub(super) struct Relays {
    pub(super) all: Vec<SimRelay>,
    pub(super) rng: ChaCha20Rng,
    /// The one that is lost for ever in the course of things. Every device has another one, too.
    doomed: Option<usize>,
    /// Which devices, by node, don't reach which relays, and until when.
    apart: BTreeMap<(usize, usize), Timestamp>,
    pub(super) report: Troubles,
}

/// What happened to them.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Troubles {
    pub(super) lost: u64,
    pub(super) partitions: u64,
    pub(super) outages: u64,
    pub(super) changes: u64,
}

impl Relays {
    /// `first` is the one that there would be without the others.
    pub(super) fn new(seed: u64, count: usize, first: SimRelay, limits: &Limits) -> Self {
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
            apart: BTreeMap::new(),
            report: Troubles::default(),
        }
    }

    /// How many relays the world of a seed has that is to have several.
    pub(super) fn several(seed: u64) -> usize {
        let mut rng = ChaCha20Rng::seed_from_u64(seed ^ RELAYS.rotate_left(1));
        2 + below(&mut rng, RELAYS_MAX - 1)
    }

    /// How often home relays change in such a world.
    pub(super) fn moves(seed: u64) -> u32 {
        let mut rng = ChaCha20Rng::seed_from_u64(seed ^ RELAYS.rotate_left(2));
        if one_in(&mut rng, 2) { 1 + rng.next_u32() % MOVES_MAX } else { 0 }
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
            if count == 1 && Some(home) == self.doomed {
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

    /// How often a mailbox was full.
    pub(super) fn full(&self) -> u64 {
        self.all.iter().map(SimRelay::full).sum()
    }

    fn seconds(&mut self, max: u64) -> Duration {
        Duration::from_secs(1 + self.rng.next_u64() % max)
    }
}

impl World {
    /// In a world with several relays something is always the matter with one of them.
    pub(super) fn plan_relay_trouble(&mut self) {
        if self.relays.are_several() {
            let pause = self.relays.seconds(PAUSE_S_MAX);
            self.schedule.at(self.now.after(pause), Happening::RelayTrouble);
        }
    }

    pub(super) fn relay_trouble(&mut self) -> Result<(), Failed> {
        if !self.relays_are_troubled {
            return Ok(());
        }
        let relay = below(&mut self.relays.rng, self.relays.all.len());
        let until = self.now.after(self.relays.seconds(TROUBLE_S_MAX));
        match self.relays.rng.next_u32() % 4 {
            0 => self.relay_is_down(relay, until),
            1 => self.relay_is_lost(),
            _ => self.partition(relay, until),
        }
        self.plan_relay_trouble();
        Ok(())
    }

    /// A device gets another home relay, or gives one up; one that is not to be lost it keeps.
    pub(super) fn tend_relays(&mut self, user: usize) -> Result<(), Failed> {
        let rng = &mut self.relays.rng;
        let (relay, moves) = (below(rng, self.relays.all.len()), one_in(rng, 2));
        let devices = self.devices_of(user);
        let device = devices.get(below(&mut self.relays.rng, devices.len())).copied();
        let Some(index) = device else { return Ok(()) };
        if !self.is_usable(index)? {
            return Ok(());
        }
        let (Some(node), Some(id)) = (self.nodes.get_mut(index), self.relays.id(relay)) else {
            return Ok(());
        };
        let homes = node.disk.transaction(|tx| tx.home_relays())?;
        let homes: Vec<RelayId> =
            homes.iter().filter(|home| home.stays()).map(|home| home.address.relay).collect();
        let lasts =
            |home: &&RelayId| self.relays.doomed.is_none_or(|doomed| self.relays.id(doomed) != Some(**home));
        let others = homes.iter().filter(|home| **home != id).filter(lasts).count();
        let addresses = vec![listed(id)?];
        let command = if homes.contains(&id) {
            if others == 0 {
                return Ok(());
            }
            Command::RelayRemove { relay: id.to_hex() }
        } else if moves && lasts(&&id) {
            Command::RelayMove { addresses }
        } else {
            Command::RelayAdd { addresses, priority: None }
        };
        self.relays.report.changes += 1;
        self.tell_node(user, index, command)
    }

    /// Some devices don't reach a relay for a while.
    fn partition(&mut self, relay: usize, until: Timestamp) {
        self.relays.report.partitions += 1;
        for node in 0..self.nodes.len() {
            if one_in(&mut self.relays.rng, 2) {
                continue;
            }
            self.relays.apart.insert((node, relay), until);
            if let Some(conn) = self.network.conn_of(node, relay) {
                self.network.cut(conn, self.now, &mut self.relays.rng, &mut self.schedule);
            }
        }
    }

    fn relay_is_down(&mut self, relay: usize, until: Timestamp) {
        let Some(down) = self.relays.all.get_mut(relay).filter(|relay| !relay.is_lost) else { return };
        self.relays.report.outages += 1;
        down.stop();
        self.hang_up_all_of(relay);
        self.schedule.at(until, Happening::RelayStart { relay });
    }

    /// The one that is to die does so, with its disk, and never comes back.
    fn relay_is_lost(&mut self) {
        let Some(relay) = self.relays.doomed else { return };
        let Some(lost) = self.relays.all.get_mut(relay).filter(|relay| !relay.is_lost) else { return };
        self.relays.report.lost += 1;
        lost.stop();
        lost.is_lost = true;
        self.hang_up_all_of(relay);
    }

    fn hang_up_all_of(&mut self, relay: usize) {
        for conn in self.network.all_of(relay) {
            self.network.died(conn, Direction::ToRelay, self.now, &mut self.rng, &mut self.schedule);
        }
    }

    /// All that live are reached by everybody; what is lost stays lost, and so it comes to it that is to be.
    pub(super) fn relays_recover(&mut self) -> Result<(), Failed> {
        self.relays_are_troubled = false;
        self.relays.apart.clear();
        self.relay_is_lost();
        if self.relays.are_several() {
            for relay in 0..self.relays.all.len() {
                self.start_relay(relay)?;
            }
        }
        Ok(())
    }
}

/// A relay as users are told where it is.
fn listed(relay: RelayId) -> Result<String, Failed> {
    let address = ADDRESS.parse().map_err(|_| Failed::new("an address that is none"))?;
    Ok(KeyedAddress { relay, address }.to_string())
}
