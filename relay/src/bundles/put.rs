use bytes::Bytes;
use undertone_protocol::ids::{DeviceId, Locator};
use undertone_protocol::limits::{BUNDLE_BYTES_MAX, PREKEY_BYTES_MAX, PREKEYS_PER_LOCATOR_MAX};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, RefusalCode};

use super::record::{self, BundleRecord, blob_key, prekey_key};
use super::sweep;
use crate::answer::{Failed, Refused};
use crate::frames::alone;
use crate::limits::Limits;
use crate::store::owner::{self, Owner};
use crate::store::{Overlay, Store, usage};

/// Stores a bundle, or replaces it; prekeys stay. An empty one is none: what is there is removed, with its prekeys.
pub(crate) fn put_bundle<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    device: &DeviceId,
    asked: &wire::PutBundle,
    limits: &Limits,
    now: Timestamp,
) -> Result<(), Failed> {
    let locator = Locator::from_slice(&asked.locator)?;
    if asked.bundle.len() > BUNDLE_BYTES_MAX {
        return Err(Refused::limit(format!("a bundle has at most {BUNDLE_BYTES_MAX} bytes")).into());
    }
    let known = record::read(tx, &locator)?;
    let owner = Owner::of(device);
    let (mut record, before) = match known {
        Some(known) if !owner.is(&known.owner) => return Err(not_owner().into()),
        _ if asked.bundle.is_empty() => {
            sweep::remove(tx, &locator)?;
            return Ok(());
        }
        Some(known) => {
            let before = known.disk_bytes();
            (known, before)
        }
        None => (admit(tx, &owner, limits)?, 0),
    };
    record.size = u32::try_from(asked.bundle.len()).unwrap_or(u32::MAX);
    charge(tx, before, record.disk_bytes(), limits)?;
    if before == 0 {
        owner::change(tx, owner.as_bytes(), |holdings| holdings.bundles += 1)?;
    }
    record::seen(tx, &locator, &mut record, now);
    record::write(tx, &locator, &record);
    tx.put(blob_key(&locator), alone(&asked.bundle));
    Ok(())
}

/// A new locator: only for a device that has a mailbox here, so that a closed relay stays closed.
fn admit<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    owner: &Owner,
    limits: &Limits,
) -> Result<BundleRecord, Failed> {
    let holdings = owner::holdings(tx, owner.as_bytes())?;
    if holdings.mailboxes == 0 {
        return Err(Refused::new(RefusalCode::Closed, "register a mailbox first").into());
    }
    if holdings.bundles >= limits.bundles_per_device_max {
        return Err(Refused::limit("bundles_per_device_max").into());
    }
    Ok(BundleRecord { owner: Bytes::copy_from_slice(owner.as_bytes()), ..BundleRecord::default() })
}

/// Adds a batch of prekeys. One that is not newer than the newest changes nothing.
pub(crate) fn put_prekeys<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    device: &DeviceId,
    asked: &wire::PutPrekeys,
    limits: &Limits,
    now: Timestamp,
) -> Result<wire::PrekeysLeft, Failed> {
    let locator = Locator::from_slice(&asked.locator)?;
    if asked.prekeys.iter().any(Bytes::is_empty) {
        return Err(Refused::malformed("an empty prekey").into());
    }
    if asked.prekeys.iter().any(|prekey| prekey.len() > PREKEY_BYTES_MAX) {
        return Err(Refused::limit(format!("a prekey has at most {PREKEY_BYTES_MAX} bytes")).into());
    }
    let mut record = record::read(tx, &locator)?
        .ok_or_else(|| Refused::new(RefusalCode::Unknown, "put the bundle first"))?;
    if !Owner::of(device).is(&record.owner) {
        return Err(not_owner().into());
    }
    if asked.batch > record.batch {
        add(tx, &locator, &mut record, asked, limits)?;
        record::seen(tx, &locator, &mut record, now);
        record::write(tx, &locator, &record);
    }
    Ok(wire::PrekeysLeft { left: record.left, batch: record.batch })
}

fn add<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    locator: &Locator,
    record: &mut BundleRecord,
    asked: &wire::PutPrekeys,
    limits: &Limits,
) -> Result<(), Failed> {
    let left = usize::try_from(record.left).unwrap_or(usize::MAX).saturating_add(asked.prekeys.len());
    if left > PREKEYS_PER_LOCATOR_MAX {
        return Err(Refused::limit(format!("prekeys of a locator: {PREKEYS_PER_LOCATOR_MAX}")).into());
    }
    let before = record.disk_bytes();
    record.batch = asked.batch;
    record.left = u32::try_from(left).unwrap_or(u32::MAX);
    let more: usize = asked.prekeys.iter().map(Bytes::len).sum();
    record.prekey_bytes += u64::try_from(more).unwrap_or(u64::MAX);
    // Charged first: a refusal must leave nothing in the overlay.
    charge(tx, before, record.disk_bytes(), limits)?;
    for (index, prekey) in (0u32..).zip(&asked.prekeys) {
        tx.put(prekey_key(locator, asked.batch, index), alone(prekey));
    }
    Ok(())
}

/// Counts what a locator takes now instead of before.
fn charge<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    before: u64,
    after: u64,
    limits: &Limits,
) -> Result<(), Failed> {
    if after > before && !usage::fits(tx, after - before, limits.disk_bytes_max)? {
        return Err(Refused::disk_full(limits.full_retry_after_ms).into());
    }
    usage::change(tx, |usage| usage.disk_bytes = (usage.disk_bytes + after).saturating_sub(before))?;
    Ok(())
}

fn not_owner() -> Refused {
    Refused::new(RefusalCode::NotOwner, "the locator belongs to another device")
}
