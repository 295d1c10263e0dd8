//! What happens to relays where there are several, and what users do about theirs.

use rand_core::Rng;
use undertone::command::Command;
use undertone::store::NodeStore;
use undertone_protocol::ids::RelayId;
use undertone_protocol::time::Timestamp;
use undertone_transport::RelayAddress as KeyedAddress;

use super::failed::Failed;
use super::faults::{below, one_in};
use super::network::{Direction, Happening};
use super::relay::{ADDRESS, SimRelay};
use super::world::World;

/// Between two troubles with relays, in seconds.
const PAUSE_S_MAX: u64 = 120;
/// How long some devices don't reach a relay, or it stays down, in seconds.
const TROUBLE_S_MAX: u64 = 240;

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
            1 if self.doomed_is_backed_up() => {}
            1 => self.relay_is_lost()?,
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

    /// Some devices, and some relays, don't reach a relay for a while.
    fn partition(&mut self, relay: usize, until: Timestamp) {
        self.relays.report.partitions += 1;
        for other in 0..self.relays.all.len() {
            if one_in(&mut self.relays.rng, 2) {
                self.relays.set_apart(relay, other, until);
                self.trunks_break(relay);
            }
        }
        for node in 0..self.nodes.len() {
            if one_in(&mut self.relays.rng, 2) {
                continue;
            }
            self.relays.apart.insert((node, relay), until);
            for conn in self.network.all_from(node, Some(relay)) {
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

    /// Before anything happens to the one that is to die, where its operator keeps a copy of its disk: it is made now.
    fn doomed_is_backed_up(&mut self) -> bool {
        let doomed = self.relays.doomed.and_then(|relay| self.relays.all.get_mut(relay));
        let Some(doomed) = doomed.filter(|relay| self.faults.old_backup && !relay.has_backup()) else {
            return false;
        };
        doomed.back_up();
        true
    }

    /// The one that is to die does so, with its disk. It never comes back, or knows nothing then, or what an old copy tells it.
    fn relay_is_lost(&mut self) -> Result<(), Failed> {
        let Some(relay) = self.relays.doomed else { return Ok(()) };
        let is_new = |relay: &&mut SimRelay| !relay.is_lost && !relay.has_forgotten;
        let Some(lost) = self.relays.all.get_mut(relay).filter(is_new) else { return Ok(()) };
        self.relays.report.lost += 1;
        if self.faults.forgets {
            self.relays.report.restored += u64::from(lost.put_back()?);
        } else {
            lost.stop();
            lost.is_lost = true;
        }
        self.hang_up_all_of(relay);
        if self.faults.forgets {
            let back = self.now.after(self.relays.seconds(TROUBLE_S_MAX));
            self.schedule.at(back, Happening::RelayStart { relay });
        }
        Ok(())
    }

    /// A relay died: all its connections end.
    pub(super) fn hang_up_all_of(&mut self, relay: usize) {
        self.trunks_break(relay);
        for conn in self.network.all_of(relay) {
            self.network.died(conn, Direction::ToRelay, self.now, &mut self.rng, &mut self.schedule);
        }
    }

    /// All that live are reached by everybody; what is lost stays lost, and so it comes to it that is to be.
    pub(super) fn relays_recover(&mut self) -> Result<(), Failed> {
        self.relays_are_troubled = false;
        self.relays.apart.clear();
        self.relays.far_apart.clear();
        self.relay_is_lost()?;
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
