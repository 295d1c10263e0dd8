use rusqlite::{Connection, TransactionBehavior};

use super::annotations;
use super::error::OpenError;

/// Each brings the database to its version, in one transaction; never changed once released.
const MIGRATIONS: &[(u32, &str)] = &[
    (1, include_str!("schema.sql")),
    (2, include_str!("migration_2.sql")),
    (ANNOTATIONS_INDEXED, include_str!("migration_3.sql")),
    (4, include_str!("migration_4.sql")),
    (5, include_str!("migration_5.sql")),
    (6, include_str!("migration_6.sql")),
    (7, include_str!("migration_7.sql")),
    (8, include_str!("migration_8.sql")),
    (9, include_str!("migration_9.sql")),
    (10, include_str!("migration_10.sql")),
    (11, include_str!("migration_11.sql")),
];
const ANNOTATIONS_INDEXED: u32 = 3;

/// Says in the file's header that it is a node's database: "UTnd".
const APPLICATION_ID: i64 = 0x5554_6e64;

/// Brings the database to the version that this build knows. A new, empty one starts at version 0.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let found = check_kind(connection)?;
    let known = MIGRATIONS.last().map_or(0, |(version, _)| *version);
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    for (version, sql) in MIGRATIONS.iter().filter(|(version, _)| *version > found) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(sql)?;
        if *version == ANNOTATIONS_INDEXED {
            annotations::index_all(&transaction).map_err(|error| OpenError::Damaged(error.to_string()))?;
        }
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// The version found, if it is a node's database.
fn check_kind(connection: &Connection) -> Result<u32, OpenError> {
    let application: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    let is_new = application == 0 && version == 0 && tables == 0;
    if application != APPLICATION_ID && !is_new {
        return Err(OpenError::OtherDatabase);
    }
    Ok(version)
}
