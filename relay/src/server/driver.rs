//! The thread of the one writer: it takes what waits, hands it on, and never waits for a connection.

use std::time::Duration;

use tokio::sync::mpsc;
use undertone_protocol::time::Clock;
use undertone_transport::{Find, ServerEvent, Weight};

use super::clock::SystemClock;
use super::inlets::Inlets;
use crate::admin::Snapshot;
use crate::core::{Input, Relay};
use crate::gateway::{DialEvent, Dialler, Gateway};
use crate::store::{Store, StoreError};
use crate::writer::Writer;

/// The clock may be set while the thread waits for a tick, so it looks at least this often.
const LOOK: Duration = Duration::from_secs(1);

/// Other relays whose health is shown: those that the most waits for.
const DESTINATIONS_SHOWN_MAX: usize = 32;

/// The thread's state.
pub(crate) struct Driver {
    writer: Writer,
    gateway: Gateway,
    inlets: Inlets,
    drain_events_max: usize,
}

impl Driver {
    pub(crate) fn new(
        relay: Relay,
        store: Box<dyn Store>,
        (dialler, finder): (Dialler, Option<mpsc::Sender<Find>>),
        inlets: Inlets,
        drain_events_max: usize,
    ) -> Self {
        let gateway = Gateway::new(dialler, finder);
        Self { writer: Writer::new(relay, store), gateway, inlets, drain_events_max }
    }

    /// Runs until the listener is gone. An error means that the store must be opened anew: the outputs
    /// that it would have backed are not sent.
    pub(crate) async fn run(mut self) -> Result<(), StoreError> {
        let ended = self.serve().await;
        // After a failure nobody is served any more; after a stop nobody is left.
        self.gateway.stop();
        ended
    }

    async fn serve(&mut self) -> Result<(), StoreError> {
        loop {
            let turn = self.inlets.turn(self.until_tick(), self.drain_events_max).await;
            if turn.stop {
                self.gateway.stop();
            }
            if turn.ended {
                return Ok(());
            }
            self.drain(turn.events, turn.dials)?;
            if let Some(question) = turn.question {
                // An error says that whoever asked is gone.
                let _ = question.send(self.snapshot()?);
            }
        }
    }

    fn until_tick(&self) -> Duration {
        let due = self.writer.relay().next_tick();
        due.map_or(LOOK, |due| due.since(SystemClock.now()).min(LOOK))
    }

    /// Handles all of it with one write to disk. Frames count as waiting until then.
    fn drain(&mut self, events: Vec<ServerEvent>, dials: Vec<DialEvent>) -> Result<(), StoreError> {
        let now = SystemClock.now();
        let Self { writer, gateway, .. } = self;
        let mut weights = Vec::new();
        let mut inputs: Vec<Input> = Vec::with_capacity(events.len() + dials.len() + 1);
        let mut add = |(input, weight): (Input, Option<Weight>)| {
            inputs.push(input);
            weights.extend(weight);
        };
        events.into_iter().for_each(|event| add(gateway.input(event)));
        dials.into_iter().for_each(|event| add(gateway.dialled(event)));
        if writer.relay().wants_tick(now) {
            inputs.push(Input::Tick);
        }
        writer.drain(inputs, now, |outputs| gateway.release(outputs))
    }

    fn snapshot(&self) -> Result<Snapshot, StoreError> {
        let gauges = self.writer.relay().gauges(&self.writer.stored())?;
        let own = [
            ("drains", self.writer.drains()),
            ("commits", self.writer.commits()),
            ("connections_slow", self.gateway.slow_closed()),
        ];
        let counters = self.writer.relay().metrics().counters().chain(own);
        Ok(Snapshot {
            connections: gauges.connections,
            attached: gauges.attached,
            mailboxes: gauges.mailboxes,
            mailboxes_max: gauges.mailboxes_max,
            stored_bytes: gauges.disk_bytes,
            stored_bytes_max: gauges.disk_bytes_max,
            backlog_bytes: gauges.backlog_bytes,
            token_rates: gauges.token_rates,
            destinations: self.writer.relay().destinations(&self.writer.stored(), DESTINATIONS_SHOWN_MAX)?,
            counters: counters.map(|(name, count)| (name.to_owned(), count)).collect(),
        })
    }
}
