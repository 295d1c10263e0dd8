//! What happens with time: silence, expiry, and the sweeping of what is no longer needed.

use std::time::Duration;

use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::GoodbyeCode;

use super::relay::Relay;
use super::types::Output;
use crate::store::{Overlay, Store, StoreError};
use crate::{admission, bundles, mailbox};

/// How often rate limiters that make no difference any more are forgotten.
const RATES_FORGOTTEN_EVERY: Duration = Duration::from_secs(60);

/// How far the sweeps have come.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    /// When the next one is due.
    pub(super) next: Timestamp,
    /// Nothing that ended before this is left in the mailboxes.
    mailboxes_swept: Timestamp,
    rates_forgotten: Timestamp,
}

impl Sweeps {
    /// The clock may be set back: then ends before the last sweep can be added after it, and the next
    /// sweep must not wait for the old time to come again.
    pub(super) fn note(&mut self, now: Timestamp, interval: Duration) {
        self.mailboxes_swept = self.mailboxes_swept.min(now);
        self.rates_forgotten = self.rates_forgotten.min(now);
        self.next = self.next.min(now.after(interval));
    }
}

impl Relay {
    pub(super) fn tick<S: Store + ?Sized>(
        &mut self,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        for conn in self.connections.silent(&self.limits, now) {
            self.metrics.connections_silent += 1;
            self.close(conn, GoodbyeCode::Silent, "nothing came for too long", out);
        }
        if now >= self.sweeps.next {
            self.sweep(now, tx)?;
        }
        Ok(())
    }

    /// One bounded step; the next follows at once while there is more to do.
    fn sweep<S: Store + ?Sized>(
        &mut self,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let budget = self.limits.sweep_entries_per_tick.max(1);
        let swept = mailbox::sweep(tx, self.sweeps.mailboxes_swept, now, budget)?;
        if !swept.more {
            self.sweeps.mailboxes_swept = now;
        }
        let (bundles_swept, more_bundles) = bundles::sweep(tx, &self.limits, now)?;
        let more_epochs = admission::sweep(tx, budget)?;
        if now.since(self.sweeps.rates_forgotten) >= RATES_FORGOTTEN_EVERY {
            self.token_rates.forget_replenished(now);
            self.sweeps.rates_forgotten = now;
        }
        self.metrics.expired += swept.expired;
        self.metrics.bundles_swept += bundles_swept;
        let more = swept.more || more_bundles || more_epochs;
        self.sweeps.next = if more { now } else { now.after(self.sweep_interval()) };
        Ok(())
    }

    pub(super) fn sweep_interval(&self) -> Duration {
        Duration::from_millis(self.limits.sweep_interval_ms)
    }
}
