use rusqlite::{Connection, params};
use undertone_protocol::time::Timestamp;

use super::columns::{get_ms, int, ms, one, run};
use crate::store::{AcknowledgedBy, StoreError};

/// When a device first acknowledged entries, by its own clock; what is there stays.
pub(super) fn put(
    connection: &Connection,
    which: &AcknowledgedBy,
    through: u64,
    at: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT OR IGNORE INTO acknowledged_at (conversation, device, author, read, through, at) \
               VALUES (?, ?, ?, ?, ?, ?)";
    let AcknowledgedBy { conversation, device, author, read } = which;
    let params =
        params![conversation.as_bytes(), device.as_bytes(), author.as_bytes(), read, int(through), ms(at)];
    run(connection, sql, params)?;
    Ok(())
}

/// The moment of the lowest number that is not below `seq`.
pub(super) fn get(
    connection: &Connection,
    which: &AcknowledgedBy,
    seq: u64,
) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT at FROM acknowledged_at WHERE conversation = ? AND device = ? AND author = ? AND read = ? \
               AND through >= ? ORDER BY through LIMIT 1";
    let AcknowledgedBy { conversation, device, author, read } = which;
    let params = params![conversation.as_bytes(), device.as_bytes(), author.as_bytes(), read, int(seq)];
    one(connection, sql, params, |row| get_ms(row, 0))
}
