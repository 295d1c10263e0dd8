use rusqlite::{Connection, Params, Row, params};
use undertone_protocol::ids::{DeviceId, RelayId, UserId};
use undertone_protocol::time::Timestamp;

use super::SqliteTx;
use super::columns::{all, damaged, exists, get_bytes, get_int, get_ms, int, limit, ms, one, run};
use super::purpose::{purpose_columns, read_purpose};
use super::recipients;
use crate::store::{
    OutboxCounts, OutboxHead, OutboxItem, OutboxRecipient, OutboxState, OutboxTx, PendingItem, Purpose,
    StoreError,
};

const ITEM: &str = "outbox item";

const SELECT_ITEM: &str = "SELECT id, publish, purpose, subject, class, created, payload \
     FROM outbox JOIN outbox_payloads ON item = id";

const SELECT_HEAD: &str = "SELECT id, created, purpose, subject, custody_ends, pending, custody, acknowledged, failed, left_out \
     FROM outbox";

impl OutboxTx for SqliteTx<'_> {
    fn put_outbox(&mut self, item: &OutboxItem) -> Result<u64, StoreError> {
        put(self.connection, item)
    }

    fn set_outbox_recipients(
        &mut self,
        id: u64,
        states: &[(DeviceId, OutboxState)],
    ) -> Result<(), StoreError> {
        row_id(id).map_or(Ok(()), |id| recipients::set(self.connection, id, states))
    }

    fn delete_outbox_recipient(&mut self, id: u64, device: &DeviceId) -> Result<(), StoreError> {
        row_id(id).map_or(Ok(()), |id| recipients::delete(self.connection, id, device))
    }

    fn outbox(&self, id: u64) -> Result<Option<OutboxItem>, StoreError> {
        get(self.connection, id)
    }

    fn outbox_head(&self, id: u64) -> Result<Option<OutboxHead>, StoreError> {
        let Ok(id) = row_id(id) else { return Ok(None) };
        one(self.connection, &format!("{SELECT_HEAD} WHERE id = ?"), [id], read_head)
    }

    fn outbox_recipient(&self, id: u64, device: &DeviceId) -> Result<Option<OutboxRecipient>, StoreError> {
        row_id(id).map_or(Ok(None), |id| recipients::get(self.connection, id, device))
    }

    fn outbox_pending(&self, after_id: u64, limit: usize) -> Result<Vec<PendingItem>, StoreError> {
        pending(self.connection, after_id, limit)
    }

    fn outbox_pending_len(&self, at_most: usize) -> Result<usize, StoreError> {
        let sql = "SELECT count(*) FROM (SELECT 1 FROM outbox WHERE pending > 0 LIMIT ?)";
        count(self.connection, sql, [limit(at_most)])
    }

    fn outbox_heads(&self, after_id: u64, at_most: usize) -> Result<Vec<OutboxHead>, StoreError> {
        let Ok(after_id) = row_id(after_id) else { return Ok(Vec::new()) };
        heads(self.connection, "WHERE id > ? ORDER BY id LIMIT ?", [after_id, limit(at_most)])
    }

    fn outbox_to(
        &self,
        device: &DeviceId,
        after_id: u64,
        at_most: usize,
    ) -> Result<Vec<(OutboxHead, OutboxState)>, StoreError> {
        let Ok(after_id) = row_id(after_id) else { return Ok(Vec::new()) };
        recipients::items(self.connection, device, (after_id, i64::MAX), at_most)?
            .into_iter()
            .map(|(id, state)| with_head(self.connection, id, state))
            .collect()
    }

    fn outbox_custodians(&self, at_most: usize) -> Result<Vec<(DeviceId, UserId, RelayId)>, StoreError> {
        recipients::custodians(self.connection, at_most)
    }

    fn outbox_of(&self, purpose: &Purpose) -> Result<Vec<OutboxItem>, StoreError> {
        let (purpose, subject) = purpose_columns(purpose);
        items(self.connection, "WHERE purpose = ? AND subject = ? ORDER BY id", params![purpose, subject])
    }

    fn outbox_heads_of(&self, purpose: &Purpose) -> Result<Vec<OutboxHead>, StoreError> {
        let (purpose, subject) = purpose_columns(purpose);
        heads(self.connection, "WHERE purpose = ? AND subject = ? ORDER BY id", params![purpose, subject])
    }

    fn outbox_of_to(
        &self,
        purpose: &Purpose,
        device: &DeviceId,
    ) -> Result<Vec<(OutboxHead, OutboxState)>, StoreError> {
        of_to(self.connection, purpose, device)
    }

    fn outbox_is_there(&self, purpose: &Purpose, failed_aside: bool) -> Result<bool, StoreError> {
        let (purpose, subject) = purpose_columns(purpose);
        let sql = "SELECT 1 FROM outbox INDEXED BY outbox_not_there \
                   WHERE purpose = ? AND subject = ? AND (pending > 0 OR failed > 0) AND (pending > 0 OR NOT ?)";
        Ok(!exists(self.connection, sql, params![purpose, subject, failed_aside])?)
    }

    fn outbox_expired(&self, moment: Timestamp, limit: usize) -> Result<Vec<OutboxItem>, StoreError> {
        expired(self.connection, moment, limit)
    }

    fn delete_outbox(&mut self, id: u64) -> Result<(), StoreError> {
        delete(self.connection, id)
    }

    fn outbox_last(&self) -> Result<u64, StoreError> {
        last(self.connection)
    }

    fn outbox_len(&self) -> Result<usize, StoreError> {
        count(self.connection, "SELECT count(*) FROM outbox", [])
    }
}

fn put(connection: &Connection, item: &OutboxItem) -> Result<u64, StoreError> {
    let id = put_item(connection, item)?;
    let sql = "INSERT INTO outbox_payloads (item, payload) VALUES (?, ?) ON CONFLICT (item) \
               DO UPDATE SET payload = excluded.payload WHERE payload IS NOT excluded.payload";
    run(connection, sql, params![id, item.payload.as_ref()])?;
    run(connection, "DELETE FROM outbox_recipients WHERE item = ?", [id])?;
    recipients::put(connection, id, item)?;
    Ok(id.cast_unsigned())
}

fn put_item(connection: &Connection, item: &OutboxItem) -> Result<i64, StoreError> {
    let (purpose, subject) = purpose_columns(&item.purpose);
    let given = match item.id {
        0 => None,
        id => Some(row_id(id)?),
    };
    let counts = item.counts();
    let sql = "INSERT INTO outbox (id, publish, purpose, subject, class, created, custody_ends, pending, custody, \
               acknowledged, failed, left_out) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET \
               publish = excluded.publish, purpose = excluded.purpose, subject = excluded.subject, \
               class = excluded.class, created = excluded.created, custody_ends = excluded.custody_ends, \
               pending = excluded.pending, custody = excluded.custody, acknowledged = excluded.acknowledged, \
               failed = excluded.failed, left_out = excluded.left_out";
    run(
        connection,
        sql,
        params![
            given,
            int(item.group),
            purpose,
            subject,
            item.class,
            ms(item.created),
            item.custody_ends().map(ms),
            limit(counts.pending),
            limit(counts.custody),
            limit(counts.acknowledged),
            limit(counts.failed),
            limit(counts.left_out),
        ],
    )?;
    Ok(given.unwrap_or_else(|| connection.last_insert_rowid()))
}

fn get(connection: &Connection, id: u64) -> Result<Option<OutboxItem>, StoreError> {
    // Beyond a row's largest id there is none.
    let Ok(id) = row_id(id) else { return Ok(None) };
    let item = one(connection, &format!("{SELECT_ITEM} WHERE id = ?"), [id], read_item)?;
    item.map(|item| with_recipients(connection, item)).transpose()
}

fn pending(connection: &Connection, after_id: u64, at_most: usize) -> Result<Vec<PendingItem>, StoreError> {
    let Ok(after_id) = row_id(after_id) else { return Ok(Vec::new()) };
    let sql = format!("{SELECT_ITEM} WHERE pending > 0 AND id > ? ORDER BY id LIMIT ?");
    let items = all(connection, &sql, [after_id, limit(at_most)], read_item)?;
    let with_pending = |item: OutboxItem| {
        let recipients = recipients::pending(connection, item.id.cast_signed())?;
        let OutboxItem { id, group, purpose, class, payload, created, .. } = item;
        Ok(PendingItem { id, group, purpose, class, payload, recipients, created })
    };
    items.into_iter().map(with_pending).collect()
}

/// A group's message can have a key package for each of thousands of devices, so they are not looked through: they were
/// put one after the other, and between the first and the last of them there is little else for the same device.
fn of_to(
    connection: &Connection,
    purpose: &Purpose,
    device: &DeviceId,
) -> Result<Vec<(OutboxHead, OutboxState)>, StoreError> {
    let (number, subject) = purpose_columns(purpose);
    let end = |order: &str| {
        let sql =
            format!("SELECT id FROM outbox WHERE purpose = ? AND subject = ? ORDER BY id {order} LIMIT 1");
        one(connection, &sql, params![number, subject], |row| Ok(row.get::<_, i64>(0)?))
    };
    let (Some(first), Some(last)) = (end("ASC")?, end("DESC")?) else { return Ok(Vec::new()) };
    let mut found = recipients::items(connection, device, (first.saturating_sub(1), last), usize::MAX)?
        .into_iter()
        .map(|(id, state)| with_head(connection, id, state))
        .collect::<Result<Vec<_>, _>>()?;
    found.retain(|(head, _)| head.purpose == *purpose);
    Ok(found)
}

fn with_head(
    connection: &Connection,
    id: i64,
    state: OutboxState,
) -> Result<(OutboxHead, OutboxState), StoreError> {
    let head = one(connection, &format!("{SELECT_HEAD} WHERE id = ?"), [id], read_head)?;
    head.map(|head| (head, state)).ok_or_else(|| damaged(ITEM, "a recipient of none"))
}

fn expired(
    connection: &Connection,
    moment: Timestamp,
    at_most: usize,
) -> Result<Vec<OutboxItem>, StoreError> {
    let which = "WHERE custody_ends IS NOT NULL AND custody_ends < ? ORDER BY custody_ends, id LIMIT ?";
    items(connection, which, [ms(moment), limit(at_most)])
}

fn delete(connection: &Connection, id: u64) -> Result<(), StoreError> {
    if let Ok(id) = row_id(id) {
        run(connection, "DELETE FROM outbox WHERE id = ?", [id])?;
    }
    Ok(())
}

fn last(connection: &Connection) -> Result<u64, StoreError> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'outbox'";
    let last: i64 = one(connection, sql, [], |row| Ok(row.get(0)?))?.unwrap_or(0);
    Ok(last.cast_unsigned())
}

fn count(connection: &Connection, sql: &str, params: impl Params) -> Result<usize, StoreError> {
    let items: i64 = one(connection, sql, params, |row| Ok(row.get(0)?))?.unwrap_or(0);
    usize::try_from(items).map_err(|error| damaged(ITEM, error))
}

fn heads(connection: &Connection, which: &str, params: impl Params) -> Result<Vec<OutboxHead>, StoreError> {
    all(connection, &format!("{SELECT_HEAD} {which}"), params, read_head)
}

fn items(connection: &Connection, which: &str, params: impl Params) -> Result<Vec<OutboxItem>, StoreError> {
    let items = all(connection, &format!("{SELECT_ITEM} {which}"), params, read_item)?;
    items.into_iter().map(|item| with_recipients(connection, item)).collect()
}

fn row_id(id: u64) -> Result<i64, StoreError> {
    i64::try_from(id).map_err(|error| damaged(ITEM, error))
}

fn read_item(row: &Row<'_>) -> Result<OutboxItem, StoreError> {
    let id: i64 = row.get(0)?;
    Ok(OutboxItem {
        id: id.cast_unsigned(),
        group: get_int(row, 1)?,
        purpose: read_purpose(row)?,
        class: row.get(4)?,
        payload: get_bytes(row, 6, ITEM)?,
        recipients: Vec::new(),
        created: get_ms(row, 5)?,
    })
}

fn read_head(row: &Row<'_>) -> Result<OutboxHead, StoreError> {
    let id: i64 = row.get(0)?;
    let count = |column| {
        let count: i64 = row.get(column)?;
        usize::try_from(count).map_err(|error| damaged(ITEM, error))
    };
    let custody_ends = row.get::<_, Option<i64>>(4)?.map(|_| get_ms(row, 4)).transpose()?;
    let counts = OutboxCounts {
        pending: count(5)?,
        custody: count(6)?,
        acknowledged: count(7)?,
        failed: count(8)?,
        left_out: count(9)?,
    };
    Ok(OutboxHead {
        id: id.cast_unsigned(),
        purpose: read_purpose(row)?,
        created: get_ms(row, 1)?,
        custody_ends,
        counts,
    })
}

fn with_recipients(connection: &Connection, item: OutboxItem) -> Result<OutboxItem, StoreError> {
    let recipients = recipients::all_of(connection, item.id.cast_signed())?;
    Ok(OutboxItem { recipients, ..item })
}
