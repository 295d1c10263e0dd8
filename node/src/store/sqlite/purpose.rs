//! What outbox items are, as columns.

use rusqlite::Row;

use super::columns::{damaged, get_id};
use crate::store::{Purpose, StoreError};

const ITEM: &str = "outbox item";

/// A purpose as two columns.
pub(super) fn purpose_columns(purpose: &Purpose) -> (i64, &[u8; 32]) {
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

/// What [`purpose_columns`] stored, in columns 2 and 3.
pub(super) fn read_purpose(row: &Row<'_>) -> Result<Purpose, StoreError> {
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
