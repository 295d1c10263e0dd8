//! Entries: signed, causally linked records of a conversation (`spec/log.md`).

mod body;
mod header;

pub use body::{Content, EntryBody, check_text};
pub use header::{EntryError, EntryHeader, SignedEntry};

#[cfg(test)]
mod tests;
