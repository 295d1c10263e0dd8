use ed25519_dalek::SigningKey;
use rand_core::CryptoRng;
use undertone_protocol::ids::{DeviceId, RelayId};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::GoodbyeCode;

use super::outgoing::goodbye;
use super::types::{Input, Output, Registration};
use crate::admission::{Connections, RateClock};
use crate::conn::ConnId;
use crate::limits::Limits;
use crate::metrics::{Gauges, Metrics};
use crate::store::{Overlay, Store, StoreError};

/// A relay without its shell. See the module for the contract.
pub struct Relay {
    pub(super) limits: Limits,
    pub(super) registration: Registration,
    pub(super) key: SigningKey,
    pub(super) rng: Box<dyn CryptoRng + Send>,
    pub(super) clock: RateClock,
    pub(super) connections: Connections,
    pub(super) metrics: Metrics,
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
        Self {
            limits,
            registration,
            key,
            rng,
            clock: RateClock::default(),
            connections: Connections::default(),
            metrics: Metrics::default(),
        }
    }

    /// The relay's id.
    pub fn id(&self) -> RelayId {
        RelayId::new(self.key.verifying_key().to_bytes())
    }

    /// What was counted since the machine started.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What is so right now, as the store under `tx` has it.
    pub fn gauges<S: Store + ?Sized>(&self, _tx: &Overlay<'_, S>) -> Result<Gauges, StoreError> {
        Ok(Gauges { connections: self.connections.len(), ..Gauges::default() })
    }

    /// When the machine next wants an [`Input::Tick`].
    pub fn next_tick(&self) -> Option<Timestamp> {
        self.connections.next_deadline()
    }

    /// Takes one input. The module says when the outputs may be released, and what an error means.
    pub fn handle<S: Store + ?Sized>(
        &mut self,
        input: Input,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        self.clock.set(now);
        let before = out.len();
        match input {
            Input::Connected { conn, device } => self.connected(conn, device, now, out),
            Input::Frame { conn, frame } => self.frame(conn, frame, now, tx, out)?,
            Input::Disconnected { conn } => self.forget(conn),
            Input::Sent { conn, bytes } => self.sent(conn, bytes),
            Input::Tick => self.tick(now, out),
        }
        self.account(before, out);
        Ok(())
    }

    fn connected(&mut self, conn: ConnId, device: DeviceId, now: Timestamp, out: &mut Vec<Output>) {
        self.metrics.connections_opened += 1;
        if self.connections.len() >= self.limits.connections_max {
            self.metrics.connections_shed += 1;
            self.metrics.connections_closed += 1;
            goodbye(conn, GoodbyeCode::Overloaded, "the relay has as many connections as it may", out);
            return;
        }
        self.connections.add(conn, device, &self.limits, &self.clock, now);
    }

    fn sent(&mut self, conn: ConnId, bytes: u64) {
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.backlog_bytes = connection.backlog_bytes.saturating_sub(bytes);
        }
    }

    fn tick(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        for conn in self.connections.silent(&self.limits, now) {
            self.metrics.connections_silent += 1;
            self.close(conn, GoodbyeCode::Silent, "nothing came for too long", out);
        }
    }
}
