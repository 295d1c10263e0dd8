//! What was decided: the same parcel again, after a lost answer or by whoever replays it, gets the same answer and
//! changes nothing.

use prost::Message;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire;

use crate::store::table::{self, Key, KeyReader, Table};
use crate::store::usage::{self, DECIDED_DISK_BYTES};
use crate::store::{Overlay, Store, StoreError};

const WHAT: &str = "decided parcel";

fn key(place: &[u8; 32]) -> Key {
    Table::Decided.key().part(place)
}

/// What was answered to the parcel of this place.
pub(crate) fn decided<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    place: &[u8; 32],
) -> Result<Option<wire::Forwarded>, StoreError> {
    tx.read(WHAT, &key(place))
}

/// What is counted for an answer of so many bytes.
pub(crate) fn disk_bytes(answer_bytes: usize) -> u64 {
    DECIDED_DISK_BYTES + u64::try_from(answer_bytes).unwrap_or(u64::MAX)
}

/// Keeps an answer until its parcel can't come again. The caller has made sure that there is room.
pub(crate) fn remember<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    place: &[u8; 32],
    answer: &wire::Forwarded,
    until: Timestamp,
) -> Result<(), StoreError> {
    usage::change(tx, |usage| usage.disk_bytes += disk_bytes(answer.encoded_len()))?;
    tx.write(key(place), answer);
    tx.put(Table::DecidedEnd.key().u64(until.as_ms()).part(place), Vec::new());
    Ok(())
}

/// Forgets parcels whose time is over, from those on that ended at `from`; whether there is more.
pub(super) fn sweep<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    from: Timestamp,
    now: Timestamp,
    budget: usize,
) -> Result<bool, StoreError> {
    let due = table::due(tx, Table::DecidedEnd, from, now, budget)?;
    let more = due.len() >= budget;
    for end in due {
        let mut parts = KeyReader::new(WHAT, &end);
        parts.u64()?;
        let key = key(&parts.part()?);
        if let Some(answer) = tx.get(key.as_ref())? {
            usage::release(tx, disk_bytes(answer.len()))?;
            tx.delete(key);
        }
        tx.delete(end);
    }
    Ok(more)
}
