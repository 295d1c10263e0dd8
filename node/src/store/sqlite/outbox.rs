use rusqlite::{Connection, Params, Row, params};
use undertone_protocol::ids::DeviceId;
use undertone_protocol::time::Timestamp;

use super::SqliteTx;
use super::columns::{all, damaged, get_bytes, get_id, get_int, get_ms, int, limit, ms, one, run};
use crate::store::{OutboxItem, OutboxRecipient, OutboxState, OutboxTx, Purpose, StoreError};

const ITEM: &str = "outbox item";

const SELECT_ITEM: &str = "SELECT id, publish, purpose, subject, class, created, payload \
     FROM outbox JOIN outbox_payloads ON item = id";

impl OutboxTx for SqliteTx<'_> {
    fn put_outbox(&mut self, item: &OutboxItem) -> Result<u64, StoreError> {
        put(self.connection, item)
    }

    fn outbox(&self, id: u64) -> Result<Option<OutboxItem>, StoreError> {
        get(self.connection, id)
    }

    fn outbox_pending(&self, after_id: u64, limit: usize) -> Result<Vec<OutboxItem>, StoreError> {
        pending(self.connection, after_id, limit)
    }

    fn outbox_page(&self, after_id: u64, limit: usize) -> Result<Vec<OutboxItem>, StoreError> {
        page(self.connection, after_id, limit)
    }

    fn outbox_to(
        &self,
        device: &DeviceId,
        after_id: u64,
        limit: usize,
    ) -> Result<Vec<OutboxItem>, StoreError> {
        to(self.connection, device, after_id, limit)
    }

    fn outbox_of(&self, purpose: &Purpose) -> Result<Vec<OutboxItem>, StoreError> {
        of(self.connection, purpose)
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
        len(self.connection)
    }
}

fn put(connection: &Connection, item: &OutboxItem) -> Result<u64, StoreError> {
    let id = put_item(connection, item)?;
    let sql = "INSERT INTO outbox_payloads (item, payload) VALUES (?, ?) ON CONFLICT (item) \
               DO UPDATE SET payload = excluded.payload WHERE payload IS NOT excluded.payload";
    run(connection, sql, params![id, item.payload.as_ref()])?;
    run(connection, "DELETE FROM outbox_recipients WHERE item = ?", [id])?;
    for (position, recipient) in item.recipients.iter().enumerate() {
        put_recipient(connection, id, limit(position), recipient)?;
    }
    Ok(id.cast_unsigned())
}

fn put_item(connection: &Connection, item: &OutboxItem) -> Result<i64, StoreError> {
    let (purpose, subject) = purpose_columns(&item.purpose);
    let given = match item.id {
        0 => None,
        id => Some(row_id(id)?),
    };
    let sql = "INSERT INTO outbox (id, publish, purpose, subject, class, created, pending, custody_ends) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET publish = excluded.publish, \
               purpose = excluded.purpose, subject = excluded.subject, class = excluded.class, \
               created = excluded.created, pending = excluded.pending, custody_ends = excluded.custody_ends";
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
            item.is_pending(),
            item.custody_ends().map(ms),
        ],
    )?;
    Ok(given.unwrap_or_else(|| connection.last_insert_rowid()))
}

fn put_recipient(
    connection: &Connection,
    item: i64,
    position: i64,
    recipient: &OutboxRecipient,
) -> Result<(), StoreError> {
    let (state, attempts, moment, relay) = match recipient.state {
        OutboxState::Pending { attempts, not_before } => (0, attempts, not_before, None),
        OutboxState::Custody { relay, held_until } => (1, 0, held_until, Some(relay)),
        OutboxState::Acknowledged => (2, 0, Timestamp::ZERO, None),
        OutboxState::Failed => (3, 0, Timestamp::ZERO, None),
        OutboxState::LeftOut => (4, 0, Timestamp::ZERO, None),
    };
    let sql = "INSERT INTO outbox_recipients (item, position, device, user, state, attempts, moment, relay) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    run(
        connection,
        sql,
        params![
            item,
            position,
            recipient.device.as_bytes(),
            recipient.user.as_bytes(),
            state,
            attempts,
            ms(moment),
            relay.as_ref().map(|relay| relay.as_bytes().as_slice()),
        ],
    )?;
    Ok(())
}

fn get(connection: &Connection, id: u64) -> Result<Option<OutboxItem>, StoreError> {
    // Beyond a row's largest id there is none.
    let Ok(id) = row_id(id) else { return Ok(None) };
    let item = one(connection, &format!("{SELECT_ITEM} WHERE id = ?"), [id], read_item)?;
    item.map(|item| with_recipients(connection, item)).transpose()
}

fn pending(connection: &Connection, after_id: u64, at_most: usize) -> Result<Vec<OutboxItem>, StoreError> {
    let Ok(after_id) = row_id(after_id) else { return Ok(Vec::new()) };
    items(connection, "WHERE pending = 1 AND id > ? ORDER BY id LIMIT ?", [after_id, limit(at_most)])
}

fn page(connection: &Connection, after_id: u64, at_most: usize) -> Result<Vec<OutboxItem>, StoreError> {
    let Ok(after_id) = row_id(after_id) else { return Ok(Vec::new()) };
    items(connection, "WHERE id > ? ORDER BY id LIMIT ?", [after_id, limit(at_most)])
}

fn to(
    connection: &Connection,
    device: &DeviceId,
    after_id: u64,
    at_most: usize,
) -> Result<Vec<OutboxItem>, StoreError> {
    let Ok(after_id) = row_id(after_id) else { return Ok(Vec::new()) };
    let which = "WHERE id IN (SELECT item FROM outbox_recipients WHERE device = ? AND item > ?) \
                 ORDER BY id LIMIT ?";
    items(connection, which, params![device.as_bytes(), after_id, limit(at_most)])
}

fn of(connection: &Connection, purpose: &Purpose) -> Result<Vec<OutboxItem>, StoreError> {
    let (purpose, subject) = purpose_columns(purpose);
    items(connection, "WHERE purpose = ? AND subject = ? ORDER BY id", params![purpose, subject])
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

fn len(connection: &Connection) -> Result<usize, StoreError> {
    let items: i64 = one(connection, "SELECT count(*) FROM outbox", [], |row| Ok(row.get(0)?))?.unwrap_or(0);
    usize::try_from(items).map_err(|error| damaged(ITEM, error))
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

fn with_recipients(connection: &Connection, item: OutboxItem) -> Result<OutboxItem, StoreError> {
    let sql = "SELECT device, user, state, attempts, moment, relay FROM outbox_recipients WHERE item = ? \
               ORDER BY position";
    let recipients = all(connection, sql, [item.id.cast_signed()], |row| {
        Ok(OutboxRecipient {
            device: get_id(row, 0, ITEM)?,
            user: get_id(row, 1, ITEM)?,
            state: read_state(row)?,
        })
    })?;
    Ok(OutboxItem { recipients, ..item })
}

fn read_state(row: &Row<'_>) -> Result<OutboxState, StoreError> {
    let state: i64 = row.get(2)?;
    Ok(match state {
        0 => OutboxState::Pending { attempts: row.get(3)?, not_before: get_ms(row, 4)? },
        1 => OutboxState::Custody { relay: get_id(row, 5, ITEM)?, held_until: get_ms(row, 4)? },
        2 => OutboxState::Acknowledged,
        3 => OutboxState::Failed,
        4 => OutboxState::LeftOut,
        _ => return Err(damaged(ITEM, format!("unknown state {state}"))),
    })
}

fn purpose_columns(purpose: &Purpose) -> (i64, &[u8; 32]) {
    match purpose {
        Purpose::Entry(entry) => (1, entry.as_bytes()),
        Purpose::Acknowledgement(conversation) => (2, conversation.as_bytes()),
        Purpose::Introduction(user) => (3, user.as_bytes()),
        Purpose::Key(entry) => (4, entry.as_bytes()),
        Purpose::Retry(user) => (5, user.as_bytes()),
        Purpose::OwnEntry(entry) => (6, entry.as_bytes()),
        Purpose::OwnKey(entry) => (7, entry.as_bytes()),
        Purpose::OwnAcknowledgement(conversation) => (8, conversation.as_bytes()),
        Purpose::History(conversation) => (9, conversation.as_bytes()),
        Purpose::Link(device) => (10, device.as_bytes()),
        Purpose::DeviceList(user) => (11, user.as_bytes()),
        Purpose::Group(group) => (12, group.as_bytes()),
    }
}

fn read_purpose(row: &Row<'_>) -> Result<Purpose, StoreError> {
    let number: i64 = row.get(2)?;
    Ok(match number {
        1 => Purpose::Entry(get_id(row, 3, ITEM)?),
        2 => Purpose::Acknowledgement(get_id(row, 3, ITEM)?),
        3 => Purpose::Introduction(get_id(row, 3, ITEM)?),
        4 => Purpose::Key(get_id(row, 3, ITEM)?),
        5 => Purpose::Retry(get_id(row, 3, ITEM)?),
        6 => Purpose::OwnEntry(get_id(row, 3, ITEM)?),
        7 => Purpose::OwnKey(get_id(row, 3, ITEM)?),
        8 => Purpose::OwnAcknowledgement(get_id(row, 3, ITEM)?),
        9 => Purpose::History(get_id(row, 3, ITEM)?),
        10 => Purpose::Link(get_id(row, 3, ITEM)?),
        11 => Purpose::DeviceList(get_id(row, 3, ITEM)?),
        12 => Purpose::Group(get_id(row, 3, ITEM)?),
        _ => return Err(damaged(ITEM, format!("unknown purpose {number}"))),
    })
}
