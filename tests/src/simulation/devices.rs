//! New devices, and lost ones.

use std::collections::BTreeSet;

use undertone::command::Command;
use undertone::engine::{Input, Origin};

use super::failed::Failed;
use super::faults::one_in;
use super::world::World;

/// Of one user; the first is made with the account.
const NAMES: [&str; 3] = ["desktop", "phone", "tablet"];
/// How seldom somebody gets another device, or revokes one.
const NEW_DEVICE_ONE_IN: u32 = 4;
const REVOKE_ONE_IN: u32 = 200;

impl World {
    /// Gets a new device, goes on adding one, or revokes one.
    pub(super) fn tend_devices(&mut self, user: usize) -> Result<(), Failed> {
        let Some(someone) = self.users.get(user) else { return Ok(()) };
        let (count, wants) = (someone.devices.len(), someone.wants_device());
        // Nobody has a second device before they know somebody: histories shall be there to be handed on.
        if wants && self.circle.has_met(user) && one_in(&mut self.rng, NEW_DEVICE_ONE_IN) {
            let name = NAMES.get(count).copied().unwrap_or("another");
            let whose = someone.id;
            let node = self.add_node(name, Origin::Link, None)?;
            if let Some(node) = self.nodes.get_mut(node) {
                node.user = whose;
            }
            if let Some(someone) = self.users.get_mut(user) {
                someone.devices.push(node);
            }
        }
        if self.faults.revoke && count > 1 && one_in(&mut self.rng, REVOKE_ONE_IN) {
            self.revoke_last(user)?;
        }
        if one_in(&mut self.rng, 2) { self.finish_linking(user) } else { Ok(()) }
    }

    /// Shows the code of a device that waits to be added, or adds it.
    pub(super) fn finish_linking(&mut self, user: usize) -> Result<(), Failed> {
        let devices = self.devices_of(user);
        for index in devices.iter().skip(1).copied() {
            let Some(node) = self.nodes.get_mut(index) else { continue };
            if node.engine.is_none() || !node.is_linking()? {
                continue;
            }
            // A code may have expired by the time that it is used: it is looked up each time.
            let (on, command) = match (self.codes.remove(&index), devices.first()) {
                (Some(code), Some(primary)) => (*primary, Command::DeviceAdd { code }),
                _ => (index, Command::DeviceCode {}),
            };
            self.tell_node(user, on, command)?;
        }
        Ok(())
    }

    fn revoke_last(&mut self, user: usize) -> Result<(), Failed> {
        let devices = self.devices_of(user);
        let (Some(primary), Some(last)) = (devices.first().copied(), devices.last().copied()) else {
            return Ok(());
        };
        let Some(node) = self.nodes.get_mut(last) else { return Ok(()) };
        if primary == last || node.is_linking()? {
            return Ok(());
        }
        let name = node.name.to_owned();
        self.tell_node(user, primary, Command::DeviceRevoke { name })
    }

    /// Which devices their users revoked, by node: the first ones say, whether the answer got through or not.
    pub(super) fn lost(&mut self) -> Result<BTreeSet<usize>, Failed> {
        let mut revoked = BTreeSet::new();
        for node in self.nodes.iter_mut().filter(|node| node.first) {
            revoked.extend(node.revoked()?);
        }
        let nodes = self.nodes.iter().enumerate().filter(|(_, node)| revoked.contains(&node.device));
        Ok(nodes.map(|(index, _)| index).collect())
    }

    /// The devices of somebody; at the end only those that they have not revoked.
    pub(super) fn devices_of(&self, user: usize) -> Vec<usize> {
        let devices = self.users.get(user).map(|user| user.devices.clone()).unwrap_or_default();
        devices.into_iter().filter(|node| !self.revoked.contains(node)).collect()
    }

    pub(super) fn tell_node(&mut self, user: usize, node: usize, command: Command) -> Result<(), Failed> {
        let Some(someone) = self.users.get_mut(user) else { return Ok(()) };
        let ask = someone.ask(command);
        self.step_node(node, vec![Input::Ask(ask)])
    }
}
