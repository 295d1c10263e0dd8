//! The account's directory: its database, and the key file that the passphrase opens.
//!
//! The database is encrypted with a random key; `account.key` holds that key, wrapped under the passphrase.
//! `account.key` gets its name last: where it is, the account is complete.

mod create;
mod error;
mod home;
mod key_file;

#[cfg(test)]
mod tests;

pub use create::{Creation, create};
pub use error::AccountError;
pub use home::{check_exists, check_new, database_path};

use std::path::Path;

use undertone_protocol::ids::Secret;

/// Unwraps the database's key. Takes about a third of a second and 64 MiB, on purpose.
pub fn unlock(home: &Path, passphrase: &str) -> Result<Secret, AccountError> {
    let file = home::read_key_file(home)?;
    key_file::unwrap(&file, passphrase)
}
