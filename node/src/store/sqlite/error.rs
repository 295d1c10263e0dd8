use std::io;
use std::path::PathBuf;

use rusqlite::ErrorCode;

use crate::store::REMEDY;

/// Why a database can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it. The user is at fault.
    #[error(
        "the account is in use by another node{}: stop that one first, or use its API",
        .process.map(|id| format!(" (process {id})")).unwrap_or_default()
    )]
    InUse {
        /// The other's process id, if it could be read.
        process: Option<u32>,
    },
    /// Another key encrypts it, or its beginning is damaged.
    #[error(
        "the account's key does not open the database: `account.key` and the database belong to different \
         accounts, or the database's first page is damaged. Put the key file back that belongs to it; else {REMEDY}"
    )]
    WrongKey,
    /// It is something else than an encrypted database.
    #[error(
        "the file is no encrypted database: another program wrote it, or it was cut off. Put the account's own back, as it was; else {REMEDY}"
    )]
    NotADatabase,
    /// The key is right, but it is no node's database.
    #[error("the database is not one of an Undertone node")]
    OtherDatabase,
    /// A newer build made it.
    #[error("the database has version {found}, this build knows {known} at most: update Undertone")]
    Newer {
        /// The database's version.
        found: u32,
        /// The newest that this build knows.
        known: u32,
    },
    /// Pages are damaged.
    #[error("the database is damaged ({0}): {REMEDY}")]
    Damaged(String),
    /// The disk refuses.
    #[error("{}: {error}", .path.display())]
    Disk {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// SQLite refuses for another reason.
    #[error("the database can't be opened: {0}")]
    Database(rusqlite::Error),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            // After the key was found right, a page that does not decrypt is a damaged one.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error.to_string()),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::InUse { process: None },
            _ => Self::Database(error),
        }
    }
}
