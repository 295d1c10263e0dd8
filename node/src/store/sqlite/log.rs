use rusqlite::{Connection, params};
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId};
use undertone_protocol::log::{FrontierItem, OrderKey};
use undertone_protocol::time::Timestamp;

use super::columns::{
    all, exists, get_id, get_id_opt, get_int, get_ms, get_ranges, int, limit, ms, one, pack_ranges, run,
};
use super::entries::{SELECT_ENTRY, entry, read_entry};
use super::{SqliteTx, annotations, cuts, gaps};
use crate::store::records::expiry;
use crate::store::{Cut, Gap, LogTx, StoreError, StoredEntry};

const ENTRY: &str = "entry";
const FRONTIER: &str = "frontier";

impl LogTx for SqliteTx<'_> {
    fn entry(&self, id: &EntryId) -> Result<Option<StoredEntry>, StoreError> {
        entry(self.connection, id)
    }

    fn entries_at(
        &self,
        conversation: &ConversationId,
        device: &DeviceId,
        seq: u64,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        entries_at(self.connection, conversation, device, seq)
    }

    fn entries_of(
        &self,
        conversation: &ConversationId,
        device: &DeviceId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        entries_of(self.connection, conversation, device, from, limit)
    }

    fn put_entry(&mut self, entry: &StoredEntry) -> Result<(), StoreError> {
        put_entry(self.connection, entry)
    }

    fn drop_body(&mut self, entry: &EntryId) -> Result<(), StoreError> {
        let sql = "UPDATE entries SET body = x'', expires = NULL WHERE id = ?";
        run(self.connection, sql, [entry.as_bytes()])?;
        Ok(())
    }

    fn put_expiry(&mut self, entry: &EntryId, at: Option<Timestamp>) -> Result<(), StoreError> {
        let sql = "UPDATE entries SET expires = ? WHERE id = ? AND body <> x''";
        run(self.connection, sql, params![at.map(ms), entry.as_bytes()])?;
        Ok(())
    }

    fn expired(&self, moment: Timestamp, limit: usize) -> Result<Vec<EntryId>, StoreError> {
        expired(self.connection, moment, limit)
    }

    fn next_expiry(&self) -> Result<Option<Timestamp>, StoreError> {
        next_expiry(self.connection)
    }

    fn children(&self, parent: &EntryId) -> Result<Vec<EntryId>, StoreError> {
        children(self.connection, parent)
    }

    fn heads(&self, conversation: &ConversationId, limit: usize) -> Result<Vec<EntryId>, StoreError> {
        heads(self.connection, conversation, limit)
    }

    fn history(
        &self,
        conversation: &ConversationId,
        before: Option<&OrderKey>,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        history(self.connection, conversation, before, limit)
    }

    fn entries_within(
        &self,
        conversation: &ConversationId,
        first: &EntryId,
        last: &EntryId,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        entries_within(self.connection, conversation, first, last, limit)
    }

    fn annotations(
        &self,
        conversation: &ConversationId,
        target: &EntryId,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        annotations::of(self.connection, conversation, target, limit)
    }

    fn edits(
        &self,
        conversation: &ConversationId,
        target: &EntryId,
        limit: usize,
    ) -> Result<Vec<EntryId>, StoreError> {
        annotations::edits(self.connection, conversation, target, limit)
    }

    fn is_hidden(&self, conversation: &ConversationId, target: &EntryId) -> Result<bool, StoreError> {
        annotations::is_hidden(self.connection, conversation, target)
    }

    fn frontier(&self, conversation: &ConversationId) -> Result<Vec<(DeviceId, FrontierItem)>, StoreError> {
        frontier(self.connection, conversation)
    }

    fn put_frontier(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        item: &FrontierItem,
    ) -> Result<(), StoreError> {
        put_frontier(self.connection, conversation, device, item)
    }

    fn gaps(&self, conversation: &ConversationId) -> Result<Vec<(DeviceId, Gap)>, StoreError> {
        gaps::of(self.connection, conversation)
    }

    fn put_gap(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        gap: &Gap,
    ) -> Result<(), StoreError> {
        gaps::put(self.connection, conversation, device, gap)
    }

    fn delete_gap(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        from: u64,
    ) -> Result<(), StoreError> {
        gaps::delete(self.connection, conversation, device, from)
    }

    fn cut(&self, conversation: &ConversationId, device: &DeviceId) -> Result<Option<Cut>, StoreError> {
        cuts::get(self.connection, conversation, device)
    }

    fn put_cut(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        cut: &Cut,
    ) -> Result<(), StoreError> {
        cuts::put(self.connection, conversation, device, cut)
    }

    fn cuts(&self, conversation: &ConversationId) -> Result<Vec<(DeviceId, Cut)>, StoreError> {
        cuts::of(self.connection, conversation)
    }

    fn is_void(&self, entry: &EntryId) -> Result<bool, StoreError> {
        exists(self.connection, "SELECT 1 FROM voids WHERE entry = ?", [entry.as_bytes()])
    }

    fn put_void(&mut self, entry: &EntryId, is_void: bool) -> Result<(), StoreError> {
        let sql = if is_void {
            "INSERT OR IGNORE INTO voids (entry) VALUES (?)"
        } else {
            "DELETE FROM voids WHERE entry = ?"
        };
        run(self.connection, sql, [entry.as_bytes()])?;
        Ok(())
    }
}

fn entries_at(
    connection: &Connection,
    conversation: &ConversationId,
    device: &DeviceId,
    seq: u64,
) -> Result<Vec<StoredEntry>, StoreError> {
    let sql = format!("{SELECT_ENTRY} WHERE conversation = ? AND device = ? AND seq = ? ORDER BY id");
    all(connection, &sql, params![conversation.as_bytes(), device.as_bytes(), int(seq)], read_entry)
}

fn entries_of(
    connection: &Connection,
    conversation: &ConversationId,
    device: &DeviceId,
    from: u64,
    at_most: usize,
) -> Result<Vec<StoredEntry>, StoreError> {
    let sql =
        format!("{SELECT_ENTRY} WHERE conversation = ? AND device = ? AND seq >= ? ORDER BY seq, id LIMIT ?");
    let params = params![conversation.as_bytes(), device.as_bytes(), int(from), limit(at_most)];
    all(connection, &sql, params, read_entry)
}

fn entries_within(
    connection: &Connection,
    conversation: &ConversationId,
    first: &EntryId,
    last: &EntryId,
    at_most: usize,
) -> Result<Vec<StoredEntry>, StoreError> {
    // The plus keeps it from the conversation's indexes: of any conversation, few ids begin alike.
    let sql = format!("{SELECT_ENTRY} WHERE +conversation = ? AND id BETWEEN ? AND ? ORDER BY id LIMIT ?");
    let params = params![conversation.as_bytes(), first.as_bytes(), last.as_bytes(), limit(at_most)];
    all(connection, &sql, params, read_entry)
}

fn put_entry(connection: &Connection, stored: &StoredEntry) -> Result<(), StoreError> {
    if !move_entry(connection, stored)? {
        insert_entry(connection, stored)?;
        link(connection, stored)?;
        annotations::index(connection, stored)?;
    }
    Ok(())
}

/// False when the entry is not held.
fn move_entry(connection: &Connection, stored: &StoredEntry) -> Result<bool, StoreError> {
    let sql = "UPDATE entries SET effective = ?, received = ? WHERE id = ?";
    let params = params![ms(stored.effective), ms(stored.received), stored.entry.id.as_bytes()];
    Ok(run(connection, sql, params)? > 0)
}

fn insert_entry(connection: &Connection, stored: &StoredEntry) -> Result<(), StoreError> {
    let entry = &stored.entry;
    let conversation = entry.header.conversation.as_bytes();
    let sql = "SELECT 1 FROM parents JOIN entries ON id = child WHERE parent = ? AND conversation = ?";
    let has_child = exists(connection, sql, [&entry.id.as_bytes()[..], conversation])?;
    let sql = "INSERT INTO entries (id, conversation, device, seq, effective, received, is_head, header, \
               signature, body, expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    run(
        connection,
        sql,
        params![
            entry.id.as_bytes(),
            conversation,
            entry.header.device.as_bytes(),
            int(entry.header.seq),
            ms(stored.effective),
            ms(stored.received),
            !has_child,
            entry.header_bytes.as_ref(),
            entry.signature,
            entry.body.bytes.as_ref(),
            expiry(entry).map(ms),
        ],
    )?;
    Ok(())
}

fn expired(connection: &Connection, moment: Timestamp, at_most: usize) -> Result<Vec<EntryId>, StoreError> {
    let sql = "SELECT id FROM entries WHERE expires <= ? ORDER BY expires, id LIMIT ?";
    all(connection, sql, params![ms(moment), limit(at_most)], |row| get_id(row, 0, ENTRY))
}

fn next_expiry(connection: &Connection) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT expires FROM entries WHERE expires IS NOT NULL ORDER BY expires LIMIT 1";
    one(connection, sql, [], |row| get_ms(row, 0))
}

fn link(connection: &Connection, stored: &StoredEntry) -> Result<(), StoreError> {
    for parent in stored.entry.header.parents() {
        // A header may name a parent twice.
        let sql = "INSERT INTO parents (parent, child) VALUES (?, ?) ON CONFLICT DO NOTHING";
        run(connection, sql, [parent.as_bytes(), stored.entry.id.as_bytes()])?;
        let sql = "UPDATE entries SET is_head = 0 WHERE id = ? AND conversation = ? AND is_head = 1";
        run(connection, sql, [&parent.as_bytes()[..], stored.entry.header.conversation.as_bytes()])?;
    }
    Ok(())
}

fn children(connection: &Connection, parent: &EntryId) -> Result<Vec<EntryId>, StoreError> {
    let sql = "SELECT child FROM parents WHERE parent = ? ORDER BY child";
    all(connection, sql, [parent.as_bytes()], |row| get_id(row, 0, ENTRY))
}

fn heads(
    connection: &Connection,
    conversation: &ConversationId,
    at_most: usize,
) -> Result<Vec<EntryId>, StoreError> {
    let sql = "SELECT id FROM entries WHERE conversation = ? AND is_head = 1 \
               ORDER BY effective DESC, device DESC, id DESC LIMIT ?";
    all(connection, sql, params![conversation.as_bytes(), limit(at_most)], |row| get_id(row, 0, ENTRY))
}

fn history(
    connection: &Connection,
    conversation: &ConversationId,
    before: Option<&OrderKey>,
    at_most: usize,
) -> Result<Vec<StoredEntry>, StoreError> {
    // A conversation has few cuts: each is looked up by its key as the index of the order is walked.
    const REST: &str = "AND NOT EXISTS (SELECT 1 FROM cuts WHERE cuts.conversation = entries.conversation \
                         AND cuts.device = entries.device AND entries.seq > cuts.through) \
                         AND NOT EXISTS (SELECT 1 FROM voids WHERE voids.entry = entries.id) ORDER BY effective DESC, device DESC, id DESC LIMIT ?";
    let mut entries = match before {
        None => {
            let sql = format!("{SELECT_ENTRY} WHERE conversation = ? {REST}");
            all(connection, &sql, params![conversation.as_bytes(), limit(at_most)], read_entry)
        }
        Some(before) => {
            let sql = format!(
                "{SELECT_ENTRY} WHERE conversation = ? AND (effective, device, id) < (?, ?, ?) {REST}"
            );
            let params = params![
                conversation.as_bytes(),
                ms(before.effective),
                before.device.as_bytes(),
                before.entry.as_bytes(),
                limit(at_most)
            ];
            all(connection, &sql, params, read_entry)
        }
    }?;
    entries.reverse();
    Ok(entries)
}

fn frontier(
    connection: &Connection,
    conversation: &ConversationId,
) -> Result<Vec<(DeviceId, FrontierItem)>, StoreError> {
    let sql = "SELECT device, seq, head, ranges FROM frontiers WHERE conversation = ? ORDER BY device";
    all(connection, sql, [conversation.as_bytes()], |row| {
        let item = FrontierItem {
            seq: get_int(row, 1)?,
            head: get_id_opt(row, 2, FRONTIER)?,
            ranges: get_ranges(row, 3, FRONTIER)?,
            ends: Vec::new(),
        };
        Ok((get_id(row, 0, FRONTIER)?, item))
    })
}

fn put_frontier(
    connection: &Connection,
    conversation: &ConversationId,
    device: &DeviceId,
    item: &FrontierItem,
) -> Result<(), StoreError> {
    let sql =
        "INSERT OR REPLACE INTO frontiers (conversation, device, seq, head, ranges) VALUES (?, ?, ?, ?, ?)";
    run(
        connection,
        sql,
        params![
            conversation.as_bytes(),
            device.as_bytes(),
            int(item.seq),
            item.head.as_ref().map(|head| head.as_bytes().as_slice()),
            *pack_ranges(&item.ranges),
        ],
    )?;
    Ok(())
}
