use rusqlite::{Connection, params};
use undertone_protocol::ids::PayloadHash;
use undertone_protocol::limits::QUARANTINE_ITEMS_MAX;
use undertone_protocol::time::Timestamp;

use super::columns::{all, exists, get_bytes, get_id, get_ms, limit, ms, run};
use crate::store::{Quarantined, StoreError};

const ITEM: &str = "payload in quarantine";

pub(super) fn seen(connection: &Connection, hash: &PayloadHash) -> Result<bool, StoreError> {
    exists(connection, "SELECT 1 FROM seen WHERE hash = ?", [hash.as_bytes()])
}

pub(super) fn put_seen(connection: &Connection, hash: &PayloadHash, at: Timestamp) -> Result<(), StoreError> {
    run(
        connection,
        "INSERT OR REPLACE INTO seen (hash, at) VALUES (?, ?)",
        params![hash.as_bytes(), ms(at)],
    )?;
    Ok(())
}

pub(super) fn forget_seen(connection: &Connection, moment: Timestamp) -> Result<(), StoreError> {
    run(connection, "DELETE FROM seen WHERE at < ?", [ms(moment)])?;
    Ok(())
}

pub(super) fn quarantine(connection: &Connection, at_most: usize) -> Result<Vec<Quarantined>, StoreError> {
    let sql = "SELECT hash, payload, received FROM quarantine ORDER BY received, hash LIMIT ?";
    all(connection, sql, [limit(at_most)], |row| {
        Ok(Quarantined {
            hash: get_id(row, 0, ITEM)?,
            payload: get_bytes(row, 1, ITEM)?,
            received: get_ms(row, 2)?,
        })
    })
}

pub(super) fn put_quarantine(connection: &Connection, item: &Quarantined) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO quarantine (hash, received, payload) VALUES (?, ?, ?)";
    let params = params![item.hash.as_bytes(), ms(item.received), item.payload.as_ref()];
    run(connection, sql, params)?;
    let sql = "DELETE FROM quarantine WHERE hash IN \
               (SELECT hash FROM quarantine ORDER BY received DESC, hash DESC LIMIT -1 OFFSET ?)";
    run(connection, sql, [limit(QUARANTINE_ITEMS_MAX)])?;
    Ok(())
}

pub(super) fn delete_quarantine(connection: &Connection, hash: &PayloadHash) -> Result<(), StoreError> {
    run(connection, "DELETE FROM quarantine WHERE hash = ?", [hash.as_bytes()])?;
    Ok(())
}
