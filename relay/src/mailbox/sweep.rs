use std::collections::BTreeMap;

use undertone_protocol::ids::MailboxId;
use undertone_protocol::time::Timestamp;

use super::enqueue::{mark, mark_key};
use super::entries::{self, Place, Stays};
use super::queue::{DurableClass, forget_remembered};
use crate::store::table::{self, KeyReader, Table};
use crate::store::{Overlay, Store, StoreError};

/// What one sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Swept {
    /// Entries whose custody ended.
    pub(crate) expired: u64,
    /// Whether the budget ended before the work.
    pub(crate) more: bool,
}

/// Removes at most `budget` expired entries and as many forgotten marks. `from` is a moment before
/// which nothing is left: reads begin there, past the tombstones of earlier sweeps.
pub(crate) fn sweep<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    from: Timestamp,
    now: Timestamp,
    budget: usize,
) -> Result<Swept, StoreError> {
    let due = table::due(tx, Table::Expiry, from, now, budget)?;
    let mut swept = Swept { expired: 0, more: due.len() >= budget };
    for key in due {
        swept.expired += u64::from(expire(tx, &key)?);
    }
    let due = table::due(tx, Table::Forget, from, now, budget)?;
    swept.more |= due.len() >= budget;
    // Counted once for each sequence: a mailbox's marks come due together.
    let mut forgotten = BTreeMap::new();
    for key in due {
        if let Some(sequence) = forget(tx, &key)? {
            *forgotten.entry(sequence).or_default() += 1;
        }
    }
    for ((mailbox, class), count) in forgotten {
        forget_remembered(tx, &mailbox, class, count)?;
    }
    Ok(swept)
}

/// Expiry leaves no mark: whoever published first with a short life must not have the original refused.
fn expire<S: Store + ?Sized>(tx: &mut Overlay<'_, S>, key: &bytes::Bytes) -> Result<bool, StoreError> {
    let mut parts = KeyReader::new("expiry key", key);
    parts.u64()?;
    let mailbox = MailboxId::new(parts.part()?);
    let [class] = parts.part()?;
    let class =
        DurableClass::from_wire(u32::from(class)).ok_or(StoreError::Corrupt { what: "expiry key" })?;
    let place = Place { mailbox, class, seq: parts.u64()? };
    tx.delete(key.clone());
    let Some(entry) = entries::entry(tx, place)? else { return Ok(false) };
    entries::remove(tx, place, &entry, Stays::Nothing)?;
    tx.delete(mark_key(&mailbox, &entry.hash));
    Ok(true)
}

/// Forgets a payload; the sequence that it came by, if the mark was this key's.
fn forget<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    key: &bytes::Bytes,
) -> Result<Option<(MailboxId, DurableClass)>, StoreError> {
    let mut parts = KeyReader::new("forget key", key);
    let at = parts.u64()?;
    let mailbox = MailboxId::new(parts.part()?);
    let hash: [u8; 32] = parts.part()?;
    tx.delete(key.clone());
    // The payload may have come and gone again since: then another key forgets it.
    let mark = mark(tx, &mailbox, &hash)?.filter(|mark| mark.seq == 0 && mark.forget_at_ms == at);
    let Some(mark) = mark else { return Ok(None) };
    tx.delete(mark_key(&mailbox, &hash));
    Ok(Some((mailbox, mark.class()?)))
}
