use rusqlite::{Connection, Row, params};
use undertone_protocol::crypto::{HeaderKey, ReceiverKeyState, SenderKeyState};
use undertone_protocol::ids::{ConversationId, DeviceId, SessionId, Tag};
use undertone_protocol::time::Timestamp;

use super::SqliteTx;
use super::columns::{
    all, blob, damaged, get_id, get_int, get_joined, get_ms, get_secret, int, join, limit, ms, one, run,
};
use crate::store::{ReceiverKey, SenderKey, SenderKeysTx, StoreError};

const SENDER_KEY: &str = "sender key";
const RECEIVER_KEY: &str = "receiver key";

impl SenderKeysTx for SqliteTx<'_> {
    fn sender_key(&self, conversation: &ConversationId) -> Result<Option<SenderKey>, StoreError> {
        sender_key(self.connection, conversation)
    }

    fn put_sender_key(&mut self, key: &SenderKey) -> Result<(), StoreError> {
        put_sender_key(self.connection, key)
    }

    fn receiver_key(&self, session: &SessionId) -> Result<Option<ReceiverKey>, StoreError> {
        receiver_key(self.connection, session)
    }

    fn put_receiver_key(&mut self, key: &ReceiverKey) -> Result<(), StoreError> {
        put_receiver_key(self.connection, key)
    }

    fn next_seqs(&self, conversation: &ConversationId) -> Result<Vec<(DeviceId, u64)>, StoreError> {
        next_seqs(self.connection, conversation)
    }

    fn forget_receiver_keys(&mut self, moment: Timestamp) -> Result<(), StoreError> {
        forget_receiver_keys(self.connection, moment)
    }

    fn forget_receiver_keys_of(&mut self, device: &DeviceId, moment: Timestamp) -> Result<(), StoreError> {
        forget_receiver_keys_of(self.connection, device, moment)
    }

    fn trim_receiver_keys(&mut self, device: &DeviceId, keys_max: usize) -> Result<(), StoreError> {
        trim_receiver_keys(self.connection, device, keys_max)
    }

    fn sessions_by_tag(&self, tag: &Tag) -> Result<Vec<(SessionId, u32)>, StoreError> {
        sessions_by_tag(self.connection, tag)
    }

    fn put_message_tags(&mut self, session: &SessionId, tags: &[(Tag, u32)]) -> Result<(), StoreError> {
        put_message_tags(self.connection, session, tags)
    }

    fn delete_message_tag(&mut self, session: &SessionId, tag: &Tag) -> Result<(), StoreError> {
        delete_message_tag(self.connection, session, tag)
    }
}

fn sender_key(
    connection: &Connection,
    conversation: &ConversationId,
) -> Result<Option<SenderKey>, StoreError> {
    let sql = "SELECT state, header_key, holders, messages, turned, own_header_key, own_holders, made \
               FROM sender_keys WHERE conversation = ?";
    one(connection, sql, [conversation.as_bytes()], |row| {
        Ok(SenderKey {
            conversation: *conversation,
            state: SenderKeyState::from_bytes(get_secret(row, 0, SENDER_KEY)?),
            header_key: get_header_key(row, 1, SENDER_KEY)?,
            holders: get_joined::<32, _>(row, 2, SENDER_KEY)?,
            own_header_key: get_header_key(row, 5, SENDER_KEY)?,
            own_holders: get_joined::<32, _>(row, 6, SENDER_KEY)?,
            made: get_ms(row, 7)?,
            messages: get_int(row, 3)?,
            turned: row.get(4)?,
        })
    })
}

fn put_sender_key(connection: &Connection, key: &SenderKey) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO sender_keys (conversation, state, header_key, holders, messages, turned, \
               own_header_key, own_holders, made) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    run(
        connection,
        sql,
        params![
            key.conversation.as_bytes(),
            key.state.as_bytes(),
            key.header_key.expose(),
            join(key.holders.iter().map(DeviceId::as_bytes)),
            int(key.messages),
            key.turned,
            key.own_header_key.expose(),
            join(key.own_holders.iter().map(DeviceId::as_bytes)),
            ms(key.made),
        ],
    )?;
    Ok(())
}

fn receiver_key(connection: &Connection, session: &SessionId) -> Result<Option<ReceiverKey>, StoreError> {
    let sql = "SELECT conversation, device, state, header_key, next_index, tags_end, received, next_seq \
               FROM receiver_keys WHERE session = ?";
    one(connection, sql, [session.as_bytes()], |row| {
        Ok(ReceiverKey {
            session: *session,
            conversation: get_id(row, 0, RECEIVER_KEY)?,
            device: get_id(row, 1, RECEIVER_KEY)?,
            state: ReceiverKeyState::from_bytes(get_secret(row, 2, RECEIVER_KEY)?),
            header_key: get_header_key(row, 3, RECEIVER_KEY)?,
            next_index: row.get(4)?,
            tags_end: row.get(5)?,
            received: get_ms(row, 6)?,
            next_seq: get_int(row, 7)?,
        })
    })
}

fn get_header_key(row: &Row<'_>, column: usize, what: &'static str) -> Result<HeaderKey, StoreError> {
    HeaderKey::from_slice(blob(row, column, what)?).map_err(|error| damaged(what, error))
}

fn put_receiver_key(connection: &Connection, key: &ReceiverKey) -> Result<(), StoreError> {
    let sql = "INSERT OR REPLACE INTO receiver_keys (session, conversation, device, state, header_key, \
               next_index, tags_end, received, next_seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    run(
        connection,
        sql,
        params![
            key.session.as_bytes(),
            key.conversation.as_bytes(),
            key.device.as_bytes(),
            key.state.as_bytes(),
            key.header_key.expose(),
            key.next_index,
            key.tags_end,
            ms(key.received),
            int(key.next_seq),
        ],
    )?;
    Ok(())
}

fn next_seqs(
    connection: &Connection,
    conversation: &ConversationId,
) -> Result<Vec<(DeviceId, u64)>, StoreError> {
    let sql = "SELECT device, min(next_seq) FROM receiver_keys WHERE conversation = ? GROUP BY device ORDER BY device";
    all(connection, sql, [conversation.as_bytes()], |row| {
        Ok((get_id(row, 0, RECEIVER_KEY)?, get_int(row, 1)?))
    })
}

fn forget_receiver_keys(connection: &Connection, moment: Timestamp) -> Result<(), StoreError> {
    let sql = "SELECT session FROM receiver_keys WHERE received < ?";
    delete_sessions(connection, all(connection, sql, [ms(moment)], |row| get_id(row, 0, RECEIVER_KEY))?)
}

fn forget_receiver_keys_of(
    connection: &Connection,
    device: &DeviceId,
    moment: Timestamp,
) -> Result<(), StoreError> {
    let sql = "SELECT session FROM receiver_keys WHERE device = ? AND received < ?";
    let params = params![device.as_bytes(), ms(moment)];
    delete_sessions(connection, all(connection, sql, params, |row| get_id(row, 0, RECEIVER_KEY))?)
}

fn trim_receiver_keys(connection: &Connection, device: &DeviceId, keys_max: usize) -> Result<(), StoreError> {
    let sql = "SELECT session FROM receiver_keys WHERE device = ? ORDER BY received DESC, session DESC \
               LIMIT -1 OFFSET ?";
    let params = params![device.as_bytes(), limit(keys_max)];
    delete_sessions(connection, all(connection, sql, params, |row| get_id(row, 0, RECEIVER_KEY))?)
}

fn delete_sessions(connection: &Connection, sessions: Vec<SessionId>) -> Result<(), StoreError> {
    for session in sessions {
        run(connection, "DELETE FROM message_tags WHERE session = ?", [session.as_bytes()])?;
        run(connection, "DELETE FROM receiver_keys WHERE session = ?", [session.as_bytes()])?;
    }
    Ok(())
}

fn sessions_by_tag(connection: &Connection, tag: &Tag) -> Result<Vec<(SessionId, u32)>, StoreError> {
    let sql = "SELECT session, at FROM message_tags WHERE tag = ? ORDER BY session";
    all(connection, sql, [tag.as_bytes()], |row| Ok((get_id(row, 0, "message tag")?, row.get(1)?)))
}

fn put_message_tags(
    connection: &Connection,
    session: &SessionId,
    tags: &[(Tag, u32)],
) -> Result<(), StoreError> {
    for (tag, at) in tags {
        let sql = "INSERT INTO message_tags (tag, session, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
        run(connection, sql, params![tag.as_bytes(), session.as_bytes(), at])?;
    }
    Ok(())
}

fn delete_message_tag(connection: &Connection, session: &SessionId, tag: &Tag) -> Result<(), StoreError> {
    let sql = "DELETE FROM message_tags WHERE tag = ? AND session = ?";
    run(connection, sql, params![tag.as_bytes(), session.as_bytes()])?;
    Ok(())
}
