use prost::Message;
use prost::bytes::Bytes;
use rusqlite::{Connection, Row, params};
use undertone_protocol::codec::Malformed;
use undertone_protocol::federation::AnswerKey;
use undertone_protocol::ids::{DeviceId, PayloadHash, PublishId};
use undertone_protocol::token::TokenGrant;
use undertone_protocol::wire;

use super::SqliteTx;
use super::columns::{all, get_id, get_int, get_ms, get_packed, int, ms, one, pack, run};
use crate::store::{ForwardsTx, SentItem, StoreError, StoredForward};

const FORWARD: &str = "forward";

const SELECT: &str =
    "SELECT id, relay, via, made, not_after, waits_until, counter, answer_key, items FROM forwards";

impl ForwardsTx for SqliteTx<'_> {
    fn forward(&self, id: &PublishId) -> Result<Option<StoredForward>, StoreError> {
        one(self.connection, &format!("{SELECT} WHERE id = ?"), [id.as_bytes()], read)
    }

    fn forwards(&self) -> Result<Vec<StoredForward>, StoreError> {
        all(self.connection, &format!("{SELECT} ORDER BY id"), [], read)
    }

    fn put_forward(&mut self, forward: &StoredForward) -> Result<(), StoreError> {
        put(self.connection, forward)
    }

    fn delete_forward(&mut self, id: &PublishId) -> Result<(), StoreError> {
        run(self.connection, "DELETE FROM forwards WHERE id = ?", [id.as_bytes()])?;
        Ok(())
    }
}

fn put(connection: &Connection, forward: &StoredForward) -> Result<(), StoreError> {
    let StoredForward { answer, via, made, not_after, waits_until, items } = forward;
    let sql = "INSERT OR REPLACE INTO forwards (id, relay, via, made, not_after, waits_until, counter, answer_key, \
               items) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    run(
        connection,
        sql,
        params![
            answer.forward_id.as_bytes(),
            answer.relay.as_bytes(),
            via.as_bytes(),
            ms(*made),
            ms(*not_after),
            waits_until.map(ms),
            int(answer.counter),
            answer.key.expose(),
            *pack(items.iter().map(PackedItem::of)),
        ],
    )?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<StoredForward, StoreError> {
    let waits_until = row.get::<_, Option<i64>>(5)?.map(|_| get_ms(row, 5)).transpose()?;
    Ok(StoredForward {
        answer: AnswerKey {
            forward_id: get_id(row, 0, FORWARD)?,
            relay: get_id(row, 1, FORWARD)?,
            counter: get_int(row, 6)?,
            key: get_id(row, 7, FORWARD)?,
        },
        via: get_id(row, 2, FORWARD)?,
        made: get_ms(row, 3)?,
        not_after: get_ms(row, 4)?,
        waits_until,
        items: get_packed(row, 8, FORWARD, PackedItem::read)?,
    })
}

/// An item as it is stored.
#[derive(Clone, PartialEq, Message)]
struct PackedItem {
    #[prost(uint64, tag = "1")]
    outbox: u64,
    #[prost(bytes = "bytes", tag = "2")]
    payload_hash: Bytes,
    /// As many as tokens.
    #[prost(bytes = "bytes", repeated, tag = "3")]
    devices: Vec<Bytes>,
    #[prost(message, repeated, tag = "4")]
    tokens: Vec<wire::TokenGrant>,
}

impl PackedItem {
    fn of(item: &SentItem) -> Self {
        Self {
            outbox: item.outbox,
            payload_hash: item.payload_hash.to_wire(),
            devices: item.devices.iter().map(DeviceId::to_wire).collect(),
            tokens: item.tokens.iter().map(TokenGrant::to_wire).collect(),
        }
    }

    fn read(self) -> Result<SentItem, Malformed> {
        if self.devices.len() != self.tokens.len() {
            return Err(Malformed::new(FORWARD, "another number of tokens than of devices"));
        }
        Ok(SentItem {
            outbox: self.outbox,
            payload_hash: PayloadHash::from_slice(&self.payload_hash)?,
            devices: self.devices.iter().map(|id| DeviceId::from_slice(id)).collect::<Result<_, _>>()?,
            tokens: self.tokens.iter().map(TokenGrant::from_wire).collect::<Result<_, _>>()?,
        })
    }
}
