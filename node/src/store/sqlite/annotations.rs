//! What entries say of others: an index beside them, made when they come.

use rusqlite::{Connection, params};
use undertone_protocol::entry::ActKind;
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId};

use super::columns::{all, exists, get_id, int, limit, one, run};
use super::cuts;
use super::entries::{entry, read_entry};
use crate::store::records::said;
use crate::store::{StoreError, StoredEntry};

const ANNOTATION: &str = "annotation";
const HIDDEN: i64 = 0;
/// Entries that are looked at in one go when a store of an earlier version is opened.
const PAGE: usize = 256;

/// Notes what a new entry says of others.
pub(super) fn index(connection: &Connection, stored: &StoredEntry) -> Result<(), StoreError> {
    let header = &stored.entry.header;
    for (target, kind) in said(&stored.entry.body.content) {
        let sql = "INSERT OR IGNORE INTO annotations (conversation, target, kind, device, seq, entry) \
                   VALUES (?, ?, ?, ?, ?, ?)";
        run(
            connection,
            sql,
            params![
                header.conversation.as_bytes(),
                target.as_bytes(),
                number(kind),
                header.device.as_bytes(),
                int(header.seq),
                stored.entry.id.as_bytes(),
            ],
        )?;
    }
    Ok(())
}

/// A store of an earlier version kept such entries too, without knowing what they say.
pub(super) fn index_all(connection: &Connection) -> Result<(), StoreError> {
    let mut after = 0_i64;
    loop {
        let sql = "SELECT header, signature, body, effective, received, number FROM entries WHERE number > ? \
                   ORDER BY number LIMIT ?";
        let page = all(connection, sql, params![after, limit(PAGE)], |row| {
            Ok((read_entry(row)?, row.get::<_, i64>(5)?))
        })?;
        let Some((_, last)) = page.last() else { return Ok(()) };
        after = *last;
        for (stored, _) in &page {
            index(connection, stored)?;
        }
    }
}

/// Of each kind and device the one that counts, by kind, then device.
pub(super) fn of(
    connection: &Connection,
    conversation: &ConversationId,
    target: &EntryId,
    at_most: usize,
) -> Result<Vec<StoredEntry>, StoreError> {
    let mut counting = Vec::new();
    let mut place = (HIDDEN, DeviceId::new([u8::MAX; DeviceId::LEN]));
    while counting.len() < at_most {
        // From one device to the next by the index, however many it made.
        let sql = "SELECT kind, device FROM annotations WHERE conversation = ? AND target = ? \
                   AND (kind, device) > (?, ?) ORDER BY kind, device LIMIT 1";
        let params = params![conversation.as_bytes(), target.as_bytes(), place.0, place.1.as_bytes()];
        let next = one(connection, sql, params, |row| Ok((row.get(0)?, get_id(row, 1, ANNOTATION)?)))?;
        let Some(next) = next else { break };
        place = next;
        let through = cuts::get(connection, conversation, &place.1)?.map_or(u64::MAX, |cut| cut.through);
        if let Some(id) = counting_one(connection, conversation, target, &place, through)? {
            counting.extend(entry(connection, &id)?);
        }
    }
    Ok(counting)
}

/// All edits, by device, number, then id.
pub(super) fn edits(
    connection: &Connection,
    conversation: &ConversationId,
    target: &EntryId,
    at_most: usize,
) -> Result<Vec<EntryId>, StoreError> {
    let sql = "SELECT entry FROM annotations WHERE conversation = ? AND target = ? AND kind = ? \
               ORDER BY device, seq, entry LIMIT ?";
    let edit = number(Some(ActKind::Edit));
    let params = params![conversation.as_bytes(), target.as_bytes(), edit, limit(at_most)];
    all(connection, sql, params, |row| get_id(row, 0, ANNOTATION))
}

fn counting_one(
    connection: &Connection,
    conversation: &ConversationId,
    target: &EntryId,
    (kind, device): &(i64, DeviceId),
    through: u64,
) -> Result<Option<EntryId>, StoreError> {
    let order = if *kind == number(Some(ActKind::Delete)) { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT entry FROM annotations WHERE conversation = ? AND target = ? AND kind = ? AND device = ? \
         AND seq <= ? AND NOT EXISTS (SELECT 1 FROM voids WHERE voids.entry = annotations.entry) \
         ORDER BY seq {order}, entry {order} LIMIT 1"
    );
    let params = params![conversation.as_bytes(), target.as_bytes(), kind, device.as_bytes(), int(through)];
    one(connection, &sql, params, |row| get_id(row, 0, ANNOTATION))
}

/// Whether an entry that counts hides another one.
pub(super) fn is_hidden(
    connection: &Connection,
    conversation: &ConversationId,
    target: &EntryId,
) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM annotations AS a WHERE a.conversation = ? AND a.target = ? AND a.kind = ? \
               AND NOT EXISTS (SELECT 1 FROM cuts WHERE cuts.conversation = a.conversation \
               AND cuts.device = a.device AND a.seq > cuts.through) \
               AND NOT EXISTS (SELECT 1 FROM voids WHERE voids.entry = a.entry)";
    exists(connection, sql, params![conversation.as_bytes(), target.as_bytes(), HIDDEN])
}

const fn number(kind: Option<ActKind>) -> i64 {
    match kind {
        None => HIDDEN,
        Some(ActKind::Delete) => 1,
        Some(ActKind::Edit) => 2,
        Some(ActKind::Pin) => 3,
        Some(ActKind::Reaction) => 4,
        Some(ActKind::Drop) => 5,
    }
}
