use ed25519_dalek::SigningKey;
use rand_core::CryptoRng;
use undertone_protocol::ids::RelayId;
use undertone_protocol::keys::RelayAddress;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::GoodbyeCode;

use super::outgoing::goodbye;
use super::sweeps::Sweeps;
use super::types::{Input, Output};
use crate::admission::{AttachRates, Connections, Peer, Rate, RateClock, TokenRates};
use crate::conn::ConnId;
use crate::federation::{Arrivals, Event, Policy, Source};
use crate::limits::{Limits, Registration};
use crate::metrics::{Gauges, Metrics};
use crate::session::Sessions;
use crate::store::{Overlay, Store, StoreError, usage};

/// A relay without its shell. See the module for the contract.
pub struct Relay {
    pub(super) limits: Limits,
    pub(super) registration: Registration,
    pub(super) key: SigningKey,
    pub(super) id: RelayId,
    pub(super) rng: Box<dyn CryptoRng + Send>,
    pub(super) clock: RateClock,
    pub(super) registrations: Rate,
    pub(super) token_rates: TokenRates,
    pub(super) attach_rates: AttachRates,
    pub(super) connections: Connections,
    pub(super) sessions: Sessions,
    pub(super) source: Source,
    pub(super) arrivals: Arrivals,
    pub(super) metrics: Metrics,
    pub(super) sweeps: Sweeps,
}

impl Relay {
    /// A relay under `key` (its identity, and what it signs custody receipts with). `rng` names the
    /// generations of new mailboxes.
    pub fn new(
        limits: Limits,
        registration: Registration,
        key: SigningKey,
        rng: Box<dyn CryptoRng + Send>,
    ) -> Self {
        let clock = RateClock::default();
        Self {
            registrations: Rate::per_minute(&clock, limits.registrations_per_minute),
            token_rates: TokenRates::new(clock.clone()),
            attach_rates: AttachRates::new(clock.clone()),
            source: Source::default(),
            arrivals: Arrivals::new(clock.clone()),
            limits,
            registration,
            id: RelayId::new(key.verifying_key().to_bytes()),
            key,
            rng,
            clock,
            connections: Connections::default(),
            sessions: Sessions::default(),
            metrics: Metrics::default(),
            sweeps: Sweeps::default(),
        }
    }

    /// With which other relays it has to do; with all, unless this says otherwise.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.arrivals.set_policy(policy);
        self.source.policy_changed();
        self
    }

    /// Where it says that it is, to devices and to other relays: multiaddrs in text, at most `RELAY_ADDRESSES_MAX`. It says
    /// nothing of that unless this does.
    #[must_use]
    pub fn with_addresses(mut self, addresses: Vec<String>) -> Self {
        self.source.announce(addresses);
        self
    }

    /// Somebody finds relays for it; nobody does, unless this says so.
    #[must_use]
    pub fn with_finder(mut self) -> Self {
        self.source.with_finder();
        self
    }

    /// Relays that it looks after, whatever is forwarded with them.
    #[must_use]
    pub fn with_peers(mut self, mut peers: Vec<RelayAddress>) -> Self {
        peers.retain(|peer| peer.relay != self.id);
        self.source.name_peers(peers);
        self
    }

    /// The relay's id.
    pub fn id(&self) -> RelayId {
        self.id
    }

    /// What was counted since the machine started.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What is so right now, as the store under `tx` has it.
    pub fn gauges<S: Store + ?Sized>(&self, tx: &Overlay<'_, S>) -> Result<Gauges, StoreError> {
        let usage = usage::usage(tx)?;
        Ok(Gauges {
            connections: self.connections.len(),
            attached: self.sessions.len(),
            token_rates: self.token_rates.len(),
            backlog_bytes: self.connections.backlog_bytes(),
            disk_bytes: usage.disk_bytes,
            disk_bytes_max: self.limits.disk_bytes_max,
            mailboxes: usage.mailboxes,
            mailboxes_max: self.limits.mailboxes_max,
        })
    }

    /// When the machine next wants an [`Input::Tick`]; a moment in the past means at once.
    pub fn next_tick(&self) -> Option<Timestamp> {
        if self.sessions.any_ready() {
            return Some(Timestamp::ZERO);
        }
        let (silence, source) = (self.connections.next_deadline(), self.source.next_tick());
        [silence, source, Some(self.sweeps.next)].into_iter().flatten().min()
    }

    /// Whether it wants an [`Input::Tick`] now: at [`Self::next_tick`], and when the clock was set back.
    pub fn wants_tick(&self, now: Timestamp) -> bool {
        self.clock.is_after(now) || self.next_tick().is_some_and(|due| due <= now)
    }

    /// Takes one input. The module says when the outputs may be released, and what an error means.
    pub fn handle<S: Store + ?Sized>(
        &mut self,
        input: Input,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        if let Some(by) = self.clock.set(now) {
            self.connections.set_back(by);
            self.source.set_back(by);
        }
        self.sweeps.note(now, self.sweep_interval());
        let before = out.len();
        match input {
            Input::Connected { conn, device } => self.connected(conn, Peer::Device(device), now, out),
            Input::RelayConnected { conn, relay } => self.connected(conn, Peer::Relay(relay), now, out),
            Input::Dialled { relay, conn } => {
                self.federation(Event::Dialled { relay, conn }, now, tx, out)?;
            }
            Input::DialFailed { relay } => self.federation(Event::DialFailed { relay }, now, tx, out)?,
            Input::Found { record } => self.federation(Event::Found { record }, now, tx, out)?,
            Input::Frame { conn, frame } if self.source.has(conn) => {
                self.federation(Event::Frame { conn, frame }, now, tx, out)?;
            }
            Input::Frame { conn, frame } => self.frame(conn, frame, now, tx, out)?,
            Input::Disconnected { conn } => {
                self.forget(conn);
                self.federation(Event::Gone { conn }, now, tx, out)?;
            }
            Input::Sent { conn, bytes } => self.connections.taken(conn, bytes),
            Input::Tick => self.tick(now, tx, out)?,
        }
        self.deliver(now, tx, out)?;
        self.account(before, out);
        Ok(())
    }

    fn connected(&mut self, conn: ConnId, peer: Peer, now: Timestamp, out: &mut Vec<Output>) {
        if self.connections.len() >= self.limits.connections_max {
            self.metrics.connections_shed += 1;
            goodbye(conn, GoodbyeCode::Overloaded, "the relay has as many connections as it may", out);
        } else if self.connections.add(conn, peer, &self.limits, &self.clock, now) {
            self.metrics.connections_opened += 1;
        }
    }
}
