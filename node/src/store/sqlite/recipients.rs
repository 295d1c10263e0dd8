//! The recipients of outbox items. There can be thousands, and each takes several steps: a step touches the rows of its
//! own user, the item's totals, and nothing else.

use rusqlite::{Connection, Row, params};
use undertone_protocol::ids::{DeviceId, RelayId, UserId};
use undertone_protocol::time::Timestamp;

use super::columns::{all, damaged, exists, get_id, get_ms, limit, ms, one, run};
use crate::store::{OutboxItem, OutboxRecipient, OutboxState, PendingRecipient, StoreError};

const RECIPIENT: &str = "outbox recipient";

const SELECT: &str = "SELECT device, user, state, attempts, moment, relay, position FROM outbox_recipients";

/// By how much the totals of an item change, in the order of the states' numbers.
type Changes = [i64; 5];

/// Puts all recipients of an item that has none yet.
pub(super) fn put(connection: &Connection, id: i64, item: &OutboxItem) -> Result<(), StoreError> {
    let sql = "INSERT INTO outbox_recipients (item, position, device, user, state, attempts, moment, relay, awaited) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    for ((position, recipient), awaited) in item.recipients.iter().enumerate().zip(item.awaited()) {
        let (state, attempts, moment, relay) = columns(&recipient.state);
        run(
            connection,
            sql,
            params![
                id,
                limit(position),
                recipient.device.as_bytes(),
                recipient.user.as_bytes(),
                state,
                attempts,
                ms(moment),
                relay,
                awaited,
            ],
        )?;
    }
    Ok(())
}

/// All recipients of an item, in its order.
pub(super) fn all_of(connection: &Connection, id: i64) -> Result<Vec<OutboxRecipient>, StoreError> {
    all(connection, &format!("{SELECT} WHERE item = ? ORDER BY position"), [id], read)
}

/// Those of them that are pending.
pub(super) fn pending(connection: &Connection, id: i64) -> Result<Vec<PendingRecipient>, StoreError> {
    let sql = "SELECT device, user, moment FROM outbox_recipients INDEXED BY outbox_recipients_pending \
               WHERE item = ? AND state = 0 ORDER BY position";
    all(connection, sql, [id], |row| {
        let (device, user) = (get_id(row, 0, RECIPIENT)?, get_id(row, 1, RECIPIENT)?);
        Ok(PendingRecipient { device, user, not_before: get_ms(row, 2)? })
    })
}

/// Which relays hold something for which devices.
pub(super) fn custodians(
    connection: &Connection,
    at_most: usize,
) -> Result<Vec<(DeviceId, UserId, RelayId)>, StoreError> {
    let sql = "SELECT DISTINCT device, user, relay FROM outbox_recipients INDEXED BY outbox_recipients_custody \
               WHERE state = 1 ORDER BY device, user, relay LIMIT ?";
    all(connection, sql, [limit(at_most)], |row| {
        Ok((get_id(row, 0, RECIPIENT)?, get_id(row, 1, RECIPIENT)?, get_id(row, 2, RECIPIENT)?))
    })
}

/// One of them.
pub(super) fn get(
    connection: &Connection,
    id: i64,
    device: &DeviceId,
) -> Result<Option<OutboxRecipient>, StoreError> {
    Ok(find(connection, id, device)?.map(|(_, recipient)| recipient))
}

/// Items for a device, with a number above the first and not above the last: their numbers, and how far they are.
pub(super) fn items(
    connection: &Connection,
    device: &DeviceId,
    (after, last): (i64, i64),
    at_most: usize,
) -> Result<Vec<(i64, OutboxState)>, StoreError> {
    let sql = "SELECT item, user, state, attempts, moment, relay FROM outbox_recipients \
               WHERE device = ? AND item > ? AND item <= ? ORDER BY item LIMIT ?";
    all(connection, sql, params![device.as_bytes(), after, last, limit(at_most)], |row| {
        Ok((row.get(0)?, read_state(row)?))
    })
}

/// Says how far an item has come on its way to some.
pub(super) fn set(
    connection: &Connection,
    id: i64,
    states: &[(DeviceId, OutboxState)],
) -> Result<(), StoreError> {
    let sql = "UPDATE outbox_recipients SET state = ?, attempts = ?, moment = ?, relay = ?, awaited = ? \
               WHERE item = ? AND position = ?";
    let mut changes = Changes::default();
    for (device, state) in states {
        let Some((position, before)) = find(connection, id, device)? else { continue };
        let (number, attempts, moment, relay) = columns(state);
        run(connection, sql, params![number, attempts, ms(moment), relay, false, id, position])?;
        count(&mut changes, &before.state, -1);
        count(&mut changes, state, 1);
        set_awaited(connection, id, &before.user)?;
    }
    total(connection, id, changes)
}

/// Takes one out.
pub(super) fn delete(connection: &Connection, id: i64, device: &DeviceId) -> Result<(), StoreError> {
    let Some((position, before)) = find(connection, id, device)? else { return Ok(()) };
    let sql = "DELETE FROM outbox_recipients WHERE item = ? AND position = ?";
    run(connection, sql, [id, position])?;
    let mut changes = Changes::default();
    count(&mut changes, &before.state, -1);
    set_awaited(connection, id, &before.user)?;
    total(connection, id, changes)
}

fn find(
    connection: &Connection,
    id: i64,
    device: &DeviceId,
) -> Result<Option<(i64, OutboxRecipient)>, StoreError> {
    let sql = format!("{SELECT} WHERE device = ? AND item = ?");
    one(connection, &sql, params![device.as_bytes(), id], |row| Ok((row.get(6)?, read(row)?)))
}

/// Marks those of a user's devices whose custody matters.
fn set_awaited(connection: &Connection, id: i64, user: &UserId) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM outbox_recipients INDEXED BY outbox_recipients_by_user \
               WHERE item = ? AND user = ? AND state = 2";
    let is_acknowledged = exists(connection, sql, params![id, user.as_bytes()])?;
    let sql = "UPDATE outbox_recipients INDEXED BY outbox_recipients_by_user SET awaited = (state = 1 AND NOT ?1) \
               WHERE item = ?2 AND user = ?3 AND awaited <> (state = 1 AND NOT ?1)";
    run(connection, sql, params![is_acknowledged, id, user.as_bytes()])?;
    Ok(())
}

fn total(connection: &Connection, id: i64, changes: Changes) -> Result<(), StoreError> {
    let [pending, custody, acknowledged, failed, left_out] = changes;
    let sql = "UPDATE outbox SET pending = pending + ?1, custody = custody + ?2, acknowledged = acknowledged + ?3, \
               failed = failed + ?4, left_out = left_out + ?5, custody_ends = (\
                   SELECT max(moment) FROM outbox_recipients INDEXED BY outbox_recipients_awaited \
                   WHERE item = ?6 AND awaited = 1\
               ) WHERE id = ?6";
    run(connection, sql, params![pending, custody, acknowledged, failed, left_out, id])?;
    Ok(())
}

fn count(changes: &mut Changes, state: &OutboxState, by: i64) {
    let (number, ..) = columns(state);
    if let Some(change) = usize::try_from(number).ok().and_then(|number| changes.get_mut(number)) {
        *change += by;
    }
}

fn columns(state: &OutboxState) -> (i64, u32, Timestamp, Option<&[u8]>) {
    match state {
        OutboxState::Pending { attempts, not_before } => (0, *attempts, *not_before, None),
        OutboxState::Custody { relay, held_until } => (1, 0, *held_until, Some(relay.as_bytes().as_slice())),
        OutboxState::Acknowledged => (2, 0, Timestamp::ZERO, None),
        OutboxState::Failed => (3, 0, Timestamp::ZERO, None),
        OutboxState::LeftOut => (4, 0, Timestamp::ZERO, None),
    }
}

fn read(row: &Row<'_>) -> Result<OutboxRecipient, StoreError> {
    let (device, user) = (get_id(row, 0, RECIPIENT)?, get_id(row, 1, RECIPIENT)?);
    Ok(OutboxRecipient { device, user, state: read_state(row)? })
}

fn read_state(row: &Row<'_>) -> Result<OutboxState, StoreError> {
    let state: i64 = row.get(2)?;
    Ok(match state {
        0 => OutboxState::Pending { attempts: row.get(3)?, not_before: get_ms(row, 4)? },
        1 => OutboxState::Custody { relay: get_id(row, 5, RECIPIENT)?, held_until: get_ms(row, 4)? },
        2 => OutboxState::Acknowledged,
        3 => OutboxState::Failed,
        4 => OutboxState::LeftOut,
        _ => return Err(damaged(RECIPIENT, format!("unknown state {state}"))),
    })
}
