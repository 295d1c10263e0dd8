use bytes::Bytes;
use prost::Message;
use undertone_protocol::time::Timestamp;

use super::{Overlay, Store, StoreError};

/// The first byte of a key says which table it is of. Integers in keys are big-endian, so that they sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Table {
    /// Its one key holds the format of the store.
    Format = 0,
    /// Its one key holds [`super::usage::Usage`].
    Usage = 1,
    /// owner → how many mailboxes and bundles it has.
    Owner = 2,
    /// mailbox → its registration.
    Mailbox = 3,
    /// mailbox, epoch, handles → revoked.
    Revoked = 4,
    /// mailbox, epoch, handle → an introduction's bounds.
    Introduction = 5,
    /// mailbox, epoch, handle, joiner's handle → one use.
    IntroductionUse = 6,
    /// mailbox, epoch → tokens of that epoch are to be swept.
    OldEpoch = 7,
    /// mailbox, class → sequence and totals.
    Queue = 8,
    /// mailbox, class, sequence number → entry.
    Entry = 9,
    /// mailbox, payload hash → where it is queued, or that it was acknowledged.
    Mark = 10,
    /// payload hash → payload.
    Payload = 11,
    /// payload hash → how many entries refer to it, if several do.
    References = 12,
    /// time, mailbox, class, sequence number: entries by the end of their custody.
    Expiry = 13,
    /// time, mailbox, payload hash: acknowledged marks by the time they are forgotten.
    Forget = 14,
    /// locator → a bundle's owner and counters.
    Bundle = 15,
    /// locator → the bundle.
    BundleBlob = 16,
    /// locator, batch, index → a one-time prekey.
    Prekey = 17,
    /// time, locator: bundles by when they were last written.
    BundleSeen = 18,
    /// Its one key holds the number of commits, written by a backend that counts them. A keyspace of its own,
    /// never flushed, would keep every journal from being deleted.
    Commits = 19,
    /// mailbox → its device's checkpoint.
    Checkpoint = 20,
    /// time → a routing key of this relay that was made then.
    RoutingKey = 21,
    /// relay → where it is, and what waits for it.
    Destination = 22,
    /// relay, number → the id of a forward that waits for it.
    Outbox = 23,
    /// forward id → the parcel.
    Parcel = 24,
    /// forward id → whose it is, and where it waits.
    Forward = 25,
    /// time, forward id: forwards by their end.
    ForwardEnd = 26,
    /// owner, forward id → what came of it, until its device has taken that.
    Answer = 27,
    /// time, owner, forward id: answers by the time they are forgotten.
    AnswerEnd = 28,
    /// a parcel's place → the answer that was given to it.
    Decided = 29,
    /// time, place: decided parcels by their end.
    DecidedEnd = 30,
    /// end, handle → how many mailboxes were opened by an invitation of the operator's.
    Invited = 31,
    /// relay → its newest record, this relay's own among them.
    Relay = 32,
}

impl Table {
    const ALL: [Self; 33] = [
        Self::Format,
        Self::Usage,
        Self::Owner,
        Self::Mailbox,
        Self::Revoked,
        Self::Introduction,
        Self::IntroductionUse,
        Self::OldEpoch,
        Self::Queue,
        Self::Entry,
        Self::Mark,
        Self::Payload,
        Self::References,
        Self::Expiry,
        Self::Forget,
        Self::Bundle,
        Self::BundleBlob,
        Self::Prekey,
        Self::BundleSeen,
        Self::Commits,
        Self::Checkpoint,
        Self::RoutingKey,
        Self::Destination,
        Self::Outbox,
        Self::Parcel,
        Self::Forward,
        Self::ForwardEnd,
        Self::Answer,
        Self::AnswerEnd,
        Self::Decided,
        Self::DecidedEnd,
        Self::Invited,
        Self::Relay,
    ];

    /// The table that a key is of; `None` for a key that this build does not know.
    pub(crate) fn of(key: &[u8]) -> Option<Self> {
        let number = usize::from(*key.first()?);
        Self::ALL.get(number).copied()
    }

    /// The start of a key in this table.
    pub(crate) fn key(self) -> Key {
        Key(vec![self as u8])
    }
}

/// A key, built part by part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    /// Appends bytes.
    pub(crate) fn part(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Appends a number.
    pub(crate) fn u64(self, number: u64) -> Self {
        self.part(&number.to_be_bytes())
    }

    /// Appends a number.
    pub(crate) fn u32(self, number: u32) -> Self {
        self.part(&number.to_be_bytes())
    }

    /// The first key after all that begin with this one; a key's first byte is never 255.
    pub(crate) fn after_prefix(&self) -> Self {
        let mut bytes = self.0.clone();
        while let Some(last) = bytes.pop() {
            if last < u8::MAX {
                bytes.push(last + 1);
                break;
            }
        }
        Self(bytes)
    }
}

impl AsRef<[u8]> for Key {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Key> for Bytes {
    fn from(key: Key) -> Self {
        key.0.into()
    }
}

impl<S: Store + ?Sized> Overlay<'_, S> {
    /// Decodes the record at `key`.
    pub(crate) fn read<M: Message + Default>(
        &self,
        what: &'static str,
        key: &Key,
    ) -> Result<Option<M>, StoreError> {
        self.get(key.as_ref())?.map(|bytes| record(what, bytes)).transpose()
    }

    /// Encodes a record to `key`.
    pub(crate) fn write(&mut self, key: Key, record: &impl Message) {
        self.put(key, record.encode_to_vec());
    }
}

/// At most `limit` keys of a table that begins with times, from those of `from` on to those of `now`. Where nothing is left
/// before `from`, reads begin there, past the tombstones of what was removed earlier.
pub(crate) fn due<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    table: Table,
    from: Timestamp,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Bytes>, StoreError> {
    let range = (table.key().u64(from.as_ms()), table.key().u64(now.as_ms().saturating_add(1)));
    let found = tx.range(range.0.as_ref(), range.1.as_ref(), limit)?;
    Ok(found.into_iter().map(|(key, _)| key).collect())
}

/// Decodes a record.
pub(crate) fn record<M: Message + Default>(what: &'static str, bytes: Bytes) -> Result<M, StoreError> {
    M::decode(bytes).map_err(|_| StoreError::Corrupt { what })
}

/// Cuts a key's parts back out of its bytes.
pub(crate) struct KeyReader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> KeyReader<'a> {
    /// Reads after the table's byte.
    pub(crate) fn new(what: &'static str, key: &'a [u8]) -> Self {
        Self { what, rest: key.get(1..).unwrap_or_default() }
    }

    /// The next `N` bytes.
    pub(crate) fn part<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let (part, rest) = self.rest.split_first_chunk().ok_or(StoreError::Corrupt { what: self.what })?;
        self.rest = rest;
        Ok(*part)
    }

    /// The next number.
    pub(crate) fn u64(&mut self) -> Result<u64, StoreError> {
        Ok(u64::from_be_bytes(self.part()?))
    }

    /// The next number.
    pub(crate) fn u32(&mut self) -> Result<u32, StoreError> {
        Ok(u32::from_be_bytes(self.part()?))
    }
}
