//! The thread of the one writer: it takes what waits, hands it on, and never waits for a connection.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use undertone_protocol::time::Clock;
use undertone_transport::ServerEvent;

use super::clock::SystemClock;
use crate::admin::{Question, Snapshot};
use crate::core::{Input, Relay};
use crate::gateway::{DialEvent, Dialler, Gateway};
use crate::store::{Store, StoreError};
use crate::writer::Writer;

/// The clock may be set while the thread waits for a tick, so it looks at least this often.
const LOOK: Duration = Duration::from_secs(1);

/// Events on the connections to other relays that are handled together.
const DIALS_MAX: usize = 32;
/// Other relays whose health is shown: those that the most waits for.
const DESTINATIONS_SHOWN_MAX: usize = 32;

/// What reaches the thread.
pub(crate) struct Inlets {
    /// What happens on the connections. The thread ends when the listener has dropped its end.
    pub(crate) events: mpsc::Receiver<ServerEvent>,
    /// What happens on the connections to other relays.
    pub(crate) dials: mpsc::Receiver<DialEvent>,
    /// What operators ask.
    pub(crate) questions: mpsc::Receiver<Question>,
    /// Say goodbye to everybody.
    pub(crate) stop: oneshot::Receiver<()>,
}

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
        dialler: Dialler,
        inlets: Inlets,
        drain_events_max: usize,
    ) -> Self {
        let gateway = Gateway::new(dialler);
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
        let (mut waiting, mut dialled) = (Vec::new(), Vec::new());
        let mut stopping = false;
        loop {
            let wait = self.until_tick();
            let Inlets { events, dials, questions, stop } = &mut self.inlets;
            tokio::select! {
                biased;
                _ = stop, if !stopping => {
                    stopping = true;
                    self.gateway.stop();
                }
                Some(question) = questions.recv() => {
                    // An error says that whoever asked is gone.
                    let _ = question.send(self.snapshot()?);
                }
                // As many as there may be: a handful, so that the connections of devices get their turn.
                _ = dials.recv_many(&mut dialled, DIALS_MAX) => {
                    let inputs = dialled.drain(..).map(|event| self.gateway.dialled(event)).collect();
                    self.take(inputs)?;
                }
                taken = timeout(wait, events.recv_many(&mut waiting, self.drain_events_max)) => {
                    if taken == Ok(0) {
                        return Ok(());
                    }
                    self.drain(&mut waiting)?;
                }
            }
        }
    }

    fn until_tick(&self) -> Duration {
        let due = self.writer.relay().next_tick();
        due.map_or(LOOK, |due| due.since(SystemClock.now()).min(LOOK))
    }

    fn drain(&mut self, waiting: &mut Vec<ServerEvent>) -> Result<(), StoreError> {
        let mut weights = Vec::new();
        let mut inputs: Vec<Input> = Vec::with_capacity(waiting.len() + 1);
        for event in waiting.drain(..) {
            let (input, weight) = self.gateway.input(event);
            inputs.push(input);
            weights.extend(weight);
        }
        self.take(inputs)
    }

    fn take(&mut self, mut inputs: Vec<Input>) -> Result<(), StoreError> {
        let now = SystemClock.now();
        if self.writer.relay().next_tick().is_some_and(|due| due <= now) {
            inputs.push(Input::Tick);
        }
        let Self { writer, gateway, .. } = self;
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
