use undertone_protocol::codec::Malformed;
use undertone_protocol::ids::MailboxId;
use undertone_protocol::limits::{ACK_RANGES_MAX, DEDUP_AFTER_DELETION};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire;

use super::enqueue::{Mark, forget_key, mark_key};
use super::entries::{self, Entry, Place, Stays, entries};
use super::queue::{DurableClass, Queue, queue, write_queue};
use crate::store::{Overlay, Store, StoreError};

/// Entries read at a time.
const CHUNK_ENTRIES: usize = 256;

/// What a device has committed of one class, form checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AckSpans {
    /// The class.
    pub(crate) class: DurableClass,
    /// Everything up to here.
    pub(crate) through: u64,
    /// (first, last) beyond it, inclusive; of those that were read, in order and apart.
    pub(crate) ranges: Vec<(u64, u64)>,
}

impl AckSpans {
    /// Checks the form.
    pub(crate) fn from_wire(ack: &wire::Ack) -> Result<Self, Malformed> {
        let bad = |why: &str| Malformed::new("ack", why);
        let class =
            DurableClass::from_wire(ack.class).ok_or_else(|| bad("only classes 0 and 1 are acknowledged"))?;
        if ack.ranges.len() > ACK_RANGES_MAX {
            return Err(bad("too many ranges"));
        }
        if ack.ranges.iter().any(|range| range.from > range.through || range.from == 0) {
            return Err(bad("a range runs backwards or begins at 0"));
        }
        let ranges = joined(ack.ranges.iter().map(|range| (range.from, range.through)).collect());
        Ok(Self { class, through: ack.through, ranges })
    }

    /// The last number that is acknowledged; 0: none.
    pub(crate) fn last(&self) -> u64 {
        self.ranges.iter().map(|(_, last)| *last).max().unwrap_or(0).max(self.through)
    }
}

/// In order, and those that overlap or touch as one: nothing is looked for twice.
fn joined(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// Deletes what a device has committed; how many entries that were. Nothing beyond what was ever
/// enqueued is acknowledged, whatever the device says.
pub(crate) fn acknowledge<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    mailbox: &MailboxId,
    spans: &AckSpans,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut count = acknowledge_through(tx, mailbox, spans.class, spans.through, now)?;
    let Queue { acked_through, last_seq, .. } = queue(tx, mailbox, spans.class)?;
    for (first, last) in &spans.ranges {
        let first = acked_through.saturating_add(1).max(*first);
        count += delete(tx, mailbox, spans.class, first, last_seq.min(*last), now)?;
    }
    Ok(count)
}

/// Deletes everything up to `through`, as far as it was ever enqueued; how many entries that were. However often it is
/// said, each number is looked for once.
pub(crate) fn acknowledge_through<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    mailbox: &MailboxId,
    class: DurableClass,
    through: u64,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let before = queue(tx, mailbox, class)?;
    let through = through.min(before.last_seq);
    if through <= before.acked_through {
        return Ok(0);
    }
    let count = delete(tx, mailbox, class, before.acked_through + 1, through, now)?;
    let after: Queue = queue(tx, mailbox, class)?;
    write_queue(tx, mailbox, class, &Queue { acked_through: through, ..after });
    Ok(count)
}

/// Deletes these entries, those that are there; how many that were.
pub(crate) fn acknowledge_each<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    mailbox: &MailboxId,
    class: DurableClass,
    numbers: &[u64],
    now: Timestamp,
) -> Result<u64, StoreError> {
    let mut count = 0;
    for seq in numbers {
        let place = Place { mailbox: *mailbox, class, seq: *seq };
        if let Some(entry) = tx.read("entry", &place.key())? {
            delete_one(tx, place, &entry, now)?;
            count += 1;
        }
    }
    Ok(count)
}

/// Deletes the entries from `first` through `last`.
fn delete<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    mailbox: &MailboxId,
    class: DurableClass,
    first: u64,
    last: u64,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let (mut next, mut count) = (first, 0);
    while next <= last {
        let found = entries(tx, mailbox, class, next, last.saturating_add(1), CHUNK_ENTRIES)?;
        let Some((newest, _)) = found.last() else { break };
        next = newest.saturating_add(1);
        for (seq, entry) in found {
            delete_one(tx, Place { mailbox: *mailbox, class, seq }, &entry, now)?;
            count += 1;
        }
    }
    Ok(count)
}

/// Deletes an entry and remembers its payload for a while, so that a repeat is told that it arrived.
fn delete_one<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    place: Place,
    entry: &Entry,
    now: Timestamp,
) -> Result<(), StoreError> {
    entries::remove(tx, place, entry, Stays::Mark)?;
    let forget_at_ms = now.after(DEDUP_AFTER_DELETION).as_ms();
    let mark = Mark { class: u32::from(place.class.number()), seq: 0, forget_at_ms };
    tx.write(mark_key(&place.mailbox, &entry.hash), &mark);
    tx.put(forget_key(forget_at_ms, &place.mailbox, &entry.hash), bytes::Bytes::new());
    Ok(())
}
