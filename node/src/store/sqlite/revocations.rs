use rusqlite::{Connection, params};
use undertone_protocol::ids::{Handle, RelayId};

use super::columns::{all, exists, get_joined, join, limit, run};
use crate::store::{Revocation, StoreError};

const REVOCATION: &str = "revocation";

pub(super) fn due(
    connection: &Connection,
    relay: &RelayId,
    most: usize,
) -> Result<Vec<Vec<Handle>>, StoreError> {
    let sql = "SELECT path FROM revocations WHERE relay = ? AND confirmed = 0 ORDER BY path LIMIT ?";
    all(connection, sql, params![relay.as_bytes(), limit(most)], |row| get_joined::<8, _>(row, 0, REVOCATION))
}

pub(super) fn is_there(
    connection: &Connection,
    relay: &RelayId,
    path: &[Handle],
) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM revocations WHERE relay = ? AND path = ?";
    exists(connection, sql, params![relay.as_bytes(), join(path.iter().map(Handle::as_bytes))])
}

pub(super) fn put(connection: &Connection, revocation: &Revocation) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO revocations (relay, path, confirmed) VALUES (?, ?, ?)";
    let Revocation { relay, path, confirmed } = revocation;
    let path = join(path.iter().map(Handle::as_bytes));
    run(connection, sql, params![relay.as_bytes(), path, confirmed])?;
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
