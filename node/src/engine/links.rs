//! The connections to relays: which there should be. Volatile: they are made anew at every start.

mod away;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use undertone_protocol::ids::{DeviceId, RelayId};
use undertone_protocol::keys::RelayAddress;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::frame::Body;

use away::Away;

use super::asked::{Asked, InFlight};
use super::context::Context;
use super::link::{Beat, Link};
use super::types::{NetOutput, Outputs};
use crate::LinkId;
use crate::event::Event;

/// Connections at one time; one more waits for another to end.
pub const LINKS_MAX: usize = 64;

/// Relays that wait for a place; what is for further ones asks again later.
const WAITING_MAX: usize = 256;
/// After a start nothing is published before a home relay has spoken, but for no longer than this.
const HOME_WAIT_MAX: Duration = Duration::from_secs(10);
/// How often it is looked whether there is a place for them.
const WAITING_LOOK: Duration = Duration::from_secs(10);

/// All connections.
pub(super) struct Links {
    links: BTreeMap<LinkId, Link>,
    /// Outbox items that are on their way, per device, and the relays that were asked to take them.
    in_flight: BTreeSet<(u64, DeviceId, RelayId)>,
    /// Relays that wait for a place, in the order in which they will have it.
    waiting: VecDeque<RelayAddress>,
    /// When it is looked whether there is one.
    look_at: Timestamp,
    jitter: u64,
    /// Whether some home relay said since the start what it knows of this device.
    is_told: bool,
    /// Since when there are connections.
    since: Option<Timestamp>,
    /// Relays that were called and can't be had.
    away: Away,
}

impl Links {
    pub(super) fn new(rng: &mut ChaCha20Rng) -> Self {
        Self {
            links: BTreeMap::new(),
            in_flight: BTreeSet::new(),
            waiting: VecDeque::new(),
            look_at: Timestamp::ZERO,
            jitter: rng.next_u64(),
            is_told: false,
            since: None,
            away: Away::default(),
        }
    }

    /// Makes sure that there is, or will be, a connection to this home relay.
    pub(super) fn want_home(&mut self, address: &RelayAddress, now: Timestamp) {
        let id = LinkId::home(address.relay);
        match self.links.get_mut(&id) {
            Some(link) => link.want(now),
            None => self.add(id, address.clone(), now),
        }
    }

    /// Makes sure that there is, or will be, a connection to this relay for what is of others: if there are too many, in its
    /// turn.
    pub(super) fn want(&mut self, address: &RelayAddress, now: Timestamp) {
        let id = LinkId::hidden(address.relay);
        if let Some(link) = self.links.get_mut(&id) {
            link.want(now);
            self.learn(address);
        } else if self.links.len() < LINKS_MAX && self.waiting.is_empty() {
            self.add_hidden(address, now);
        } else if self.waiting.len() < WAITING_MAX
            && !self.waiting.iter().any(|other| other.relay == address.relay)
        {
            self.waiting.push_back(address.clone());
        }
    }

    fn add_hidden(&mut self, address: &RelayAddress, now: Timestamp) {
        self.add(LinkId::hidden(address.relay), address.clone(), now);
        self.learn(address);
    }

    /// Somebody says where a relay is that they share with others, who may have another way to it; where it is a home relay, so
    /// does this device. Not the other way about: under its own key it calls nobody whom others name.
    fn learn(&mut self, address: &RelayAddress) {
        let own = self.links.get(&LinkId::home(address.relay)).map(|home| home.address().clone());
        if let Some(link) = self.links.get_mut(&LinkId::hidden(address.relay)) {
            own.iter().chain([address]).for_each(|address| link.learn(address));
        }
    }

    fn add(&mut self, id: LinkId, address: RelayAddress, now: Timestamp) {
        self.jitter = self.jitter.wrapping_add(1);
        self.links.insert(id, Link::new(id, address, now, self.jitter));
    }

    /// A relay is at these addresses from now on.
    pub(super) fn readdress(&mut self, address: &RelayAddress, now: Timestamp) {
        for id in both(address.relay) {
            if let Some(link) = self.links.get_mut(&id) {
                link.readdress(address, now);
            }
        }
    }

    /// There need not be this connection any more.
    pub(super) fn give_up(&mut self, id: &LinkId, now: Timestamp, out: &mut Outputs) {
        let was_away = self.away.contains(&id.relay);
        self.drop_link(id, "not needed", now, out);
        if !was_away {
            self.away.forget(&id.relay);
        }
        self.links.remove(id);
    }

    /// Gives places to those that wait. A relay that can't be reached gives way, or a contact could take all the places
    /// with addresses of dead ones.
    fn let_in(&mut self, now: Timestamp) {
        if self.look_at > now {
            return;
        }
        while !self.waiting.is_empty() && (self.links.len() < LINKS_MAX || self.make_room(now)) {
            if let Some(address) = self.waiting.pop_front() {
                self.add_hidden(&address, now);
            }
        }
        self.look_at = now.after(WAITING_LOOK);
    }

    fn make_room(&mut self, now: Timestamp) -> bool {
        let down = self.links.iter().filter_map(|(id, link)| Some((link.gives_way(now)?, *id)));
        let first = down.min();
        first.is_some_and(|(_, id)| self.links.remove(&id).is_some())
    }

    pub(super) fn get(&self, id: &LinkId) -> Option<&Link> {
        self.links.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &LinkId) -> Option<&mut Link> {
        self.links.get_mut(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&LinkId, &Link)> {
        self.links.iter()
    }

    /// The connections to home relays.
    pub(super) fn homes(&self) -> impl Iterator<Item = (&RelayId, &Link)> {
        let homes = self.links.iter().filter(|(id, _)| !id.hidden);
        homes.map(|(id, link)| (&id.relay, link))
    }

    /// The connections to a relay.
    pub(super) fn to(&self, relay: &RelayId) -> impl Iterator<Item = &Link> {
        both(*relay).into_iter().filter_map(|id| self.links.get(&id))
    }

    /// Whether a connection is what its relay is known by: of two, that to a home relay.
    pub(super) fn stands_for_relay(&self, id: &LinkId) -> bool {
        !id.hidden || !self.links.contains_key(&LinkId::home(id.relay))
    }

    /// What is wrong with a connection; of that to a home relay also, what with the one for what is of others there.
    pub(super) fn problem(&self, id: &LinkId) -> Option<String> {
        let link = self.links.get(id)?;
        let hidden = self.links.get(&LinkId::hidden(id.relay)).filter(|_| link.is_ready());
        let of_hidden = hidden.and_then(|hidden| hidden.problem.as_ref());
        let of_hidden =
            of_hidden.map(|problem| format!("what is for others there does not get there: {problem}"));
        link.problem.clone().or(of_hidden)
    }

    /// A home relay said what it knows of this device.
    pub(super) const fn told(&mut self) {
        self.is_told = true;
    }

    /// Until when nothing is published after a start: a home relay may know that the store is an old copy. `None`: one
    /// has spoken, or none can.
    pub(super) fn silent_until(&mut self, now: Timestamp) -> Option<Timestamp> {
        let until = self.since.get_or_insert(now).after(HOME_WAIT_MAX);
        let is_awaited = |link: &Link| link.is_home() && link.problem.is_none();
        (!self.is_told && now < until && self.links.values().any(is_awaited)).then_some(until)
    }

    pub(super) fn is_ready(&self, id: &LinkId) -> bool {
        self.links.get(id).is_some_and(Link::is_ready)
    }

    /// Whether such a question is on its way.
    pub(super) fn is_asking(&self, id: &LinkId, same: impl Fn(&Asked) -> bool) -> bool {
        self.links.get(id).is_some_and(|link| link.questions.any(same))
    }

    /// The relays that were asked to take an item for a device and have not answered.
    pub(super) fn carrying(&self, outbox: u64, device: DeviceId) -> Vec<RelayId> {
        let [first, last] = [[0; 32], [u8::MAX; 32]].map(RelayId::new);
        let carrying = self.in_flight.range((outbox, device, first)..=(outbox, device, last));
        carrying.map(|(_, _, relay)| *relay).collect()
    }

    /// Whether a relay has not answered a publish for long.
    pub(super) fn is_stuck(&self, relay: &RelayId, now: Timestamp) -> bool {
        self.links.get(&LinkId::hidden(*relay)).is_some_and(|link| link.questions.are_stuck(now))
    }

    /// When the next publish that is not answered is not waited for alone any more.
    pub(super) fn next_stuck(&self, now: Timestamp) -> Option<Timestamp> {
        self.links.values().filter_map(|link| link.questions.next_stuck(now)).min()
    }

    /// The transport is there: greet. It may stand in the place of one that nobody said is gone: what was asked there is
    /// asked anew.
    pub(super) fn up(&mut self, id: &LinkId, now: Timestamp, out: &mut Outputs) {
        if self.links.get(id).is_some_and(Link::is_up) {
            self.down(id, "another connection took its place", now);
        }
        match self.links.get_mut(id) {
            Some(link) => link.up(now, out),
            None => out.net.push(NetOutput::Disconnect(*id)),
        }
    }

    /// The relay greeted back. False when it was not asked.
    pub(super) fn greeted(&mut self, id: &LinkId, now: Timestamp) -> bool {
        // While none can be had it is this device that is away.
        if !self.links.values().any(Link::is_ready) {
            self.away.begin_anew(now);
        }
        self.away.forget(&id.relay);
        self.links.get_mut(id).is_some_and(|link| link.greeted(now))
    }

    /// Since when a relay that was called, of late as well, can't be had, while others can.
    pub(super) fn unreachable_since(&self, relay: &RelayId, now: Timestamp) -> Option<Timestamp> {
        let since = self.away.since(relay, now)?;
        self.links.values().any(Link::is_ready).then_some(since)
    }

    /// The transport is gone. Says whether the link had been ready.
    pub(super) fn down(&mut self, id: &LinkId, reason: &str, now: Timestamp) -> bool {
        let Some(link) = self.links.get_mut(id) else { return false };
        let (was_ready, publishes) = link.down(reason, now);
        for publish in publishes {
            land(&mut self.in_flight, &id.relay, &publish);
        }
        if !self.to(&id.relay).any(Link::is_ready) {
            self.away.note(id.relay, now);
        }
        was_ready
    }

    /// Ends a connection of our own accord; the next try comes after the usual backoff.
    pub(super) fn drop_link(&mut self, id: &LinkId, reason: &str, now: Timestamp, out: &mut Outputs) -> bool {
        out.net.push(NetOutput::Disconnect(*id));
        self.down(id, reason, now)
    }

    /// Asks something. False when the link is not ready or has too much unanswered.
    pub(super) fn ask(
        &mut self,
        id: &LinkId,
        asked: Asked,
        body: Body,
        now: Timestamp,
        out: &mut Outputs,
    ) -> bool {
        let Some(link) = self.links.get_mut(id).filter(|link| link.can_ask(&asked)) else { return false };
        if let Asked::Publish(publish) = &asked {
            for item in &publish.items {
                self.in_flight.extend(item.devices.iter().map(|device| (item.outbox, *device, id.relay)));
            }
        }
        link.ask(asked, body, now, out)
    }

    /// What an answer answers; `None` when nothing of that number was asked.
    pub(super) fn answered(&mut self, id: &LinkId, request: u64, now: Timestamp) -> Option<Asked> {
        let asked = self.links.get_mut(id)?.questions.answered(request, now)?;
        if let Asked::Publish(publish) = &asked {
            land(&mut self.in_flight, &id.relay, publish);
        }
        Some(asked)
    }

    /// Says something that is not answered, if the link is ready.
    pub(super) fn tell(&mut self, id: &LinkId, body: Body, now: Timestamp, out: &mut Outputs) {
        if let Some(link) = self.links.get_mut(id).filter(|link| link.is_ready()) {
            link.send(body, now, out);
        }
    }

    /// Connects what is due, beats hearts, drops what is dead or idle. Gives the connections that were dropped
    /// while ready, with the reason.
    pub(super) fn tick(&mut self, now: Timestamp, out: &mut Outputs) -> Vec<(LinkId, String)> {
        let mut dead = Vec::new();
        let mut idle = Vec::new();
        let is_crowded = !self.waiting.is_empty();
        self.let_in(now);
        for (id, link) in &mut self.links {
            match link.beat(is_crowded, now, out) {
                Beat::Alive => {}
                Beat::Idle => idle.push(*id),
                Beat::Dead(reason) => dead.push((*id, reason.to_owned())),
            }
        }
        for id in idle {
            self.give_up(&id, now, out);
        }
        dead.retain(|(id, reason)| self.drop_link(id, reason, now, out));
        dead
    }

    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, by: Duration) {
        self.look_at = self.look_at.before(by);
        self.since = self.since.map(|since| since.before(by));
        self.away.set_back(by);
        for link in self.links.values_mut() {
            link.set_back(by);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        let look_at = (!self.waiting.is_empty()).then_some(self.look_at);
        self.links.values().filter_map(Link::next_deadline).chain(look_at).min()
    }

    /// When some relay may be asked to keep something again.
    pub(super) fn next_upkeep(&self) -> Option<Timestamp> {
        self.links.values().filter_map(Link::next_upkeep).min()
    }
}

/// Drops the connection to a relay that breaks the protocol, or says goodbye.
pub(super) fn drop_link(
    ctx: &mut Context<'_>,
    links: &mut Links,
    id: &LinkId,
    reason: &str,
    out: &mut Outputs,
) {
    tracing::warn!(relay = %id.relay.short(), reason, "dropping the connection");
    if links.drop_link(id, reason, ctx.now, out) && links.stands_for_relay(id) {
        ctx.events.push(Event::RelayDown { relay: id.relay.to_hex(), reason: reason.to_owned() });
    }
    ctx.agenda.publish = true;
}

/// The connections that there may be to a relay.
const fn both(relay: RelayId) -> [LinkId; 2] {
    [LinkId::home(relay), LinkId::hidden(relay)]
}

fn land(in_flight: &mut BTreeSet<(u64, DeviceId, RelayId)>, relay: &RelayId, publish: &InFlight) {
    for item in &publish.items {
        for device in &item.devices {
            in_flight.remove(&(item.outbox, *device, *relay));
        }
    }
}

#[cfg(test)]
mod tests;
