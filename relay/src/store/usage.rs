//! How much the store holds, for the disk quota.
//!
//! Whatever a device or a sender makes the relay store is counted before it is written, and until it is forgotten,
//! with a fixed sum that is never less than the bytes of its keys and records (`spec/relay.md`, "Quotas"). So
//! [`Usage::disk_bytes`] is never less than the bytes in the store, this record and the store's own two left out.

use prost::Message;

use super::table::{Key, Table};
use super::{Overlay, Store, StoreError};

const WHAT: &str = "usage record";

/// Bytes counted for a mailbox: its record, its owner's, its two sequences, its checkpoint, and the old epoch that may
/// wait to be swept.
pub(crate) const MAILBOX_DISK_BYTES: u64 = 640;
/// Bytes counted for a revoked prefix, for an introduction, for each of its uses, and for an invitation of the operator's
/// that was used.
pub(crate) const PREFIX_DISK_BYTES: u64 = 64;
/// Bytes counted for a queue entry beside its payload: the entry, its mark, its place in the expiry index.
pub(crate) const ENTRY_DISK_BYTES: u64 = 256;
/// Bytes counted for what stays of an acknowledged entry: its mark, and when that is forgotten.
pub(crate) const MARK_DISK_BYTES: u64 = 128;
/// Bytes counted for a payload beside its content.
pub(crate) const PAYLOAD_DISK_BYTES: u64 = 96;
/// Bytes counted for a bundle beside its content.
pub(crate) const BUNDLE_DISK_BYTES: u64 = 512;
/// Bytes counted for a prekey beside its content.
pub(crate) const PREKEY_DISK_BYTES: u64 = 128;
/// Bytes counted for a routing key.
pub(crate) const ROUTING_KEY_DISK_BYTES: u64 = 64;
/// Bytes counted for a relay that something waits for: its record, with its addresses.
pub(crate) const DESTINATION_DISK_BYTES: u64 = 2_304;
/// Bytes counted for a forward beside its parcel.
pub(crate) const FORWARD_DISK_BYTES: u64 = 384;
/// Bytes counted for an answer that waits for its device, beside its record.
pub(crate) const ANSWER_DISK_BYTES: u64 = 128;
/// Bytes counted for a decided parcel beside its answer.
pub(crate) const DECIDED_DISK_BYTES: u64 = 96;

/// Bytes counted for the record of a relay.
pub(crate) const RELAY_DISK_BYTES: u64 = 2_560;

/// Totals over the whole store.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Usage {
    /// Bytes, as the disk quota counts them.
    #[prost(uint64, tag = "1")]
    pub(crate) disk_bytes: u64,
    /// Registered mailboxes.
    #[prost(uint64, tag = "2")]
    pub(crate) mailboxes: u64,
}

/// Where the totals are.
pub(crate) fn key() -> Key {
    Table::Usage.key()
}

/// The totals.
pub(crate) fn usage<S: Store + ?Sized>(tx: &Overlay<'_, S>) -> Result<Usage, StoreError> {
    Ok(tx.read(WHAT, &key())?.unwrap_or_default())
}

/// Changes the totals.
pub(crate) fn change<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    change: impl FnOnce(&mut Usage),
) -> Result<(), StoreError> {
    let mut usage = usage(tx)?;
    change(&mut usage);
    tx.write(key(), &usage);
    Ok(())
}

/// Whether `more` bytes fit below `max`.
pub(crate) fn fits<S: Store + ?Sized>(tx: &Overlay<'_, S>, more: u64, max: u64) -> Result<bool, StoreError> {
    Ok(usage(tx)?.disk_bytes.saturating_add(more) <= max)
}

/// Counts `more` bytes, if they fit below `max`.
pub(crate) fn take<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    more: u64,
    max: u64,
) -> Result<bool, StoreError> {
    let fits = fits(tx, more, max)?;
    if fits {
        change(tx, |usage| usage.disk_bytes += more)?;
    }
    Ok(fits)
}

/// Counts `less` bytes no longer.
pub(crate) fn release<S: Store + ?Sized>(tx: &mut Overlay<'_, S>, less: u64) -> Result<(), StoreError> {
    change(tx, |usage| usage.disk_bytes = usage.disk_bytes.saturating_sub(less))
}

/// What is counted for a key, with a value of this many bytes: for counting a whole store anew. What belongs
/// together is counted at one of its keys.
pub(crate) fn counted(table: Table, value_bytes: u64) -> u64 {
    match table {
        Table::Mailbox => MAILBOX_DISK_BYTES,
        Table::Revoked | Table::Introduction | Table::IntroductionUse | Table::Invited => PREFIX_DISK_BYTES,
        Table::Entry => ENTRY_DISK_BYTES,
        Table::Forget => MARK_DISK_BYTES,
        Table::Payload => PAYLOAD_DISK_BYTES + value_bytes,
        Table::Bundle => BUNDLE_DISK_BYTES,
        Table::BundleBlob => value_bytes,
        Table::Prekey => PREKEY_DISK_BYTES + value_bytes,
        Table::RoutingKey => ROUTING_KEY_DISK_BYTES,
        Table::Destination => DESTINATION_DISK_BYTES,
        Table::Relay => RELAY_DISK_BYTES,
        Table::Parcel => FORWARD_DISK_BYTES + value_bytes,
        Table::Answer => ANSWER_DISK_BYTES + value_bytes,
        Table::Decided => DECIDED_DISK_BYTES + value_bytes,
        Table::Format
        | Table::Usage
        | Table::Owner
        | Table::OldEpoch
        | Table::Queue
        | Table::Mark
        | Table::References
        | Table::Expiry
        | Table::BundleSeen
        | Table::Commits
        | Table::Checkpoint
        | Table::Outbox
        | Table::Forward
        | Table::ForwardEnd
        | Table::AnswerEnd
        | Table::DecidedEnd => 0,
    }
}
