//! The store on disk: SQLCipher, one file, every page encrypted and authenticated.
//!
//! A commit is synced before it is reported (write-ahead log, `synchronous = FULL`), deleted content is
//! overwritten, and nothing is spilled to temporary files. One process has the database at a time.

mod account;
mod acknowledged_at;
mod annotations;
mod changes;
mod columns;
mod cuts;
mod entries;
mod error;
mod forwards;
mod gaps;
mod groups;
mod inbox;
mod log;
mod open;
mod outbox;
mod pairwise;
mod people;
mod purpose;
mod receipts;
mod recipients;
mod revocations;
mod schema;
mod sender_keys;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};
use undertone_protocol::ids::Secret;

pub use error::OpenError;

use super::{NodeStore, NodeTx, StoreError};

/// A store in one encrypted file.
#[derive(Debug)]
pub struct SqliteStore {
    // Closed before the lock is given back: fields are dropped in their order.
    connection: Connection,
    _lock: File,
}

impl SqliteStore {
    /// Opens the database at `path` with the account's 256-bit key; makes it when it isn't there. Its
    /// directory must exist. A database of an older version is brought to the present one.
    pub fn open(path: &Path, key: &Secret) -> Result<Self, OpenError> {
        let (connection, lock) = open::open(path, key)?;
        Ok(Self { connection, _lock: lock })
    }
}

/// A transaction that is under way on a connection. What its methods do is in the file of their topic.
struct SqliteTx<'a> {
    connection: &'a Connection,
}

impl NodeStore for SqliteStore {
    fn transaction<R>(
        &mut self,
        work: impl FnOnce(&mut dyn NodeTx) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        // Undone when it is dropped without a commit.
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let result = work(&mut SqliteTx { connection: &transaction })?;
        transaction.commit()?;
        Ok(result)
    }
}
