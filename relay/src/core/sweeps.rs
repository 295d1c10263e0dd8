use std::time::Duration;

use undertone_protocol::time::Timestamp;

/// How far the sweeps have come.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    /// When the next one is due.
    pub(super) next: Timestamp,
    /// Nothing that ended before this is left in the mailboxes.
    pub(super) mailboxes_swept: Timestamp,
    /// Nothing that ended before this is left of what is for other relays, of what they brought, and of invitations.
    pub(super) others_swept: Timestamp,
    pub(super) rates_forgotten: Timestamp,
}

impl Sweeps {
    /// The clock may be set back: then ends before the last sweep can be added after it, and the next
    /// sweep must not wait for the old time to come again.
    pub(super) fn note(&mut self, now: Timestamp, interval: Duration) {
        self.mailboxes_swept = self.mailboxes_swept.min(now);
        self.others_swept = self.others_swept.min(now);
        self.rates_forgotten = self.rates_forgotten.min(now);
        self.next = self.next.min(now.after(interval));
    }
}
