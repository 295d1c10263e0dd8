//! Entries: signed, causally linked records of a conversation (`spec/log.md`).

mod account;
mod annotation;
mod body;
mod header;
mod text;

pub use account::{AccountRecord, AccountState, BlockedFrom};
pub use annotation::{Act, ActKind, Annotation, check_reaction};
pub use body::{Content, DeviceChange, EntryBody};
pub use header::{EntryError, EntryHeader, SignedEntry};
pub use text::{Text, check_text};

#[cfg(test)]
mod tests;
