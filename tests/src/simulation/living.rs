//! What people do with their devices, and what they are told.

use std::collections::BTreeSet;

use undertone::command::{Command, CommandError, Response};
use undertone::engine::{Input, Origin};

use super::failed::Failed;
use super::faults;
use super::network::{Happening, delay};
use super::population::{DEVICE_NAMES, below};
use super::world::World;

/// How seldom somebody gets another device, or revokes one.
const NEW_DEVICE_ONE_IN: usize = 4;
const REVOKE_ONE_IN: usize = 200;

impl World {
    pub(super) fn user_acts(&mut self, person: usize) -> Result<(), Failed> {
        let pause = delay(&mut self.rng) * 40;
        self.schedule.at(self.now.after(pause), Happening::User { person });
        self.tend_devices(person)?;
        let devices = self.devices_of(person);
        let Some(index) = devices.get(below(&mut self.rng, devices.len())).copied() else { return Ok(()) };
        let Some(node) = self.nodes.get_mut(index).filter(|node| node.engine.is_some()) else {
            return Ok(());
        };
        if node.is_linking()? {
            return Ok(());
        }
        if faults::happens(&mut self.rng, self.faults.wedge) {
            node.lose_sessions()?;
            self.report.wedged += 1;
        }
        let Some(someone) = self.people.get_mut(person) else { return Ok(()) };
        // A link is used once, so on one device.
        let meetings = if devices.first() == Some(&index) { self.meetings.as_slice() } else { &[] };
        match someone.act(&mut node.disk, meetings, &mut self.rng)? {
            Some(ask) => self.step_node(index, vec![Input::Ask(ask)]),
            None => Ok(()),
        }
    }

    /// Gets a new device, goes on adding one, or revokes one.
    fn tend_devices(&mut self, person: usize) -> Result<(), Failed> {
        let Some(someone) = self.people.get(person) else { return Ok(()) };
        let (count, wanted, user) = (someone.devices.len(), someone.devices_wanted, someone.user.clone());
        // Nobody has a second device before they know somebody: histories shall be there to be handed on.
        let met = self.meetings.iter().any(|meeting| meeting.link.is_some() && meeting.involves(&user));
        if count < wanted && met && below(&mut self.rng, NEW_DEVICE_ONE_IN) == 0 {
            let name = DEVICE_NAMES.get(count).copied().unwrap_or("another");
            let node = self.add_node(name, Origin::Link)?;
            if let Some(someone) = self.people.get_mut(person) {
                someone.devices.push(node);
            }
        }
        if self.faults.revoke && count > 1 && below(&mut self.rng, REVOKE_ONE_IN) == 0 {
            self.revoke_last(person)?;
        }
        if below(&mut self.rng, 2) == 0 { self.finish_linking(person) } else { Ok(()) }
    }

    /// Shows the code of a device that waits to be added, or adds it.
    pub(super) fn finish_linking(&mut self, person: usize) -> Result<(), Failed> {
        let devices = self.devices_of(person);
        for index in devices.iter().skip(1).copied() {
            let Some(node) = self.nodes.get_mut(index) else { continue };
            if node.engine.is_none() || !node.is_linking()? {
                continue;
            }
            let (on, command) = match (self.codes.get(&index), devices.first()) {
                (Some(code), Some(primary)) => (*primary, Command::DeviceAdd { code: code.clone() }),
                _ => (index, Command::DeviceCode {}),
            };
            self.tell_node(person, on, command)?;
        }
        Ok(())
    }

    fn revoke_last(&mut self, person: usize) -> Result<(), Failed> {
        let devices = self.devices_of(person);
        let (Some(primary), Some(last)) = (devices.first().copied(), devices.last().copied()) else {
            return Ok(());
        };
        let Some(node) = self.nodes.get_mut(last) else { return Ok(()) };
        if primary == last || node.is_linking()? {
            return Ok(());
        }
        let name = node.name.to_owned();
        self.tell_node(person, primary, Command::DeviceRevoke { name })
    }

    /// Which devices their user revoked says the primary one: whether the answer got through or not.
    pub(super) fn note_revoked(&mut self) -> Result<(), Failed> {
        let primaries = self.people.iter().filter_map(|person| person.devices.first().copied());
        let mut revoked = BTreeSet::new();
        for primary in primaries.collect::<Vec<_>>() {
            if let Some(node) = self.nodes.get_mut(primary) {
                revoked.extend(node.revoked()?);
            }
        }
        for (index, node) in self.nodes.iter_mut().enumerate() {
            if node.device()?.is_some_and(|device| revoked.contains(&device)) {
                self.revoked.insert(index);
            }
        }
        Ok(())
    }

    fn tell_node(&mut self, person: usize, node: usize, command: Command) -> Result<(), Failed> {
        let Some(someone) = self.people.get_mut(person) else { return Ok(()) };
        let ask = someone.ask(command);
        self.step_node(node, vec![Input::Ask(ask)])
    }

    /// What a user is told must hold from then on.
    pub(super) fn told(&mut self, index: usize, result: Result<Response, CommandError>) {
        match result {
            Ok(Response::Invitation(view)) if view.ready => self.invited(index, view.link),
            Ok(Response::Message(view)) => {
                self.answered.insert(view.text, index);
            }
            Ok(Response::Contact(view)) if view.state == "blocked" => self.report.blocked += 1,
            Ok(Response::DeviceCode(view)) if view.ready => {
                self.codes.extend(view.code.map(|code| (index, code)));
            }
            _ => {}
        }
    }

    /// A link is for the next whom its maker has not invited yet.
    fn invited(&mut self, index: usize, link: String) {
        let maker = self.people.iter().find(|person| person.devices.contains(&index));
        let Some(maker) = maker.map(|person| person.user.clone()) else { return };
        let open =
            self.meetings.iter_mut().find(|meeting| meeting.inviter == maker && meeting.link.is_none());
        if let Some(meeting) = open {
            meeting.link = Some(link);
        }
    }
}
