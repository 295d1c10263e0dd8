use rusqlite::{Connection, params};
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId, UserId};

use super::columns::{all, damaged, get_id, get_id_opt, get_int, int, one, run};
use crate::store::{Cut, CutReason, StoreError};

const CUT: &str = "cut";

pub(super) fn put_account_change(
    connection: &Connection,
    user: &UserId,
    entry: &EntryId,
    replaces: &[EntryId],
) -> Result<(), StoreError> {
    let sql = "INSERT INTO account_changes (user, entry) VALUES (?, ?) ON CONFLICT DO NOTHING";
    run(connection, sql, [user.as_bytes(), entry.as_bytes()])?;
    for replaced in replaces {
        let sql = "INSERT INTO account_replaced (entry) VALUES (?) ON CONFLICT DO NOTHING";
        run(connection, sql, [replaced.as_bytes()])?;
    }
    Ok(())
}

pub(super) fn account_changes(connection: &Connection, user: &UserId) -> Result<Vec<EntryId>, StoreError> {
    let sql = "SELECT entry FROM account_changes WHERE user = ? \
               AND entry NOT IN (SELECT entry FROM account_replaced) ORDER BY entry";
    all(connection, sql, [user.as_bytes()], |row| get_id(row, 0, "account change"))
}

pub(super) fn cut(
    connection: &Connection,
    conversation: &ConversationId,
    device: &DeviceId,
) -> Result<Option<Cut>, StoreError> {
    let sql = "SELECT through, head, why FROM cuts WHERE conversation = ? AND device = ?";
    one(connection, sql, [conversation.as_bytes(), device.as_bytes()], |row| {
        let why = match row.get(2)? {
            1 => CutReason::Revoked,
            2 => CutReason::Forked,
            number => return Err(damaged(CUT, format!("unknown reason {number}"))),
        };
        Ok(Cut { through: get_int(row, 0)?, head: get_id_opt(row, 1, CUT)?, why })
    })
}

pub(super) fn put_cut(
    connection: &Connection,
    conversation: &ConversationId,
    device: &DeviceId,
    cut: &Cut,
) -> Result<(), StoreError> {
    let why = match cut.why {
        CutReason::Revoked => 1,
        CutReason::Forked => 2,
    };
    let head = cut.head.as_ref().map(|head| head.as_bytes().as_slice());
    let sql = "INSERT OR REPLACE INTO cuts (conversation, device, through, head, why) VALUES (?, ?, ?, ?, ?)";
    run(connection, sql, params![conversation.as_bytes(), device.as_bytes(), int(cut.through), head, why])?;
    Ok(())
}
