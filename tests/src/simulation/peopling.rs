//! Who is in a world, and what they have in mind.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use undertone::engine::Origin;

use super::circle::Circle;
use super::failed::Failed;
use super::faults::{below, one_in};
use super::node::{Cheat, Node, Skew};
use super::scenario::CryptoKind;
use super::user::User;
use super::world::{DAY, World, fork};

const NAMES: [&str; 4] = ["Alice", "Bob", "Carol", "Dave"];
/// What all of a world write together.
const MESSAGES_MAX: u32 = 48;
/// What somebody hostile would like to write.
const FLOOD: u32 = 60;
/// How often one user wants to do something about its membership.
const ADMINISTERS_MAX: u32 = 5;

impl World {
    pub(super) fn populate(&mut self) -> Result<(), Failed> {
        let drawn = [2, 2, 2, 3, 3, 4].get(below(&mut self.rng, 6)).copied().unwrap_or(2);
        let hostile = self.faults.hostile > 0;
        // Whoever cheats has contacts that have others, and two are no group.
        let several = hostile || self.has_group;
        let count = self.options.users.unwrap_or(if several { drawn.max(3) } else { drawn });
        let count = count.clamp(2, NAMES.len());
        self.hostile = hostile.then_some(count.saturating_sub(1));
        for (index, name) in NAMES.into_iter().take(count).enumerate() {
            let often = self.faults.hostile;
            let cheat = (self.hostile == Some(index)).then_some(Cheat { seed: self.options.seed, often });
            let node = self.add_node(name, Origin::New, cheat)?;
            let id = self.nodes.get(node).map(|node| node.user);
            let id = id.ok_or_else(|| Failed::new("no such node"))?;
            self.users.push(User::new(index, name, id, node));
        }
        self.circle = Circle::random(count, &mut self.rng);
        let share = MESSAGES_MAX / u32::try_from(count).unwrap_or(1);
        for index in 0..count {
            let peers = self.circle.of(index);
            let quarrels = peers.into_iter().filter(|_| one_in(&mut self.rng, 4)).collect();
            let devices = [1, 1, 2, 2, 3].get(below(&mut self.rng, 5)).copied().unwrap_or(1);
            let to_write = 4 + self.rng.next_u32() % share;
            let (devices, to_write) = match self.hostile {
                Some(hostile) if hostile == index => (1, FLOOD),
                _ => (self.options.devices_max.map_or(devices, |max| devices.min(max)), to_write),
            };
            if let Some(user) = self.users.get_mut(index) {
                user.mood(devices, to_write, &quarrels, self.faults.quarrel);
            }
        }
        self.found_group();
        Ok(())
    }

    fn found_group(&mut self) {
        if !self.has_group {
            return;
        }
        let founder = below(&mut self.rng, self.users.len());
        // Whoever cheats shall be among them.
        let with = self.hostile.and_then(|hostile| self.users.get(hostile)).map(|user| user.name);
        for (index, user) in self.users.iter_mut().enumerate() {
            user.founds = index == founder;
            user.lets_in = with.filter(|name| *name != user.name);
            user.timer_s = self.faults.timer_s;
            user.to_administer = self.rng.next_u32() % (ADMINISTERS_MAX + 1);
            user.to_write *= 2;
        }
    }

    /// A new device, running; gives its number.
    pub(super) fn add_node(
        &mut self,
        name: &'static str,
        origin: Origin,
        cheat: Option<Cheat>,
    ) -> Result<usize, Failed> {
        let skew = skew(&mut self.rng, self.faults.skew_max());
        let skew = self.off_by_days().unwrap_or(skew);
        let rng = fork(&mut self.rng);
        let real_crypto = self.options.crypto == CryptoKind::Real;
        let homes = self.relays.homes();
        let mut node = Node::create(name, origin, homes, rng, real_crypto, skew, self.now)?;
        node.cheat = cheat;
        self.nodes.push(node);
        let index = self.nodes.len().saturating_sub(1);
        self.start_node(index)?;
        Ok(index)
    }
}

impl World {
    /// How far the clock of a new device is off that is wrong by days.
    fn off_by_days(&mut self) -> Option<Skew> {
        let more = self.faults.skew_days_max.checked_sub(1)?;
        if one_in(&mut self.skews, 2) {
            return None;
        }
        self.report.skewed += 1;
        let more_max = DAY.saturating_mul(u32::try_from(more).unwrap_or(u32::MAX));
        Some(match skew(&mut self.skews, more_max) {
            Skew::Ahead(more) => Skew::Ahead(DAY.saturating_add(more)),
            Skew::Behind(more) => Skew::Behind(DAY.saturating_add(more)),
        })
    }
}

fn skew(rng: &mut ChaCha20Rng, max: Duration) -> Skew {
    let max_ms = u64::try_from(max.as_millis()).unwrap_or(u64::MAX - 1);
    let by = Duration::from_millis(rng.next_u64() % (max_ms + 1));
    if one_in(rng, 2) { Skew::Ahead(by) } else { Skew::Behind(by) }
}
