use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::AccountError;
use super::key_file::KeyFile;
use crate::disk::sync_parent;

/// A key file has about 300 bytes.
const KEY_FILE_BYTES_MAX: u64 = 4_096;

/// Where the account's database is.
pub fn database_path(home: &Path) -> PathBuf {
    home.join("undertone.db")
}

/// Whether there is an account in `home` to unlock.
pub fn check_exists(home: &Path) -> Result<(), AccountError> {
    if exists(&key_path(home))? { Ok(()) } else { Err(no_key_file(home)?) }
}

/// What it means that there is no key file: a database without one is no reason to make an account anew,
/// unless it was left by a creation that did not end.
pub(super) fn no_key_file(home: &Path) -> Result<AccountError, AccountError> {
    let lost = exists(&database_path(home))? && !exists(&unfinished_path(home))?;
    let home = home.to_owned();
    Ok(if lost { AccountError::KeyFileLost(home) } else { AccountError::Missing(home) })
}

/// Whether there is room for an account in `home`: a first look, which [`super::create`] takes again.
pub fn check_new(home: &Path) -> Result<(), AccountError> {
    if exists(&key_path(home))? { Err(AccountError::Exists(home.to_owned())) } else { Ok(()) }
}

pub(super) fn key_path(home: &Path) -> PathBuf {
    home.join("account.key")
}

/// The key file of an account that is not complete yet.
pub(super) fn unfinished_path(home: &Path) -> PathBuf {
    home.join("account.key.unfinished")
}

/// The directory, for its owner only.
pub(super) fn make(home: &Path) -> Result<(), AccountError> {
    let disk = |error| AccountError::Disk { path: home.to_owned(), error };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(home).map_err(disk)?;
    #[cfg(unix)]
    fs::set_permissions(home, std::os::unix::fs::PermissionsExt::from_mode(0o700)).map_err(disk)?;
    sync_parent(home).map_err(disk)
}

/// Removes what an unfinished creation left of a database.
pub(super) fn remove_database(home: &Path) -> Result<(), AccountError> {
    let database = database_path(home);
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut path = database.clone().into_os_string();
        path.push(suffix);
        let path = PathBuf::from(path);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(AccountError::Disk { path, error });
            }
            _ => {}
        }
    }
    Ok(())
}

pub(super) fn exists(path: &Path) -> Result<bool, AccountError> {
    path.try_exists().map_err(|error| AccountError::Disk { path: path.to_owned(), error })
}

pub(super) fn read_key_file(home: &Path) -> Result<KeyFile, AccountError> {
    let path = key_path(home);
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => KeyFile::parse(&text, &path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(no_key_file(home)?),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(AccountError::DamagedKeyFile { path, why: "it is no text".to_owned() })
        }
        Err(error) => Err(AccountError::Disk { path, error }),
    }
}
