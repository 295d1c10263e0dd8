//! Entries: signed, causally linked records of a conversation (`spec/log.md`).

mod account;
mod body;
mod header;

pub use account::{AccountRecord, AccountState, BlockedFrom};
pub use body::{Content, DeviceChange, EntryBody, check_text};
pub use header::{EntryError, EntryHeader, SignedEntry};

#[cfg(test)]
mod tests;
