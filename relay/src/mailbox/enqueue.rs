use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use undertone_protocol::ids::{MailboxId, PayloadHash};
use undertone_protocol::limits::ENVELOPE_TTL_MAX;
use undertone_protocol::time::Timestamp;

use super::entries::{self, Entry, Place, Stays};
use super::queue::{DurableClass, forget_remembered, queue};
use crate::limits::Limits;
use crate::store::table::{Key, Table};
use crate::store::{Overlay, Store, StoreError, usage};

/// One payload for one mailbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Enqueue<'a> {
    pub(crate) mailbox: MailboxId,
    pub(crate) class: DurableClass,
    pub(crate) hash: PayloadHash,
    pub(crate) payload: &'a Bytes,
    /// The expiry that the sender asks for; the caller has checked that it is ahead.
    pub(crate) expiry: Timestamp,
    /// Bytes that the caller will store and count with it, if it is stored.
    pub(crate) beside_bytes: u64,
    /// Whether it is for other mailboxes too.
    pub(crate) is_shared: bool,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Enqueued {
    /// In custody until then.
    Stored(Timestamp),
    /// The mailbox is full.
    Full,
    /// The disk quota leaves no room for this class.
    NoDisk,
}

/// What a mailbox knows of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing (any more).
    No,
    /// It is held; where and until when.
    Held(HeldAt),
    /// The device acknowledged it not long ago.
    Acknowledged,
}

/// Where a payload is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HeldAt {
    place: Place,
    /// The end of custody.
    pub(crate) until: Timestamp,
}

/// A deduplication mark: of a held entry, or of an acknowledged one.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct Mark {
    #[prost(uint32, tag = "1")]
    pub(super) class: u32,
    /// 0: acknowledged.
    #[prost(uint64, tag = "2")]
    pub(super) seq: u64,
    /// When an acknowledged mark is forgotten.
    #[prost(uint64, tag = "3")]
    pub(super) forget_at_ms: u64,
}

impl Mark {
    /// The sequence that it belongs to.
    pub(super) fn class(&self) -> Result<DurableClass, StoreError> {
        DurableClass::from_wire(self.class).ok_or(StoreError::Corrupt { what: "deduplication mark" })
    }
}

pub(super) fn mark_key(mailbox: &MailboxId, hash: &[u8]) -> Key {
    Table::Mark.key().part(mailbox.as_bytes()).part(hash)
}

pub(super) fn forget_key(forget_at_ms: u64, mailbox: &MailboxId, hash: &[u8]) -> Key {
    Table::Forget.key().u64(forget_at_ms).part(mailbox.as_bytes()).part(hash)
}

pub(super) fn mark<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    mailbox: &MailboxId,
    hash: &[u8],
) -> Result<Option<Mark>, StoreError> {
    tx.read("deduplication mark", &mark_key(mailbox, hash))
}

/// What the mailbox knows of a payload. What has run out but was not swept yet counts as unknown.
pub(crate) fn known<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    mailbox: &MailboxId,
    hash: &PayloadHash,
    now: Timestamp,
) -> Result<Known, StoreError> {
    let Some(mark) = mark(tx, mailbox, hash.as_bytes())? else { return Ok(Known::No) };
    if mark.seq == 0 {
        return Ok(if mark.forget_at_ms > now.as_ms() { Known::Acknowledged } else { Known::No });
    }
    let place = Place { mailbox: *mailbox, class: mark.class()?, seq: mark.seq };
    let entry = entries::entry(tx, place)?.filter(|entry| !entry.expired(now));
    Ok(entry.map_or(Known::No, |entry| {
        Known::Held(HeldAt { place, until: Timestamp::from_ms(entry.held_until_ms) })
    }))
}

/// A duplicate of a held payload: a later expiry extends its custody. The end of custody.
pub(crate) fn extend<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    held: HeldAt,
    asked: Timestamp,
    limits: &Limits,
    now: Timestamp,
) -> Result<Timestamp, StoreError> {
    let until = held_until(asked, limits, now);
    if until <= held.until {
        return Ok(held.until);
    }
    let what = StoreError::Corrupt { what: "deduplication mark" };
    let mut entry = entries::entry(tx, held.place)?.ok_or(what)?;
    entries::prolong(tx, held.place, &mut entry, until);
    Ok(until)
}

/// Stores a payload that the mailbox does not know.
pub(crate) fn enqueue<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    item: Enqueue<'_>,
    limits: &Limits,
    now: Timestamp,
) -> Result<Enqueued, StoreError> {
    clear_stale(tx, &item)?;
    let size = u32::try_from(item.payload.len()).unwrap_or(u32::MAX);
    let queue = queue(tx, &item.mailbox, item.class)?;
    if !item.class.quota(limits).has_room(&queue, size) {
        return Ok(Enqueued::Full);
    }
    let references = entries::references(tx, &item.hash, item.is_shared)?;
    let more = entries::disk_bytes(references, size) + item.beside_bytes;
    if !usage::fits(tx, more, disk_max(item.class, limits))? {
        return Ok(Enqueued::NoDisk);
    }
    let until = held_until(item.expiry, limits, now);
    let place = Place { mailbox: item.mailbox, class: item.class, seq: queue.last_seq + 1 };
    let entry = Entry { hash: item.hash.to_wire(), held_until_ms: until.as_ms(), size };
    entries::insert(tx, place, &entry, item.payload, references, queue)?;
    let mark = Mark { class: u32::from(item.class.number()), seq: place.seq, forget_at_ms: 0 };
    tx.write(mark_key(&item.mailbox, item.hash.as_bytes()), &mark);
    Ok(Enqueued::Stored(until))
}

/// Class 1 makes way first.
fn disk_max(class: DurableClass, limits: &Limits) -> u64 {
    match class {
        DurableClass::Zero => limits.disk_bytes_max,
        DurableClass::One => limits.disk_bytes_max / 100 * u64::from(limits.disk_class_1_percent.min(100)),
    }
}

fn held_until(asked: Timestamp, limits: &Limits, now: Timestamp) -> Timestamp {
    let ttl = Duration::from_millis(limits.envelope_ttl_ms_max).min(ENVELOPE_TTL_MAX);
    asked.min(now.after(ttl))
}

/// Removes what a sweep has not come to yet: an expired entry of this payload, or a mark that ran out.
fn clear_stale<S: Store + ?Sized>(tx: &mut Overlay<'_, S>, item: &Enqueue<'_>) -> Result<(), StoreError> {
    let hash = item.hash.as_bytes();
    let Some(mark) = mark(tx, &item.mailbox, hash)? else { return Ok(()) };
    let class = mark.class()?;
    if mark.seq == 0 {
        tx.delete(forget_key(mark.forget_at_ms, &item.mailbox, hash));
        forget_remembered(tx, &item.mailbox, class, 1)?;
    } else {
        let place = Place { mailbox: item.mailbox, class, seq: mark.seq };
        if let Some(entry) = entries::entry(tx, place)? {
            entries::remove(tx, place, &entry, Stays::Nothing)?;
        }
    }
    tx.delete(mark_key(&item.mailbox, hash));
    Ok(())
}
