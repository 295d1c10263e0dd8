use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rand_core::CryptoRng;
use undertone_protocol::ids::Secret;

use super::home::{self, database_path, key_path, unfinished_path};
use super::{AccountError, key_file};
use crate::disk::{private, sync_directory};

/// An account that is being created: fill the database, then [`Creation::finish`]. Until then there is no
/// account, whatever happens: dropped or killed on the way, it can be created anew.
#[derive(Debug)]
pub struct Creation {
    home: PathBuf,
    key: Secret,
    /// Keeps others from creating the same account meanwhile.
    file: File,
}

/// Begins an account in `home`, which is made if it isn't there: a new random key for the database,
/// wrapped under the passphrase.
pub fn create(home: &Path, passphrase: &str, rng: &mut impl CryptoRng) -> Result<Creation, AccountError> {
    if passphrase.is_empty() {
        return Err(AccountError::EmptyPassphrase);
    }
    home::make(home)?;
    let mut file = begin(home)?;
    let key = Secret::random(rng);
    let text = key_file::wrap(&key, passphrase, rng)?.to_text();
    // The directory too: whoever finds the database after a power cut must find this beside it.
    file.set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| file.write_all(text.as_bytes()))
        .and_then(|()| file.sync_all())
        .and_then(|()| sync_directory(home))
        .map_err(|error| AccountError::Disk { path: unfinished_path(home), error })?;
    home::remove_database(home)?;
    Ok(Creation { home: home.to_owned(), key, file })
}

impl Creation {
    /// The database's key.
    pub const fn key(&self) -> &Secret {
        &self.key
    }

    /// Where the database belongs.
    pub fn database_path(&self) -> PathBuf {
        database_path(&self.home)
    }

    /// Makes the account a complete one. Call it when what must be in the database from the start is
    /// committed. Gives the database's key.
    pub fn finish(self) -> Result<Secret, AccountError> {
        let from = unfinished_path(&self.home);
        let disk = |error| AccountError::Disk { path: from.clone(), error };
        fs::rename(&from, key_path(&self.home)).map_err(disk)?;
        sync_directory(&self.home).map_err(disk)?;
        self.file.unlock().map_err(disk)?;
        Ok(self.key)
    }
}

/// Locks the unfinished key file, if an account may be created here.
fn begin(home: &Path) -> Result<File, AccountError> {
    let path = unfinished_path(home);
    home::check_new(home)?;
    if let lost @ AccountError::KeyFileLost(_) = home::no_key_file(home)? {
        return Err(lost);
    }
    let disk = |error| AccountError::Disk { path: path.clone(), error };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let file = private(&mut options).open(&path).map_err(disk)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(AccountError::BeingCreated(home.to_owned())),
        Err(TryLockError::Error(error)) => return Err(disk(error)),
    }
    // Another process may have finished between the first look and the lock.
    home::check_new(home).inspect_err(|_| {
        // Ours if it is there at all, and it must not stay: it says that the database may be removed.
        drop(fs::remove_file(&path));
    })?;
    Ok(file)
}
