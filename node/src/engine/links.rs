//! The connections to relays: which there should be, what was asked on each, heartbeats and backoff.
//! Volatile: it is made anew at every start.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use rand_chacha::ChaCha20Rng;
use rand_core::Rng;
use undertone_protocol::ids::{DeviceId, Handle, PayloadHash, PublishId, RelayId, UserId};
use undertone_protocol::keys::{BundleAccess, RelayAddress};
use undertone_protocol::limits::{
    ANSWER_WAIT_MAX, DRAINED_AFTER, HEARTBEAT, PROTOCOL_VERSION, PUBLISHES_IN_FLIGHT_MAX, SILENCE_MAX,
};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, frame::Body};

use super::context::Context;
use super::intake::Intakes;
use super::types::{NetOutput, Outputs};
use crate::event::Event;

/// Connections at one time; one more waits for another to end.
pub const MAX_LINKS: usize = 64;
const RETRY_MIN: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// A connection that is neither there nor refused after this long is given up.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(90);
/// A connection to a relay where this device has no mailbox ends after this long without use.
const IDLE_MAX: Duration = Duration::from_secs(300);
const REQUESTS_PENDING_MAX: usize = 256;

/// A bundle that was asked for.
#[derive(Debug, Clone)]
pub(super) struct BundleWant {
    pub(super) user: UserId,
    pub(super) access: BundleAccess,
}

/// What was asked of a relay and is not answered yet.
#[derive(Debug)]
pub(super) enum Asked {
    Register,
    Attach,
    PutBundle,
    PutPrekeys,
    PutIntroduction(Handle),
    Revoke(Vec<Handle>),
    FetchBundle(BundleWant),
    Publish(InFlight),
}

/// A publish on its way.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) publish_id: PublishId,
    pub(super) items: Vec<InFlightItem>,
}

/// One item of a publish on its way: which outbox item, for which devices, in the route's order.
#[derive(Debug)]
pub(super) struct InFlightItem {
    pub(super) outbox: u64,
    pub(super) payload_hash: PayloadHash,
    pub(super) devices: Vec<DeviceId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Down { retry_at: Timestamp },
    Connecting { give_up_at: Timestamp },
    Greeting,
    Ready,
}

/// One connection.
pub(super) struct Link {
    address: RelayAddress,
    pub(super) home: bool,
    state: State,
    backoff: ExponentialBackoff,
    pub(super) problem: Option<String>,
    /// After a refusal the relay is not asked the same again before this.
    pub(super) upkeep_from: Timestamp,
    asked: BTreeMap<u64, (Asked, Timestamp)>,
    next_request: u64,
    heard: Timestamp,
    said: Timestamp,
    used: Timestamp,
    /// What comes in, on a home link.
    pub(super) intakes: Intakes,
    /// When something was last delivered, or could have been from.
    pub(super) delivered: Timestamp,
}

/// All connections.
pub(super) struct Links {
    links: BTreeMap<RelayId, Link>,
    /// Outbox items that are on their way, per device.
    in_flight: BTreeSet<(u64, DeviceId)>,
    jitter: u64,
}

impl Links {
    pub(super) fn new(rng: &mut ChaCha20Rng) -> Self {
        Self { links: BTreeMap::new(), in_flight: BTreeSet::new(), jitter: rng.next_u64() }
    }

    /// Makes sure that there is, or will be, a connection to this relay. False when there are too many.
    pub(super) fn want(&mut self, address: &RelayAddress, home: bool, now: Timestamp) -> bool {
        let full = self.links.len() >= MAX_LINKS;
        if let Some(link) = self.links.get_mut(&address.relay) {
            link.used = now;
            link.home |= home;
            return true;
        }
        if full {
            return false;
        }
        self.jitter = self.jitter.wrapping_add(1);
        self.links.insert(address.relay, Link::new(address.clone(), home, now, self.jitter));
        true
    }

    pub(super) fn get(&self, relay: &RelayId) -> Option<&Link> {
        self.links.get(relay)
    }

    pub(super) fn get_mut(&mut self, relay: &RelayId) -> Option<&mut Link> {
        self.links.get_mut(relay)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&RelayId, &Link)> {
        self.links.iter()
    }

    pub(super) fn is_ready(&self, relay: &RelayId) -> bool {
        self.links.get(relay).is_some_and(Link::is_ready)
    }

    pub(super) fn is_in_flight(&self, outbox: u64, device: DeviceId) -> bool {
        self.in_flight.contains(&(outbox, device))
    }

    /// The transport is there: greet.
    pub(super) fn up(&mut self, relay: &RelayId, now: Timestamp, out: &mut Outputs) {
        let Some(link) = self.links.get_mut(relay) else {
            out.net.push(NetOutput::Disconnect(*relay));
            return;
        };
        link.state = State::Greeting;
        link.heard = now;
        link.send(
            *relay,
            Body::Hello(wire::Hello { version_min: PROTOCOL_VERSION, version_max: PROTOCOL_VERSION }),
            now,
            out,
        );
    }

    /// The relay greeted back. False when it was not asked.
    pub(super) fn greeted(&mut self, relay: &RelayId) -> bool {
        let Some(link) = self.links.get_mut(relay).filter(|link| link.state == State::Greeting) else {
            return false;
        };
        link.state = State::Ready;
        link.problem = None;
        link.upkeep_from = Timestamp::ZERO;
        link.backoff = backoff(self.jitter);
        true
    }

    /// The transport is gone. Says whether the link had been ready.
    pub(super) fn down(&mut self, relay: &RelayId, reason: &str, now: Timestamp) -> bool {
        let Some(link) = self.links.get_mut(relay) else { return false };
        let was_ready = link.is_ready();
        let delay = link.backoff.next().unwrap_or(RETRY_MAX);
        link.state = State::Down { retry_at: now.after(delay) };
        link.problem = Some(reason.to_owned());
        for (_, (asked, _)) in std::mem::take(&mut link.asked) {
            if let Asked::Publish(publish) = asked {
                land(&mut self.in_flight, &publish);
            }
        }
        was_ready
    }

    /// Ends a connection of our own accord; the next try comes after the usual backoff.
    pub(super) fn drop_link(
        &mut self,
        relay: &RelayId,
        reason: &str,
        now: Timestamp,
        out: &mut Outputs,
    ) -> bool {
        out.net.push(NetOutput::Disconnect(*relay));
        self.down(relay, reason, now)
    }

    /// Asks something. False when the link is not ready or has too much unanswered.
    pub(super) fn ask(
        &mut self,
        relay: &RelayId,
        asked: Asked,
        body: Body,
        now: Timestamp,
        out: &mut Outputs,
    ) -> bool {
        let Some(link) = self.links.get_mut(relay).filter(|link| link.can_ask(&asked)) else { return false };
        if let Asked::Publish(publish) = &asked {
            for item in &publish.items {
                self.in_flight.extend(item.devices.iter().map(|device| (item.outbox, *device)));
            }
        }
        let request = link.next_request;
        link.next_request += 1;
        link.asked.insert(request, (asked, now));
        link.used = now;
        link.said = now;
        out.net.push(NetOutput::Send { relay: *relay, frame: wire::Frame { request, body: Some(body) } });
        true
    }

    /// What an answer answers; `None` when nothing of that number was asked.
    pub(super) fn answered(&mut self, relay: &RelayId, request: u64) -> Option<Asked> {
        let (asked, _) = self.links.get_mut(relay)?.asked.remove(&request)?;
        if let Asked::Publish(publish) = &asked {
            land(&mut self.in_flight, publish);
        }
        Some(asked)
    }

    /// Says something that is not answered, if the link is ready.
    pub(super) fn tell(&mut self, relay: &RelayId, body: Body, now: Timestamp, out: &mut Outputs) {
        if let Some(link) = self.links.get_mut(relay).filter(|link| link.is_ready()) {
            link.send(*relay, body, now, out);
        }
    }

    pub(super) fn heard(&mut self, relay: &RelayId, now: Timestamp) {
        if let Some(link) = self.links.get_mut(relay) {
            link.heard = now;
        }
    }

    /// Connects what is due, beats hearts, drops what is dead or idle. Gives the relays that were dropped
    /// while ready, with the reason.
    pub(super) fn tick(&mut self, now: Timestamp, out: &mut Outputs) -> Vec<(RelayId, String)> {
        let mut dead = Vec::new();
        let mut idle = Vec::new();
        for (relay, link) in &mut self.links {
            match link.state {
                State::Down { .. } | State::Ready if link.is_idle(now) => idle.push(*relay),
                State::Down { retry_at } if retry_at <= now => {
                    link.state = State::Connecting { give_up_at: now.after(CONNECT_WAIT_MAX) };
                    out.net.push(NetOutput::Connect(link.address.clone()));
                }
                State::Connecting { give_up_at } if give_up_at <= now => {
                    dead.push((*relay, "the relay could not be reached in time".to_owned()));
                }
                State::Down { .. } | State::Connecting { .. } => {}
                State::Greeting | State::Ready => match link.overdue(now) {
                    Some(reason) => dead.push((*relay, reason.to_owned())),
                    None if now >= link.said.after(HEARTBEAT) => {
                        link.send(*relay, Body::Ping(wire::Ping { nonce: now.as_ms() }), now, out);
                    }
                    None => {}
                },
            }
        }
        for relay in idle {
            out.net.push(NetOutput::Disconnect(relay));
            self.down(&relay, "not needed", now);
            self.links.remove(&relay);
        }
        dead.retain(|(relay, reason)| self.drop_link(relay, reason, now, out));
        dead
    }

    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.links.values().filter_map(Link::next_deadline).min()
    }
}

/// Drops the connection to a relay that breaks the protocol, or says goodbye.
pub(super) fn drop_link(
    ctx: &mut Context<'_>,
    links: &mut Links,
    relay: &RelayId,
    reason: &str,
    out: &mut Outputs,
) {
    tracing::warn!(relay = %relay.short(), reason, "dropping the connection");
    if links.drop_link(relay, reason, ctx.now, out) {
        ctx.events.push(Event::RelayDown { relay: relay.to_hex(), reason: reason.to_owned() });
    }
    ctx.agenda.publish = true;
}

fn land(in_flight: &mut BTreeSet<(u64, DeviceId)>, publish: &InFlight) {
    for item in &publish.items {
        for device in &item.devices {
            in_flight.remove(&(item.outbox, *device));
        }
    }
}

fn backoff(jitter: u64) -> ExponentialBackoff {
    ExponentialBuilder::new()
        .with_min_delay(RETRY_MIN)
        .with_max_delay(RETRY_MAX)
        .with_factor(2.0)
        .without_max_times()
        .with_jitter()
        .with_jitter_seed(jitter)
        .build()
}

impl Link {
    fn new(address: RelayAddress, home: bool, now: Timestamp, jitter: u64) -> Self {
        Self {
            address,
            home,
            state: State::Down { retry_at: now },
            backoff: backoff(jitter),
            problem: None,
            upkeep_from: Timestamp::ZERO,
            asked: BTreeMap::new(),
            next_request: 1,
            heard: now,
            said: now,
            used: now,
            intakes: Intakes::default(),
            delivered: now,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.state == State::Ready
    }

    pub(super) const fn address(&self) -> &RelayAddress {
        &self.address
    }

    fn can_ask(&self, asked: &Asked) -> bool {
        let publishes = self.asked.values().filter(|(asked, _)| matches!(asked, Asked::Publish(_))).count();
        self.is_ready()
            && self.asked.len() < REQUESTS_PENDING_MAX
            && (publishes < PUBLISHES_IN_FLIGHT_MAX || !matches!(asked, Asked::Publish(_)))
    }

    /// Whether such a question is on its way already.
    pub(super) fn is_asking(&self, same: impl Fn(&Asked) -> bool) -> bool {
        self.asked.values().any(|(asked, _)| same(asked))
    }

    fn send(&mut self, relay: RelayId, body: Body, now: Timestamp, out: &mut Outputs) {
        self.said = now;
        out.net.push(NetOutput::Send { relay, frame: wire::Frame { request: 0, body: Some(body) } });
    }

    /// Whether all that waited at the relay was delivered.
    pub(super) fn is_drained(&self, now: Timestamp) -> bool {
        self.is_ready()
            && !self.is_asking(|asked| matches!(asked, Asked::Register | Asked::Attach))
            && now.since(self.delivered) >= DRAINED_AFTER
    }

    fn is_idle(&self, now: Timestamp) -> bool {
        !self.home && self.asked.is_empty() && now >= self.used.after(IDLE_MAX)
    }

    fn overdue(&self, now: Timestamp) -> Option<&'static str> {
        if now >= self.heard.after(SILENCE_MAX) {
            return Some("the relay fell silent");
        }
        let unanswered = self.asked.values().any(|(_, at)| now >= at.after(ANSWER_WAIT_MAX));
        unanswered.then_some("the relay did not answer in time")
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        match self.state {
            State::Down { retry_at } => Some(retry_at),
            State::Connecting { give_up_at } => Some(give_up_at),
            State::Greeting | State::Ready => {
                let answer = self.asked.values().map(|(_, at)| at.after(ANSWER_WAIT_MAX));
                let idle = (!self.home && self.asked.is_empty()).then(|| self.used.after(IDLE_MAX));
                let beats = [self.said.after(HEARTBEAT), self.heard.after(SILENCE_MAX)];
                answer.chain(idle).chain(beats).min()
            }
        }
    }
}
