use std::collections::BTreeMap;

use undertone_protocol::ids::MailboxId;
use undertone_protocol::time::Timestamp;

use super::rates::{REPLENISHED_AFTER, Rate, RateClock, TooFast};
use crate::limits::Limits;

/// How often each mailbox was attached lately. An attach sends again what was not acknowledged, and closes the
/// connection before it: two that take a mailbox from each other, each time on a new connection, meet no limit of a
/// connection. Memory only; at most one for each registered mailbox.
#[derive(Debug, Default)]
pub(crate) struct AttachRates {
    mailboxes: BTreeMap<MailboxId, Lately>,
    clock: RateClock,
}

#[derive(Debug)]
struct Lately {
    rate: Rate,
    /// From then on a new limiter is no different.
    replenished_at: Timestamp,
}

impl AttachRates {
    pub(crate) fn new(clock: RateClock) -> Self {
        Self { mailboxes: BTreeMap::new(), clock }
    }

    /// Takes one for a mailbox; the caller has checked that it is registered.
    pub(crate) fn take(
        &mut self,
        mailbox: &MailboxId,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<(), TooFast> {
        let lately = self.mailboxes.entry(*mailbox).or_insert_with(|| Lately {
            rate: Rate::per_minute(&self.clock, limits.attaches_per_minute),
            replenished_at: now,
        });
        lately.replenished_at = now.after(REPLENISHED_AFTER);
        lately.rate.take()
    }

    /// Forgets every limiter that is as good as new.
    pub(crate) fn forget_replenished(&mut self, now: Timestamp) {
        self.mailboxes.retain(|_, lately| lately.replenished_at > now);
    }

    /// How many limiters are held.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.mailboxes.len()
    }
}
