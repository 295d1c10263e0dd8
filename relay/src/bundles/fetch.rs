use bytes::Bytes;
use undertone_protocol::ids::Locator;
use undertone_protocol::wire::{self, RefusalCode};

use super::record::{self, BundleRecord, blob_key, prekey_key};
use crate::answer::{Failed, Refused};
use crate::store::usage::{self, PREKEY_DISK_BYTES};
use crate::store::{Overlay, Store, StoreError};

/// A bundle, and the prekey that was taken for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fetched {
    pub(crate) bundle: Bytes,
    pub(crate) prekey: Option<Bytes>,
}

/// Hands out a bundle with one prekey, the oldest, and removes that prekey.
pub(crate) fn get_bundle<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    asked: &wire::GetBundle,
) -> Result<Fetched, Failed> {
    let locator = Locator::from_slice(&asked.locator)?;
    let mut record =
        record::read(tx, &locator)?.ok_or_else(|| Refused::new(RefusalCode::Unknown, "no such locator"))?;
    let bundle = tx.get(blob_key(&locator).as_ref())?.ok_or(StoreError::Corrupt { what: "bundle" })?;
    let prekey = take(tx, &locator, &mut record)?;
    Ok(Fetched { bundle, prekey })
}

fn take<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    locator: &Locator,
    record: &mut BundleRecord,
) -> Result<Option<Bytes>, StoreError> {
    if record.left == 0 {
        return Ok(None);
    }
    // From the cursor, past the tombstones of those handed out.
    let from = prekey_key(locator, record.taken_batch, record.taken_next);
    let to = prekey_key(locator, record.batch, u32::MAX);
    let corrupt = || StoreError::Corrupt { what: "prekey" };
    let (key, prekey) = tx.range(from.as_ref(), to.as_ref(), 1)?.pop().ok_or_else(corrupt)?;
    let mut parts = crate::store::table::KeyReader::new("prekey", &key);
    let _locator: [u8; 32] = parts.part()?;
    record.taken_batch = parts.u64()?;
    record.taken_next = parts.u32()?.saturating_add(1);
    let size = u64::try_from(prekey.len()).unwrap_or(u64::MAX);
    record.left -= 1;
    record.prekey_bytes = record.prekey_bytes.saturating_sub(size);
    tx.delete(key);
    record::write(tx, locator, record);
    usage::release(tx, size + PREKEY_DISK_BYTES)?;
    Ok(Some(prekey))
}
