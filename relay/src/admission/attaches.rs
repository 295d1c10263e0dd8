use std::collections::BTreeMap;

use undertone_protocol::ids::MailboxId;

use super::rates::{Rate, RateClock, TooFast};
use crate::limits::Limits;

/// How often each mailbox was attached lately. An attach sends again what was not acknowledged, and closes the
/// connection before it: two that take a mailbox from each other, each time on a new connection, meet no limit of a
/// connection. Memory only; at most one for each registered mailbox.
#[derive(Debug, Default)]
pub(crate) struct AttachRates {
    mailboxes: BTreeMap<MailboxId, Rate>,
    clock: RateClock,
}

impl AttachRates {
    pub(crate) fn new(clock: RateClock) -> Self {
        Self { mailboxes: BTreeMap::new(), clock }
    }

    /// Takes one for a mailbox; the caller has checked that it is registered.
    pub(crate) fn take(&mut self, mailbox: &MailboxId, limits: &Limits) -> Result<(), TooFast> {
        let new = || Rate::per_minute(&self.clock, limits.attaches_per_minute);
        self.mailboxes.entry(*mailbox).or_insert_with(new).take()
    }

    /// Forgets every limiter that is as good as new.
    pub(crate) fn forget_replenished(&mut self) {
        self.mailboxes.retain(|_, rate| !rate.is_replenished());
    }

    /// How many limiters are held.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.mailboxes.len()
    }
}
