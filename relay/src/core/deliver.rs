//! Deliveries: from the mailboxes, as the windows of their sessions allow.

use std::collections::VecDeque;

use undertone_protocol::ids::MailboxId;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, frame::Body};

use super::outgoing::send;
use super::relay::Relay;
use super::types::Output;
use crate::mailbox::{self, DurableClass, Entry};
use crate::session::{Lane, Session};
use crate::store::{Overlay, Store, StoreError};

/// Entries read at a time.
const CHUNK_ENTRIES: usize = 32;
/// Entries looked at for one mailbox at one input; the rest waits for the next tick, which is at once.
const SCAN_ENTRIES_MAX: usize = 4_096;

impl Relay {
    /// Goes on with every mailbox that has something new: entries, credit, acknowledgements.
    pub(super) fn deliver<S: Store + ?Sized>(
        &mut self,
        now: Timestamp,
        tx: &Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        for mailbox in self.sessions.take_ready() {
            let Some(session) = self.sessions.get_mut(&mailbox) else { continue };
            let mut drain = Drain::new(tx, mailbox, now);
            self.metrics.deliveries += drain.run(session, out)?;
            if drain.budget == 0 {
                self.sessions.wake(&mailbox);
            }
        }
        Ok(())
    }
}

/// One go at one mailbox.
struct Drain<'a, 'b, S: ?Sized> {
    tx: &'a Overlay<'b, S>,
    mailbox: MailboxId,
    now: Timestamp,
    ahead_0: Ahead,
    ahead_1: Ahead,
    budget: usize,
}

/// Entries read and not yet sent.
#[derive(Default)]
struct Ahead {
    entries: VecDeque<(u64, Entry)>,
    /// Nothing is behind them.
    all: bool,
}

impl<'a, 'b, S: Store + ?Sized> Drain<'a, 'b, S> {
    fn new(tx: &'a Overlay<'b, S>, mailbox: MailboxId, now: Timestamp) -> Self {
        let (ahead_0, ahead_1) = (Ahead::default(), Ahead::default());
        Self { tx, mailbox, now, ahead_0, ahead_1, budget: SCAN_ENTRIES_MAX }
    }

    /// Sends until the windows or the entries end; how many.
    fn run(&mut self, session: &mut Session, out: &mut Vec<Output>) -> Result<u64, StoreError> {
        let mut count = 0;
        loop {
            let class_0 = self.ready(session, DurableClass::Zero)?;
            let class_1 = self.ready(session, DurableClass::One)?;
            let Some(class) = session.turn(class_0, class_1) else { return Ok(count) };
            let Some((seq, entry)) = self.ahead(class).entries.pop_front() else { return Ok(count) };
            let payload = mailbox::payload(self.tx, &entry)?;
            session.lane(class).sent(seq, entry.size);
            let body = Body::Deliver(wire::Deliver { class: u32::from(class.number()), seq, payload });
            send(session.conn, 0, body, out);
            count += 1;
        }
    }

    fn ahead(&mut self, class: DurableClass) -> &mut Ahead {
        match class {
            DurableClass::Zero => &mut self.ahead_0,
            DurableClass::One => &mut self.ahead_1,
        }
    }

    /// Whether the class's next entry may be sent now. What has expired is passed over; a sweep removes it.
    fn ready(&mut self, session: &mut Session, class: DurableClass) -> Result<bool, StoreError> {
        let now = self.now;
        let lane = session.lane(class);
        if !lane.open() {
            return Ok(false);
        }
        loop {
            let ahead = self.ahead(class);
            while let Some((seq, _)) = ahead.entries.front().filter(|(_, entry)| entry.expired(now)) {
                lane.cursor = seq.saturating_add(1);
                ahead.entries.pop_front();
            }
            if let Some((_, entry)) = ahead.entries.front() {
                return Ok(lane.allows(entry.size));
            }
            if ahead.all || self.budget == 0 {
                return Ok(false);
            }
            self.read(lane, class)?;
        }
    }

    fn read(&mut self, lane: &mut Lane, class: DurableClass) -> Result<(), StoreError> {
        let end = mailbox::queue(self.tx, &self.mailbox, class)?.last_seq.saturating_add(1);
        let limit = CHUNK_ENTRIES.min(self.budget);
        let found = if lane.cursor < end {
            mailbox::entries(self.tx, &self.mailbox, class, lane.cursor, end, limit)?
        } else {
            Vec::new()
        };
        self.budget -= found.len();
        if found.is_empty() {
            lane.cursor = lane.cursor.max(end);
        }
        let ahead = self.ahead(class);
        ahead.all = found.len() < limit;
        ahead.entries.extend(found);
        Ok(())
    }
}
