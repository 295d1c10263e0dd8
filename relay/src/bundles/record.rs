use bytes::Bytes;
use prost::Message;
use undertone_protocol::ids::Locator;
use undertone_protocol::time::Timestamp;

use crate::store::table::{Key, Table};
use crate::store::usage::{BUNDLE_DISK_BYTES, PREKEY_DISK_BYTES};
use crate::store::{Overlay, Store, StoreError};

/// What the relay knows of a bundle.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct BundleRecord {
    /// [`crate::store::owner::Owner`]'s bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) owner: Bytes,
    /// The bundle's length, in bytes.
    #[prost(uint32, tag = "2")]
    pub(super) size: u32,
    /// The newest batch of prekeys.
    #[prost(uint64, tag = "3")]
    pub(super) batch: u64,
    /// Prekeys left.
    #[prost(uint32, tag = "4")]
    pub(super) left: u32,
    /// The prekey that was handed out last: nothing is left up to it.
    #[prost(uint64, tag = "5")]
    pub(super) taken_batch: u64,
    /// Its index in that batch, plus one.
    #[prost(uint32, tag = "6")]
    pub(super) taken_next: u32,
    /// Bytes of the prekeys left.
    #[prost(uint64, tag = "7")]
    pub(super) prekey_bytes: u64,
    /// When the device last wrote here.
    #[prost(uint64, tag = "8")]
    pub(super) seen_ms: u64,
}

impl BundleRecord {
    /// What the disk quota counts for the bundle and its prekeys.
    pub(super) fn disk_bytes(&self) -> u64 {
        BUNDLE_DISK_BYTES
            + u64::from(self.size)
            + self.prekey_bytes
            + u64::from(self.left) * PREKEY_DISK_BYTES
    }
}

fn key(locator: &Locator) -> Key {
    Table::Bundle.key().part(locator.as_bytes())
}

pub(super) fn blob_key(locator: &Locator) -> Key {
    Table::BundleBlob.key().part(locator.as_bytes())
}

pub(super) fn prekey_key(locator: &Locator, batch: u64, index: u32) -> Key {
    Table::Prekey.key().part(locator.as_bytes()).u64(batch).u32(index)
}

fn seen_key(seen_ms: u64, locator: &Locator) -> Key {
    Table::BundleSeen.key().u64(seen_ms).part(locator.as_bytes())
}

pub(super) fn read<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    locator: &Locator,
) -> Result<Option<BundleRecord>, StoreError> {
    tx.read("bundle record", &key(locator))
}

pub(super) fn write<S: Store + ?Sized>(tx: &mut Overlay<'_, S>, locator: &Locator, record: &BundleRecord) {
    tx.write(key(locator), record);
}

/// Notes that the device wrote here now.
pub(super) fn seen<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    locator: &Locator,
    record: &mut BundleRecord,
    now: Timestamp,
) {
    tx.delete(seen_key(record.seen_ms, locator));
    record.seen_ms = now.as_ms();
    tx.put(seen_key(record.seen_ms, locator), Bytes::new());
}

/// Removes the record, the bundle and its place in the index; the prekeys are the caller's.
pub(super) fn remove<S: Store + ?Sized>(tx: &mut Overlay<'_, S>, locator: &Locator, record: &BundleRecord) {
    tx.delete(key(locator));
    tx.delete(blob_key(locator));
    tx.delete(seen_key(record.seen_ms, locator));
}
