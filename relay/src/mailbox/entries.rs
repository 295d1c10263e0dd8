use bytes::Bytes;
use prost::Message;
use undertone_protocol::ids::{MailboxId, PayloadHash};
use undertone_protocol::time::Timestamp;

use super::queue::{DurableClass, Queue, queue, write_queue};
use crate::store::table::{Key, Table, record};
use crate::store::usage::{self, ENTRY_DISK_BYTES, MARK_DISK_BYTES, PAYLOAD_DISK_BYTES};
use crate::store::{Overlay, Store, StoreError};

/// A payload in a queue.
#[derive(Clone, PartialEq, Eq, Message)]
pub(crate) struct Entry {
    /// The payload's hash.
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) hash: Bytes,
    /// The end of custody.
    #[prost(uint64, tag = "2")]
    pub(crate) held_until_ms: u64,
    /// The payload's length, in bytes.
    #[prost(uint32, tag = "3")]
    pub(crate) size: u32,
}

impl Entry {
    /// Whether custody has ended.
    pub(crate) fn expired(&self, now: Timestamp) -> bool {
        self.held_until_ms <= now.as_ms()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct References {
    #[prost(uint64, tag = "1")]
    count: u64,
}

/// Where an entry is: the place of everything that belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) mailbox: MailboxId,
    pub(super) class: DurableClass,
    pub(super) seq: u64,
}

impl Place {
    pub(super) fn key(&self) -> Key {
        entry_key(&self.mailbox, self.class, self.seq)
    }

    pub(super) fn expiry_key(&self, held_until_ms: u64) -> Key {
        Table::Expiry
            .key()
            .u64(held_until_ms)
            .part(self.mailbox.as_bytes())
            .part(&[self.class.number()])
            .u64(self.seq)
    }
}

fn entry_key(mailbox: &MailboxId, class: DurableClass, seq: u64) -> Key {
    Table::Entry.key().part(mailbox.as_bytes()).part(&[class.number()]).u64(seq)
}

/// At most `limit` entries with `from <= seq < to`, in order, expired ones included.
pub(crate) fn entries<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    mailbox: &MailboxId,
    class: DurableClass,
    from: u64,
    to: u64,
    limit: usize,
) -> Result<Vec<(u64, Entry)>, StoreError> {
    let range = (entry_key(mailbox, class, from), entry_key(mailbox, class, to));
    let found = tx.range(range.0.as_ref(), range.1.as_ref(), limit)?;
    found
        .into_iter()
        .map(|(key, value)| {
            let seq = key.last_chunk().ok_or(StoreError::Corrupt { what: "entry key" })?;
            Ok((u64::from_be_bytes(*seq), record("entry", value)?))
        })
        .collect()
}

/// The payload of an entry.
pub(crate) fn payload<S: Store + ?Sized>(tx: &Overlay<'_, S>, entry: &Entry) -> Result<Bytes, StoreError> {
    tx.get(payload_key(&entry.hash).as_ref())?.ok_or(StoreError::Corrupt { what: "payload" })
}

fn payload_key(hash: &[u8]) -> Key {
    Table::Payload.key().part(hash)
}

fn references_key(hash: &[u8]) -> Key {
    Table::References.key().part(hash)
}

/// How many entries refer to a payload. The number is written down only when there are several: most
/// payloads have one, and each key that is not written spares a sync its share. Where several are likely it is looked
/// for first, so that the payload is not read for each of a thousand recipients.
pub(super) fn references<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    hash: &PayloadHash,
    is_shared: bool,
) -> Result<u64, StoreError> {
    if is_shared && let Some(several) = several(tx, hash.as_bytes())? {
        return Ok(several);
    }
    match tx.get(payload_key(hash.as_bytes()).as_ref())? {
        Some(_) => references_of_held(tx, hash.as_bytes()),
        None => Ok(0),
    }
}

fn several<S: Store + ?Sized>(tx: &Overlay<'_, S>, hash: &[u8]) -> Result<Option<u64>, StoreError> {
    let several = tx.read::<References>("reference count", &references_key(hash))?;
    Ok(several.map(|several| several.count))
}

fn references_of_held<S: Store + ?Sized>(tx: &Overlay<'_, S>, hash: &[u8]) -> Result<u64, StoreError> {
    Ok(several(tx, hash)?.unwrap_or(1))
}

fn write_references<S: Store + ?Sized>(tx: &mut Overlay<'_, S>, hash: &[u8], count: u64) {
    tx.write(references_key(hash), &References { count });
}

/// What one more entry adds to the disk, if `references` have its payload already.
pub(super) fn disk_bytes(references: u64, size: u32) -> u64 {
    ENTRY_DISK_BYTES + if references > 0 { 0 } else { u64::from(size) + PAYLOAD_DISK_BYTES }
}

/// Writes an entry with its payload, index and totals. `references` have the payload already, and `queue`
/// is what the place's queue was so far.
pub(super) fn insert<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    place: Place,
    entry: &Entry,
    payload: &Bytes,
    references: u64,
    queue: Queue,
) -> Result<(), StoreError> {
    if references == 0 {
        tx.put(payload_key(&entry.hash), payload.clone());
    } else {
        write_references(tx, &entry.hash, references + 1);
    }
    tx.write(place.key(), entry);
    tx.put(place.expiry_key(entry.held_until_ms), Bytes::new());
    let queue = Queue {
        messages: queue.messages + 1,
        bytes: queue.bytes + u64::from(entry.size),
        last_seq: queue.last_seq.max(place.seq),
        ..queue
    };
    write_queue(tx, &place.mailbox, place.class, &queue);
    usage::change(tx, |usage| usage.disk_bytes += disk_bytes(references, entry.size))
}

/// What stays of an entry that is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stays {
    /// Nothing.
    Nothing,
    /// The mark of an acknowledged payload, which is counted until it is forgotten.
    Mark,
}

/// Removes an entry, and its payload with the last reference. The mark is the caller's to write or to delete.
pub(super) fn remove<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    place: Place,
    entry: &Entry,
    stays: Stays,
) -> Result<(), StoreError> {
    let others = references_of_held(tx, &entry.hash)?.saturating_sub(1);
    match others {
        0 => tx.delete(payload_key(&entry.hash)),
        1 => tx.delete(references_key(&entry.hash)),
        _ => write_references(tx, &entry.hash, others),
    }
    tx.delete(place.key());
    tx.delete(place.expiry_key(entry.held_until_ms));
    let mut queue = queue(tx, &place.mailbox, place.class)?;
    queue.messages = queue.messages.saturating_sub(1);
    queue.bytes = queue.bytes.saturating_sub(u64::from(entry.size));
    let kept = match stays {
        Stays::Nothing => 0,
        Stays::Mark => {
            queue.remembered += 1;
            MARK_DISK_BYTES
        }
    };
    write_queue(tx, &place.mailbox, place.class, &queue);
    usage::release(tx, disk_bytes(others, entry.size) - kept)
}

/// Gives an entry a later end of custody.
pub(super) fn prolong<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    place: Place,
    entry: &mut Entry,
    until: Timestamp,
) {
    tx.delete(place.expiry_key(entry.held_until_ms));
    entry.held_until_ms = until.as_ms();
    tx.put(place.expiry_key(entry.held_until_ms), Bytes::new());
    tx.write(place.key(), entry);
}

/// The entry at a place.
pub(super) fn entry<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    place: Place,
) -> Result<Option<Entry>, StoreError> {
    tx.read("entry", &place.key())
}
