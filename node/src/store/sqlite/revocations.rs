use rusqlite::{Connection, params};
use undertone_protocol::ids::{Handle, RelayId};

use super::columns::{all, get_id, limit, run};
use crate::store::{Revocation, StoreError};

const REVOCATION: &str = "revocation";

pub(super) fn due(connection: &Connection, relay: &RelayId, most: usize) -> Result<Vec<Handle>, StoreError> {
    let sql = "SELECT handle FROM revocations WHERE relay = ? AND confirmed = 0 ORDER BY handle LIMIT ?";
    all(connection, sql, params![relay.as_bytes(), limit(most)], |row| get_id(row, 0, REVOCATION))
}

pub(super) fn put(connection: &Connection, revocation: &Revocation) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO revocations (relay, handle, confirmed) VALUES (?, ?, ?)";
    let Revocation { relay, handle, confirmed } = revocation;
    run(connection, sql, params![relay.as_bytes(), handle.as_bytes(), confirmed])?;
    Ok(())
}

pub(super) fn reopen(connection: &Connection, relay: &RelayId) -> Result<(), StoreError> {
    run(connection, "UPDATE revocations SET confirmed = 0 WHERE relay = ?", [relay.as_bytes()])?;
    Ok(())
}

pub(super) fn delete(connection: &Connection, relay: &RelayId) -> Result<(), StoreError> {
    run(connection, "DELETE FROM revocations WHERE relay = ?", [relay.as_bytes()])?;
    Ok(())
}
