use rusqlite::{Connection, Row};
use undertone_protocol::entry::SignedEntry;
use undertone_protocol::ids::EntryId;

use super::columns::{blob, damaged, get_bytes, get_ms, one};
use crate::store::{StoreError, StoredEntry};

const ENTRY: &str = "entry";

/// What [`read_entry`] reads.
pub(super) const SELECT_ENTRY: &str = "SELECT header, signature, body, effective, received FROM entries";

pub(super) fn entry(connection: &Connection, id: &EntryId) -> Result<Option<StoredEntry>, StoreError> {
    one(connection, &format!("{SELECT_ENTRY} WHERE id = ?"), [id.as_bytes()], read_entry)
}

/// The signature was checked when the entry came: reading it anew for each line of a history would cost
/// more than the rest.
pub(super) fn read_entry(row: &Row<'_>) -> Result<StoredEntry, StoreError> {
    let signature = blob(row, 1, ENTRY)?.try_into().map_err(|error| damaged(ENTRY, error))?;
    let entry = SignedEntry::from_stored(get_bytes(row, 0, ENTRY)?, signature, get_bytes(row, 2, ENTRY)?);
    Ok(StoredEntry {
        entry: entry.map_err(|error| damaged(ENTRY, error))?,
        effective: get_ms(row, 3)?,
        received: get_ms(row, 4)?,
    })
}
