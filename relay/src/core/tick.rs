//! What happens with time: silence, expiry, and the sweeping of what is no longer needed.

use std::time::Duration;

use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::GoodbyeCode;

use super::relay::Relay;
use super::types::Output;
use crate::federation::Event;
use crate::store::{Overlay, Store, StoreError};
use crate::{admission, bundles, mailbox};

/// How often rate limiters that make no difference any more are forgotten.
const RATES_FORGOTTEN_EVERY: Duration = Duration::from_secs(60);

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
            self.sweep(now, tx, out)?;
        }
        self.federation(Event::Tick, now, tx, out)
    }

    /// One bounded step; the next follows at once while there is more to do.
    fn sweep<S: Store + ?Sized>(
        &mut self,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        let budget = self.limits.sweep_entries_per_tick.max(1);
        let swept = mailbox::sweep(tx, self.sweeps.mailboxes_swept, now, budget)?;
        if !swept.more {
            self.sweeps.mailboxes_swept = now;
        }
        let (bundles_swept, more_bundles) = bundles::sweep(tx, &self.limits, now)?;
        let more_epochs = admission::sweep(tx, budget)?;
        let since = self.sweeps.others_swept;
        let more_invitations = admission::sweep_invitations(tx, since, now, budget)?;
        let more_others = self.sweep_federation((since, now), budget, tx, out)? || more_invitations;
        if !more_others {
            self.sweeps.others_swept = now;
        }
        if now.since(self.sweeps.rates_forgotten) >= RATES_FORGOTTEN_EVERY {
            self.token_rates.forget_replenished();
            self.attach_rates.forget_replenished();
            self.arrivals.forget_replenished();
            self.source.sweep_relays(now, tx)?;
            self.sweeps.rates_forgotten = now;
        }
        self.metrics.expired += swept.expired;
        self.metrics.bundles_swept += bundles_swept;
        let more = swept.more || more_bundles || more_epochs || more_others;
        self.sweeps.next = if more { now } else { now.after(self.sweep_interval()) };
        Ok(())
    }

    pub(super) fn sweep_interval(&self) -> Duration {
        Duration::from_millis(self.limits.sweep_interval_ms)
    }
}
