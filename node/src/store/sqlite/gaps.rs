use rusqlite::{Connection, params};
use undertone_protocol::ids::{ConversationId, DeviceId};

use super::columns::{all, get_id, get_int, get_ms, int, ms, run};
use crate::store::{Gap, StoreError};

const GAP: &str = "gap";

pub(super) fn of(
    connection: &Connection,
    conversation: &ConversationId,
) -> Result<Vec<(DeviceId, Gap)>, StoreError> {
    let sql =
        "SELECT device, first, last, days, looked FROM gaps WHERE conversation = ? ORDER BY device, first";
    all(connection, sql, [conversation.as_bytes()], |row| {
        let gap = Gap {
            from: get_int(row, 1)?,
            through: get_int(row, 2)?,
            days: row.get(3)?,
            looked: get_ms(row, 4)?,
        };
        Ok((get_id(row, 0, GAP)?, gap))
    })
}

pub(super) fn put(
    connection: &Connection,
    conversation: &ConversationId,
    device: &DeviceId,
    gap: &Gap,
) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO gaps (conversation, device, first, last, days, looked) VALUES (?, ?, ?, ?, ?, ?)";
    run(
        connection,
        sql,
        params![
            conversation.as_bytes(),
            device.as_bytes(),
            int(gap.from),
            int(gap.through),
            gap.days,
            ms(gap.looked),
        ],
    )?;
    Ok(())
}

pub(super) fn delete(
    connection: &Connection,
    conversation: &ConversationId,
    device: &DeviceId,
    from: u64,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM gaps WHERE conversation = ? AND device = ? AND first = ?";
    run(connection, sql, params![conversation.as_bytes(), device.as_bytes(), int(from)])?;
    Ok(())
}
