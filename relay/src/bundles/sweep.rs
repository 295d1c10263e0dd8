use undertone_protocol::ids::Locator;
use undertone_protocol::limits::PREKEYS_PER_LOCATOR_MAX;
use undertone_protocol::time::Timestamp;

use super::record::{self, BundleRecord};
use crate::limits::{DAY_MS, Limits};
use crate::store::table::{KeyReader, Table};
use crate::store::{Overlay, Store, StoreError, owner, usage};

/// Bundles that one sweep removes at most; each has up to `PREKEYS_PER_LOCATOR_MAX` prekeys.
const BUNDLES_PER_SWEEP: usize = 16;

/// Removes bundles that their device has not written for too long: how many, and whether more are left.
pub(crate) fn sweep<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    limits: &Limits,
    now: Timestamp,
) -> Result<(u64, bool), StoreError> {
    let end = now.as_ms().saturating_sub(u64::from(limits.bundle_unseen_days_max) * DAY_MS);
    let range = (Table::BundleSeen.key(), Table::BundleSeen.key().u64(end));
    let due = tx.range(range.0.as_ref(), range.1.as_ref(), BUNDLES_PER_SWEEP)?;
    let (mut swept, more) = (0, due.len() == BUNDLES_PER_SWEEP);
    for (key, _) in due {
        let mut parts = KeyReader::new("bundle index key", &key);
        parts.u64()?;
        let locator = Locator::new(parts.part()?);
        tx.delete(key);
        swept += u64::from(remove(tx, &locator)?);
    }
    Ok((swept, more))
}

/// Removes a bundle with its prekeys, if it is there.
pub(super) fn remove<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    locator: &Locator,
) -> Result<bool, StoreError> {
    let Some(found) = record::read(tx, locator)? else { return Ok(false) };
    delete_prekeys(tx, locator)?;
    record::remove(tx, locator, &found);
    owner::change(tx, &found.owner, |holdings| holdings.bundles = holdings.bundles.saturating_sub(1))?;
    usage::release(tx, found.disk_bytes())?;
    Ok(true)
}

/// Takes the prekeys off a bundle, if it is there: whoever fetches it gets none.
pub(crate) fn drop_prekeys<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    locator: &Locator,
) -> Result<(), StoreError> {
    let Some(found) = record::read(tx, locator)? else { return Ok(()) };
    delete_prekeys(tx, locator)?;
    let left = BundleRecord { left: 0, prekey_bytes: 0, ..found.clone() };
    usage::release(tx, found.disk_bytes().saturating_sub(left.disk_bytes()))?;
    record::write(tx, locator, &left);
    Ok(())
}

fn delete_prekeys<S: Store + ?Sized>(tx: &mut Overlay<'_, S>, locator: &Locator) -> Result<(), StoreError> {
    let prekeys = Table::Prekey.key().part(locator.as_bytes());
    for (key, _) in tx.range(prekeys.as_ref(), prekeys.after_prefix().as_ref(), PREKEYS_PER_LOCATOR_MAX)? {
        tx.delete(key);
    }
    Ok(())
}
