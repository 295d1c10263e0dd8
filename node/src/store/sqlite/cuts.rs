use rusqlite::{Connection, Row, params};
use undertone_protocol::ids::{ConversationId, DeviceId};

use super::columns::{all, damaged, get_id, get_id_opt, get_int, int, one, run};
use crate::store::{Cut, CutReason, StoreError};

const CUT: &str = "cut";

const SELECT_CUT: &str = "SELECT device, through, head, why FROM cuts";

pub(super) fn get(
    connection: &Connection,
    conversation: &ConversationId,
    device: &DeviceId,
) -> Result<Option<Cut>, StoreError> {
    let sql = format!("{SELECT_CUT} WHERE conversation = ? AND device = ?");
    one(connection, &sql, params![conversation.as_bytes(), device.as_bytes()], read)
}

pub(super) fn of(
    connection: &Connection,
    conversation: &ConversationId,
) -> Result<Vec<(DeviceId, Cut)>, StoreError> {
    let sql = format!("{SELECT_CUT} WHERE conversation = ? ORDER BY device");
    all(connection, &sql, [conversation.as_bytes()], |row| Ok((get_id(row, 0, CUT)?, read(row)?)))
}

pub(super) fn put(
    connection: &Connection,
    conversation: &ConversationId,
    device: &DeviceId,
    cut: &Cut,
) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO cuts (conversation, device, through, head, why) VALUES (?, ?, ?, ?, ?)";
    run(
        connection,
        sql,
        params![
            conversation.as_bytes(),
            device.as_bytes(),
            int(cut.through),
            cut.head.as_ref().map(|head| head.as_bytes().as_slice()),
            reason_number(cut.why),
        ],
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Cut, StoreError> {
    Ok(Cut { through: get_int(row, 1)?, head: get_id_opt(row, 2, CUT)?, why: reason_from(row.get(3)?)? })
}

const fn reason_number(why: CutReason) -> i64 {
    match why {
        CutReason::Revoked => 1,
        CutReason::Forked => 2,
    }
}

fn reason_from(number: i64) -> Result<CutReason, StoreError> {
    match number {
        1 => Ok(CutReason::Revoked),
        2 => Ok(CutReason::Forked),
        _ => Err(damaged(CUT, format!("unknown reason {number}"))),
    }
}
