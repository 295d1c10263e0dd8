//! What users and strangers do, and what users are told.

use undertone::command::{Ask, CommandError, CommandId, MessageView, Response};
use undertone::engine::{Input, Notice};
use undertone::event::Event;
use undertone::store::NodeStore;
use undertone_protocol::ids::{DeviceId, Locator};
use undertone_protocol::limits::{PREKEYS_PER_LOCATOR_MAX, PROTOCOL_VERSION};
use undertone_protocol::wire::{self, frame::Body};
use undertone_relay::core::{ConnId, Input as RelayInput};

use super::failed::{Check, Failed};
use super::faults::{below, happens, one_in};
use super::group::GROUP;
use super::network::{Happening, delay};
use super::user::User;
use super::world::{START, World};

impl World {
    /// A user does something about one of those whom they know, on one of their devices.
    pub(super) fn user_acts(&mut self, user: usize) -> Result<(), Failed> {
        let pause = delay(&mut self.rng) * 40;
        self.schedule.at(self.now.after(pause), Happening::User { user });
        self.tend_devices(user)?;
        if happens(&mut self.relays.rng, self.faults.moves) {
            self.tend_relays(user)?;
        }
        if self.has_group && one_in(&mut self.rng, 2) {
            return match self.at_hand(user)? {
                Some(index) => self.acts_in_group(user, index),
                None => Ok(()),
            };
        }
        let peers = self.circle.of(user);
        let peer = peers.get(below(&mut self.rng, peers.len()));
        let Some(peer) = peer.and_then(|peer| self.users.get(*peer)).map(User::peer) else { return Ok(()) };
        let Some(index) = self.at_hand(user)? else { return Ok(()) };
        if happens(&mut self.rng, self.faults.drain) {
            self.drain(index)?;
        }
        let (Some(user), Some(node)) = (self.users.get_mut(user), self.nodes.get_mut(index)) else {
            return Ok(());
        };
        if happens(&mut self.rng, self.faults.wedge) {
            node.lose_sessions()?;
            self.report.wedged += 1;
        }
        match user.act(node, peer, &mut self.circle, &mut self.rng)? {
            Some(ask) => self.ask(index, ask),
            None => Ok(()),
        }
    }

    pub(super) fn ask(&mut self, index: usize, ask: Ask) -> Result<(), Failed> {
        let asked = || Some(format!("node {index} is asked: {:?}", ask.command));
        self.trace.note(START, self.now, asked);
        self.step_node(index, vec![Input::Ask(ask)])
    }

    /// A device of the user that runs and is linked, any of them.
    fn at_hand(&mut self, user: usize) -> Result<Option<usize>, Failed> {
        let devices = self.devices_of(user);
        let Some(index) = devices.get(below(&mut self.rng, devices.len())).copied() else { return Ok(None) };
        Ok(self.is_usable(index)?.then_some(index))
    }

    /// Whether a device runs and is linked.
    pub(super) fn is_usable(&mut self, index: usize) -> Result<bool, Failed> {
        match self.nodes.get_mut(index) {
            Some(node) if node.engine.is_some() => node.is_linking().map(|linking| !linking),
            _ => Ok(false),
        }
    }

    /// A stranger who knows where a device's bundle lies takes all one-time prekeys.
    fn drain(&mut self, index: usize) -> Result<(), Failed> {
        let Some(node) = self.nodes.get_mut(index) else { return Ok(()) };
        let homes = node.disk.transaction(|tx| tx.home_relays())?;
        let Some(home) = homes.first() else { return Ok(()) };
        let (locator, relay) = (home.locator, self.relays.index(&home.address.relay));
        let Some(relay) = relay else { return Ok(()) };
        self.report.drained += 1;
        // No wire has this number.
        let conn = ConnId::new(u64::MAX - self.report.drained);
        self.step_relay(relay, stranger(conn, &locator))
    }

    /// What a user is told must hold from then on.
    pub(super) fn told(&mut self, index: usize, notices: Vec<Notice>) -> Result<(), Failed> {
        for notice in notices {
            match notice {
                Notice::Reply { id, result } => self.answered(index, id, *result),
                Notice::Event(Event::Tick { failed: Some(_), .. }) => self.report.failed += 1,
                Notice::Event(Event::Message { message }) => self.was_said(index, &message)?,
                Notice::Event(_) => {}
            }
        }
        Ok(())
    }

    /// What a device tells of, somebody said to its user, or its user said; or somebody who cheats said it.
    fn was_said(&self, index: usize, message: &MessageView) -> Result<(), Failed> {
        let Some(node) = self.nodes.get(index).filter(|node| node.cheat.is_none()) else { return Ok(()) };
        let reader = self.users.iter().position(|user| user.id == node.user);
        let cheats = self.hostile.and_then(|hostile| self.users.get(hostile));
        let is_notice = message.kind != "text";
        // Who is met in a group may have told no name yet.
        let called = |cheats: &User| [cheats.name.to_owned(), cheats.id.short()].contains(&message.from);
        let by_cheat = |cheats: &User| message.contact == cheats.name || called(cheats);
        if is_notice || message.deleted || cheats.is_some_and(by_cheat) {
            return Ok(());
        }
        let peers = (0..self.users.len()).filter(|peer| Some(*peer) != reader);
        let mut pairs = peers.filter_map(|peer| reader.map(|reader| (reader, peer)));
        let in_group = |user: &User| user.said(&GROUP, &message.text);
        if pairs.any(|(a, b)| self.was_said_between(a, b, &message.text)) || self.users.iter().any(in_group) {
            return Ok(());
        }
        let (name, text, from) = (node.name, &message.text, &message.from);
        Err(Failed::by(Check::Truth, format!("{name}: told that {from} said \"{text}\", and nobody did")))
    }

    /// Whether one of two users said this to the other.
    pub(super) fn was_said_between(&self, a: usize, b: usize, text: &str) -> bool {
        let (Some(a), Some(b)) = (self.users.get(a), self.users.get(b)) else { return false };
        a.said(&b.peer(), text) || b.said(&a.peer(), text)
    }

    fn answered(&mut self, index: usize, id: CommandId, result: Result<Response, CommandError>) {
        match result {
            Ok(Response::Invitation(view)) => {
                let owner = self.users.iter_mut().find(|user| user.devices.contains(&index));
                if let Some(owner) = owner {
                    owner.invited(id, view.ready.then_some(view.link.as_str()), &mut self.circle);
                }
            }
            // What a message came to by changes is looked at in the end.
            Ok(Response::Message(view)) if !view.edited && !view.deleted => {
                let owner = self.users.iter().find(|user| user.devices.contains(&index));
                if owner.is_some_and(|owner| !owner.is_change(&id)) {
                    self.answered.insert(view.text, index);
                }
            }
            Ok(Response::DeviceCode(view)) if view.ready => {
                self.codes.extend(view.code.map(|code| (index, code)));
            }
            Ok(Response::Contact(view)) if view.state == "blocked" => self.report.blocked += 1,
            _ => {}
        }
    }
}

/// Comes, fetches a bundle as often as it takes, and goes.
fn stranger(conn: ConnId, locator: &Locator) -> Vec<RelayInput> {
    let frame = |body: Body| RelayInput::Frame { conn, frame: wire::Frame { request: 1, body: Some(body) } };
    let hello = wire::Hello { version_min: PROTOCOL_VERSION, version_max: PROTOCOL_VERSION };
    let get = wire::GetBundle { locator: locator.to_wire() };
    let come = [RelayInput::Connected { conn, device: DeviceId::new([0xff; 32]) }, frame(Body::Hello(hello))];
    let fetches = (0..PREKEYS_PER_LOCATOR_MAX).map(|_| frame(Body::GetBundle(get.clone())));
    come.into_iter().chain(fetches).chain([RelayInput::Disconnected { conn }]).collect()
}
