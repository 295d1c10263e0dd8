use prost::Message;
use rusqlite::{Connection, Row, params};
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId};
use undertone_protocol::log::{Frontier, SeqRange};
use undertone_protocol::receipts::{Acknowledgement, Tick};
use undertone_protocol::time::Timestamp;

use super::columns::{
    all, damaged, denial, denial_from, get_id, get_int, get_message, get_signed, int, limit, one, run, signed,
};
use super::{SqliteTx, acknowledged_at};
use crate::store::{Acknowledged, AcknowledgedBy, Delivery, Failure, OwnReceipts, ReceiptsTx, StoreError};

const ACKNOWLEDGEMENT: &str = "acknowledgement";
const ACKNOWLEDGED: &str = "acknowledged";
const OWN_RECEIPTS: &str = "own receipts";
const DELIVERY: &str = "delivery";

impl ReceiptsTx for SqliteTx<'_> {
    fn acknowledgement(
        &self,
        conversation: &ConversationId,
        device: &DeviceId,
    ) -> Result<Option<Acknowledgement>, StoreError> {
        acknowledgement(self.connection, conversation, device)
    }

    fn put_acknowledgement(&mut self, acknowledgement: &Acknowledgement) -> Result<(), StoreError> {
        put_acknowledgement(self.connection, acknowledgement)
    }

    fn delete_acknowledgement(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
    ) -> Result<(), StoreError> {
        for sql in [
            "DELETE FROM acknowledgements WHERE conversation = ? AND device = ?",
            "DELETE FROM acknowledged WHERE conversation = ? AND device = ?",
            "DELETE FROM acknowledged_at WHERE conversation = ? AND device = ?",
        ] {
            run(self.connection, sql, params![conversation.as_bytes(), device.as_bytes()])?;
        }
        Ok(())
    }

    fn acknowledged(
        &self,
        conversation: &ConversationId,
        device: &DeviceId,
    ) -> Result<Option<Acknowledged>, StoreError> {
        acknowledged(self.connection, conversation, device)
    }

    fn put_acknowledged(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        acknowledged: &Acknowledged,
    ) -> Result<(), StoreError> {
        put_acknowledged(self.connection, conversation, device, acknowledged)
    }

    fn put_acknowledged_at(
        &mut self,
        which: &AcknowledgedBy,
        through: u64,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        acknowledged_at::put(self.connection, which, through, at)
    }

    fn acknowledged_at(&self, which: &AcknowledgedBy, seq: u64) -> Result<Option<Timestamp>, StoreError> {
        acknowledged_at::get(self.connection, which, seq)
    }

    fn own_receipts(&self, conversation: &ConversationId) -> Result<OwnReceipts, StoreError> {
        own_receipts(self.connection, conversation)
    }

    fn put_own_receipts(
        &mut self,
        conversation: &ConversationId,
        receipts: &OwnReceipts,
    ) -> Result<(), StoreError> {
        put_own_receipts(self.connection, conversation, receipts)
    }

    fn receipts_due(&self) -> Result<Vec<ConversationId>, StoreError> {
        receipts_due(self.connection)
    }

    fn delivery(&self, entry: &EntryId) -> Result<Option<Delivery>, StoreError> {
        delivery(self.connection, entry)
    }

    fn put_delivery(&mut self, delivery: &Delivery) -> Result<(), StoreError> {
        put_delivery(self.connection, delivery)
    }

    fn deliveries_between(
        &self,
        conversation: &ConversationId,
        from: u64,
        through: u64,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        deliveries_between(self.connection, conversation, from, through, limit)
    }

    fn deliveries_unread(&self, conversation: &ConversationId) -> Result<Vec<Delivery>, StoreError> {
        deliveries_unread(self.connection, conversation)
    }

    fn deliveries_waiting(
        &self,
        conversation: &ConversationId,
        limit: usize,
    ) -> Result<Vec<SeqRange>, StoreError> {
        deliveries_waiting(self.connection, conversation, limit)
    }

    fn deliveries_unsealed(
        &self,
        conversation: &ConversationId,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        deliveries_unsealed(self.connection, conversation, limit)
    }
}

fn acknowledgement(
    connection: &Connection,
    conversation: &ConversationId,
    device: &DeviceId,
) -> Result<Option<Acknowledgement>, StoreError> {
    let sql = "SELECT signed FROM acknowledgements WHERE conversation = ? AND device = ?";
    one(connection, sql, [conversation.as_bytes(), device.as_bytes()], |row| {
        Acknowledgement::from_stored(get_signed(row, 0, ACKNOWLEDGEMENT)?)
            .map_err(|error| damaged(ACKNOWLEDGEMENT, error))
    })
}

fn put_acknowledgement(connection: &Connection, acknowledgement: &Acknowledgement) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO acknowledgements (conversation, device, signed) VALUES (?, ?, ?)";
    let fields = &acknowledgement.fields;
    let params =
        params![fields.conversation.as_bytes(), fields.device.as_bytes(), signed(&acknowledgement.signed)];
    run(connection, sql, params)?;
    Ok(())
}

fn acknowledged(
    connection: &Connection,
    conversation: &ConversationId,
    device: &DeviceId,
) -> Result<Option<Acknowledged>, StoreError> {
    let sql = "SELECT delivered, read, next FROM acknowledged WHERE conversation = ? AND device = ?";
    let frontier = |row: &Row<'_>, column| {
        Frontier::from_wire(get_message(row, column, ACKNOWLEDGED)?)
            .map_err(|error| damaged(ACKNOWLEDGED, error))
    };
    one(connection, sql, [conversation.as_bytes(), device.as_bytes()], |row| {
        let next: Option<i64> = row.get(2)?;
        let (delivered, read) = (frontier(row, 0)?, frontier(row, 1)?);
        Ok(Acknowledged { delivered, read, next: next.map(i64::cast_unsigned) })
    })
}

fn put_acknowledged(
    connection: &Connection,
    conversation: &ConversationId,
    device: &DeviceId,
    acknowledged: &Acknowledged,
) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO acknowledged (conversation, device, delivered, read, next) \
               VALUES (?, ?, ?, ?, ?)";
    let bytes = |frontier: &Frontier| frontier.to_wire().encode_to_vec();
    let Acknowledged { delivered, read, next } = acknowledged;
    let params = params![
        conversation.as_bytes(),
        device.as_bytes(),
        bytes(delivered),
        bytes(read),
        next.map(u64::cast_signed)
    ];
    run(connection, sql, params)?;
    Ok(())
}

fn own_receipts(connection: &Connection, conversation: &ConversationId) -> Result<OwnReceipts, StoreError> {
    let sql = "SELECT counter, read, due, own_due FROM own_receipts WHERE conversation = ?";
    let receipts = one(connection, sql, [conversation.as_bytes()], |row| {
        let read = Frontier::from_wire(get_message(row, 1, OWN_RECEIPTS)?);
        Ok(OwnReceipts {
            counter: get_int(row, 0)?,
            read: read.map_err(|error| damaged(OWN_RECEIPTS, error))?,
            due: row.get(2)?,
            own_due: row.get(3)?,
        })
    })?;
    Ok(receipts.unwrap_or_default())
}

fn put_own_receipts(
    connection: &Connection,
    conversation: &ConversationId,
    receipts: &OwnReceipts,
) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO own_receipts (conversation, counter, read, due, own_due) \
               VALUES (?, ?, ?, ?, ?)";
    let read = receipts.read.to_wire().encode_to_vec();
    let OwnReceipts { counter, due, own_due, .. } = receipts;
    run(connection, sql, params![conversation.as_bytes(), int(*counter), read, due, own_due])?;
    Ok(())
}

fn receipts_due(connection: &Connection) -> Result<Vec<ConversationId>, StoreError> {
    let sql = "SELECT conversation FROM own_receipts WHERE due = 1 OR own_due = 1 ORDER BY conversation";
    all(connection, sql, [], |row| get_id(row, 0, OWN_RECEIPTS))
}

const SELECT_DELIVERY: &str =
    "SELECT entry, conversation, seq, sealed, tick, failure, failure_value FROM deliveries";

fn delivery(connection: &Connection, entry: &EntryId) -> Result<Option<Delivery>, StoreError> {
    one(connection, &format!("{SELECT_DELIVERY} WHERE entry = ?"), [entry.as_bytes()], read_delivery)
}

fn put_delivery(connection: &Connection, delivery: &Delivery) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO deliveries (entry, conversation, seq, sealed, tick, failure, failure_value) \
               VALUES (?, ?, ?, ?, ?, ?, ?)";
    let (failure, failure_value) = match delivery.failed {
        None => (None, 0),
        Some(Failure::Expired) => (Some(1), 0),
        Some(Failure::Denied(reason)) => (Some(2), denial(reason)),
        Some(Failure::TooLarge { bytes_max }) => (Some(3), i64::from(bytes_max)),
        Some(Failure::Copied) => (Some(4), 0),
        Some(Failure::Unreachable) => (Some(5), 0),
    };
    run(
        connection,
        sql,
        params![
            delivery.entry.as_bytes(),
            delivery.conversation.as_bytes(),
            int(delivery.seq),
            delivery.sealed,
            tick_number(delivery.tick),
            failure,
            failure_value,
        ],
    )?;
    Ok(())
}

fn deliveries_between(
    connection: &Connection,
    conversation: &ConversationId,
    from: u64,
    through: u64,
    at_most: usize,
) -> Result<Vec<Delivery>, StoreError> {
    let sql = format!(
        "{SELECT_DELIVERY} WHERE conversation = ? AND seq BETWEEN ? AND ? ORDER BY seq, entry LIMIT ?"
    );
    let params = params![conversation.as_bytes(), int(from), int(through), limit(at_most)];
    all(connection, &sql, params, read_delivery)
}

fn deliveries_unread(
    connection: &Connection,
    conversation: &ConversationId,
) -> Result<Vec<Delivery>, StoreError> {
    let sql = format!("{SELECT_DELIVERY} WHERE conversation = ? AND tick < 4 ORDER BY seq, entry");
    all(connection, &sql, [conversation.as_bytes()], read_delivery)
}

/// In a run the number less the place is the same.
fn deliveries_waiting(
    connection: &Connection,
    conversation: &ConversationId,
    at_most: usize,
) -> Result<Vec<SeqRange>, StoreError> {
    let sql = "SELECT min(seq), max(seq) FROM (SELECT seq, seq - (row_number() OVER (ORDER BY seq) - 1) AS run \
               FROM (SELECT DISTINCT seq FROM deliveries WHERE conversation = ? AND tick < 2)) \
               GROUP BY run ORDER BY run LIMIT ?";
    all(connection, sql, params![conversation.as_bytes(), limit(at_most)], |row| {
        Ok(SeqRange { from: get_int(row, 0)?, through: get_int(row, 1)? })
    })
}

fn deliveries_unsealed(
    connection: &Connection,
    conversation: &ConversationId,
    at_most: usize,
) -> Result<Vec<Delivery>, StoreError> {
    let sql = format!(
        "{SELECT_DELIVERY} WHERE conversation = ? AND sealed = 0 AND failure IS NULL ORDER BY seq, entry LIMIT ?"
    );
    all(connection, &sql, params![conversation.as_bytes(), limit(at_most)], read_delivery)
}

fn read_delivery(row: &Row<'_>) -> Result<Delivery, StoreError> {
    let failure: Option<i64> = row.get(5)?;
    Ok(Delivery {
        entry: get_id(row, 0, DELIVERY)?,
        conversation: get_id(row, 1, DELIVERY)?,
        seq: get_int(row, 2)?,
        sealed: row.get(3)?,
        tick: tick_from(row.get(4)?)?,
        failed: failure.map(|number| failure_from(number, row)).transpose()?,
    })
}

fn failure_from(number: i64, row: &Row<'_>) -> Result<Failure, StoreError> {
    Ok(match number {
        1 => Failure::Expired,
        2 => Failure::Denied(denial_from(row.get(6)?, DELIVERY)?),
        3 => Failure::TooLarge { bytes_max: row.get(6)? },
        4 => Failure::Copied,
        5 => Failure::Unreachable,
        _ => return Err(damaged(DELIVERY, format!("unknown failure {number}"))),
    })
}

/// The partial indexes `deliveries_unread` and `deliveries_waiting` know these.
const fn tick_number(tick: Tick) -> i64 {
    match tick {
        Tick::Queued => 0,
        Tick::Waiting => 1,
        Tick::Sent => 2,
        Tick::Delivered => 3,
        Tick::Read => 4,
    }
}

fn tick_from(number: i64) -> Result<Tick, StoreError> {
    Ok(match number {
        0 => Tick::Queued,
        1 => Tick::Waiting,
        2 => Tick::Sent,
        3 => Tick::Delivered,
        4 => Tick::Read,
        _ => return Err(damaged(DELIVERY, format!("unknown tick {number}"))),
    })
}
