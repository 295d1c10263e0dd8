use rusqlite::{Connection, params};
use undertone_protocol::ids::{EntryId, UserId};

use super::columns::{all, get_id, run};
use crate::store::StoreError;

pub(super) fn put(
    connection: &Connection,
    user: &UserId,
    entry: &EntryId,
    replaces: &[EntryId],
) -> Result<(), StoreError> {
    let sql = "INSERT INTO account_changes (user, entry, is_put, is_replaced) VALUES (?, ?, 1, 0) \
               ON CONFLICT DO UPDATE SET is_put = 1";
    run(connection, sql, params![user.as_bytes(), entry.as_bytes()])?;
    for replaced in replaces {
        let sql = "INSERT INTO account_changes (user, entry, is_put, is_replaced) VALUES (?, ?, 0, 1) \
                   ON CONFLICT DO UPDATE SET is_replaced = 1";
        run(connection, sql, params![user.as_bytes(), replaced.as_bytes()])?;
    }
    Ok(())
}

/// Those that were put and not replaced.
pub(super) fn standing(connection: &Connection, user: &UserId) -> Result<Vec<EntryId>, StoreError> {
    let sql =
        "SELECT entry FROM account_changes WHERE user = ? AND is_put = 1 AND is_replaced = 0 ORDER BY entry";
    all(connection, sql, [user.as_bytes()], |row| get_id(row, 0, "account change"))
}
