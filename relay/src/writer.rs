//! The one writer: it owns the machine and the store, handles what waits on one overlay, commits once, and only then
//! lets the outputs go: persist, then send.

use undertone_protocol::time::Timestamp;

use crate::core::{Input, Output, Relay};
use crate::store::{Overlay, Store, StoreError};

/// Keys in one batch: a drain that writes more commits in between, so that memory stays bounded.
const BATCH_KEYS_MAX: usize = 8_192;

/// A machine over its store.
pub struct Writer {
    relay: Relay,
    store: Box<dyn Store>,
    drains: u64,
    commits: u64,
}

impl Writer {
    /// A machine that keeps what it decides in this store.
    pub fn new(relay: Relay, store: Box<dyn Store>) -> Self {
        Self { relay, store, drains: 0, commits: 0 }
    }

    /// The machine.
    pub const fn relay(&self) -> &Relay {
        &self.relay
    }

    /// What is stored.
    pub fn stored(&self) -> Overlay<'_, dyn Store> {
        Overlay::new(self.store.as_ref())
    }

    /// How often [`Self::drain`] ran.
    pub const fn drains(&self) -> u64 {
        self.drains
    }

    /// How many batches were committed.
    pub const fn commits(&self) -> u64 {
        self.commits
    }

    /// Handles all inputs in order; what they put out goes to `release` when what it follows from is durable. An error
    /// means that the store must be opened anew: what was not released must not be.
    pub fn drain(
        &mut self,
        inputs: Vec<Input>,
        now: Timestamp,
        mut release: impl FnMut(Vec<Output>),
    ) -> Result<(), StoreError> {
        self.drains += 1;
        let mut inputs = inputs.into_iter().peekable();
        while inputs.peek().is_some() {
            let mut outputs = Vec::new();
            let mut overlay = Overlay::new(self.store.as_ref());
            while overlay.pending() < BATCH_KEYS_MAX
                && let Some(input) = inputs.next()
            {
                self.relay.handle(input, now, &mut overlay, &mut outputs)?;
            }
            let batch = overlay.into_batch();
            if !batch.is_empty() {
                self.commits += 1;
                self.store.commit(batch)?;
            }
            release(outputs);
        }
        Ok(())
    }
}
