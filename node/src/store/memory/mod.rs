//! The store in memory: for simulations, where it is the disk that loses what was not committed.

mod account;
mod forwards;
mod groups;
mod inbox;
mod log;
mod outbox;
mod pairwise;
mod people;
mod receipts;
mod sender_keys;
mod table;
mod tables;

use std::collections::BTreeMap;

use super::{NodeStore, NodeTx, StoreError};
use tables::Tables;

/// A store in ordered maps. A clone is a copy of the disk as it is.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    tables: Tables,
    changes: u64,
}

impl MemoryStore {
    /// How many transactions changed something: to see whether anything did between two moments.
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// All rows of each table, in words that hide what is secret: to see what changed between two moments.
    pub fn contents(&self) -> BTreeMap<&'static str, String> {
        self.tables.contents()
    }
}

impl NodeStore for MemoryStore {
    fn transaction<R>(
        &mut self,
        work: impl FnOnce(&mut dyn NodeTx) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        // What a panic in an earlier `work` left.
        self.tables.rollback();
        let result = work(&mut self.tables);
        match result {
            Ok(_) => {
                self.changes += u64::from(self.tables.is_changed());
                self.tables.commit();
            }
            Err(_) => self.tables.rollback(),
        }
        result
    }
}
