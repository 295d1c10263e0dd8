use rusqlite::{Connection, params};
use undertone_protocol::ids::PayloadHash;
use undertone_protocol::limits::QUARANTINE_ITEMS_MAX;
use undertone_protocol::time::Timestamp;

use super::SqliteTx;
use super::columns::{all, exists, get_bytes, get_id, get_ms, limit, ms, run};
use crate::store::{InboxTx, Quarantined, StoreError};

const ITEM: &str = "payload in quarantine";

impl InboxTx for SqliteTx<'_> {
    fn seen(&self, hash: &PayloadHash) -> Result<bool, StoreError> {
        seen(self.connection, hash)
    }

    fn put_seen(&mut self, hash: &PayloadHash, at: Timestamp) -> Result<(), StoreError> {
        put_seen(self.connection, hash, at)
    }

    fn forget_seen(&mut self, moment: Timestamp) -> Result<(), StoreError> {
        forget_seen(self.connection, moment)
    }

    fn trim_seen(&mut self, items_max: usize) -> Result<(), StoreError> {
        trim_seen(self.connection, items_max)
    }

    fn quarantine(&self, limit: usize) -> Result<Vec<Quarantined>, StoreError> {
        quarantine(self.connection, limit)
    }

    fn put_quarantine(&mut self, item: &Quarantined) -> Result<(), StoreError> {
        put_quarantine(self.connection, item)
    }

    fn delete_quarantine(&mut self, hash: &PayloadHash) -> Result<(), StoreError> {
        delete_quarantine(self.connection, hash)
    }
}

fn seen(connection: &Connection, hash: &PayloadHash) -> Result<bool, StoreError> {
    exists(connection, "SELECT 1 FROM seen WHERE hash = ?", [hash.as_bytes()])
}

fn put_seen(connection: &Connection, hash: &PayloadHash, at: Timestamp) -> Result<(), StoreError> {
    run(
        connection,
        "INSERT OR REPLACE INTO seen (hash, at) VALUES (?, ?)",
        params![hash.as_bytes(), ms(at)],
    )?;
    Ok(())
}

fn forget_seen(connection: &Connection, moment: Timestamp) -> Result<(), StoreError> {
    run(connection, "DELETE FROM seen WHERE at < ?", [ms(moment)])?;
    Ok(())
}

fn trim_seen(connection: &Connection, items_max: usize) -> Result<(), StoreError> {
    let sql = "DELETE FROM seen WHERE hash IN \
               (SELECT hash FROM seen ORDER BY at DESC, hash DESC LIMIT -1 OFFSET ?)";
    run(connection, sql, [limit(items_max)])?;
    Ok(())
}

fn quarantine(connection: &Connection, at_most: usize) -> Result<Vec<Quarantined>, StoreError> {
    let sql = "SELECT hash, payload, received FROM quarantine ORDER BY received, hash LIMIT ?";
    all(connection, sql, [limit(at_most)], |row| {
        Ok(Quarantined {
            hash: get_id(row, 0, ITEM)?,
            payload: get_bytes(row, 1, ITEM)?,
            received: get_ms(row, 2)?,
        })
    })
}

fn put_quarantine(connection: &Connection, item: &Quarantined) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO quarantine (hash, received, payload) VALUES (?, ?, ?)";
    let params = params![item.hash.as_bytes(), ms(item.received), item.payload.as_ref()];
    run(connection, sql, params)?;
    let sql = "DELETE FROM quarantine WHERE hash IN \
               (SELECT hash FROM quarantine ORDER BY received DESC, hash DESC LIMIT -1 OFFSET ?)";
    run(connection, sql, [limit(QUARANTINE_ITEMS_MAX)])?;
    Ok(())
}

fn delete_quarantine(connection: &Connection, hash: &PayloadHash) -> Result<(), StoreError> {
    run(connection, "DELETE FROM quarantine WHERE hash = ?", [hash.as_bytes()])?;
    Ok(())
}
