//! The default backend: `fjall`, a log-structured tree with one journal.
//!
//! Every commit is one atomic batch with `PersistMode::SyncAll`. A new store is built in a directory
//! beside its final one and renamed, so that an interrupted creation leaves nothing half-made. One lock
//! file guards creation and use against a second process.
//!
//! fjall takes a damaged batch header for the torn end of its journal and drops what follows, so commits are
//! counted twice: in each batch, and, once it is durable, in a file beside the store. A store that opens
//! with fewer has lost what was acknowledged, and is refused.

use std::fs::{self, File, TryLockError};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use count::CommitCount;

use super::format::{self, FORMAT, FORMAT_OLDEST};
use super::{Batch, Store, StoreError};

const KEYSPACE: &str = "relay";
/// The file by which a directory is recognised as a `fjall` database.
const DATABASE_MARK: &str = "version";
/// What the backend itself demands.
const JOURNAL_BYTES_MIN: u64 = 64 * 1024 * 1024;

/// How much the backend may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FjallOptions {
    /// Bytes of journal files on disk; at least 64 MiB. More means fewer flushes and a longer recovery.
    pub journal_bytes_max: u64,
    /// Bytes of the block cache, in memory.
    pub cache_bytes: u64,
}

impl Default for FjallOptions {
    fn default() -> Self {
        Self { journal_bytes_max: 2 * JOURNAL_BYTES_MIN, cache_bytes: 64 * 1024 * 1024 }
    }
}

/// A store in a directory.
pub struct FjallStore {
    database: Database,
    keyspace: Keyspace,
    commits: u64,
    count: CommitCount,
    poisoned: bool,
    /// Held for as long as the store is open. Fields drop in order: the database first.
    _lock: File,
}

impl FjallStore {
    /// Opens the store at `path`; makes it, with its parents, when nothing or an empty directory is there.
    /// One of an older format is then the caller's to [migrate](crate::migration::migrate).
    pub fn open(path: &Path, options: FjallOptions) -> Result<Self, StoreError> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(at(parent))?;
        let lock = lock(path)?;
        if is_empty(path)? {
            create(path, parent, options)?;
        } else if !path.join(DATABASE_MARK).is_file() {
            return Err(StoreError::Foreign(path.to_owned()));
        }
        let (count, counted) = CommitCount::open(beside(path, "commits"))?;
        let database = database(path, options)?;
        if !database.keyspace_exists(KEYSPACE) {
            return Err(unmarked(path, counted));
        }
        let keyspace = keyspace(&database)?;
        let commits = committed(&keyspace)?;
        if let Some(missing) = counted.checked_sub(commits).filter(|missing| *missing > 0) {
            let count = beside(path, "commits");
            return Err(StoreError::Lost { path: path.to_owned(), count, commits: missing });
        }
        let store = Self { database, keyspace, commits, count, poisoned: false, _lock: lock };
        match format::found(&store)? {
            Some(FORMAT_OLDEST..=FORMAT) => Ok(store),
            Some(found) => Err(StoreError::Format { found, expected: FORMAT }),
            None => Err(unmarked(path, counted)),
        }
    }
}

/// A database without our mark: never ours, or its beginning is gone.
fn unmarked(path: &Path, counted: u64) -> StoreError {
    let path = path.to_owned();
    match counted {
        0 => StoreError::Foreign(path),
        _ => StoreError::Damaged { path, why: "its first records are missing".to_owned() },
    }
}

fn committed(keyspace: &Keyspace) -> Result<u64, StoreError> {
    let Some(bytes) = keyspace.get(format::commits_key()).map_err(backend)? else { return Ok(0) };
    let bytes = bytes.as_ref().try_into().map_err(|_| StoreError::Corrupt { what: "number of commits" })?;
    Ok(u64::from_be_bytes(bytes))
}

impl Store for FjallStore {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let value = self.keyspace.get(key).map_err(backend)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        let pairs = self.keyspace.range(from..to).take(limit);
        pairs
            .map(|guard| {
                let (key, value) = guard.into_inner().map_err(backend)?;
                Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
            })
            .collect()
    }

    fn commit(&mut self, batch: Batch) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let mut writes = self.database.batch().durability(Some(PersistMode::SyncAll));
        for (key, value) in batch {
            match value {
                Some(value) => writes.insert(&self.keyspace, &key[..], &value[..]),
                None => writes.remove(&self.keyspace, &key[..]),
            }
        }
        let commits = self.commits.saturating_add(1);
        writes.insert(&self.keyspace, &format::commits_key()[..], commits.to_be_bytes());
        writes.commit().map_err(|error| {
            self.poisoned = true;
            backend(error)
        })?;
        self.commits = commits;
        self.count.set(commits);
        Ok(())
    }
}

/// Builds a marked store beside `path`, then puts it in place.
fn create(path: &Path, parent: &Path, options: FjallOptions) -> Result<(), StoreError> {
    let building = beside(path, "creating");
    if building.exists() {
        fs::remove_dir_all(&building).map_err(at(&building))?;
    }
    let database = database(&building, options)?;
    keyspace(&database)?.insert(&format::key()[..], FORMAT.to_be_bytes()).map_err(backend)?;
    database.persist(PersistMode::SyncAll).map_err(backend)?;
    drop(database);
    sync_tree(&building)?;
    fs::rename(&building, path).map_err(at(path))?;
    sync(parent)
}

fn database(path: &Path, options: FjallOptions) -> Result<Database, StoreError> {
    let builder = Database::builder(path)
        .max_journaling_size(options.journal_bytes_max.max(JOURNAL_BYTES_MIN))
        .cache_size(options.cache_bytes);
    // Some damage trips an assertion of the backend instead of an error.
    let opened = catch_unwind(AssertUnwindSafe(|| builder.open()));
    let damaged = |why: String| StoreError::Damaged { path: path.to_owned(), why };
    match opened {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(fjall::Error::Locked)) => Err(StoreError::Locked(path.to_owned())),
        Ok(Err(error)) => Err(damaged(error.to_string())),
        Err(_) => Err(damaged("the backend gave up on it".to_owned())),
    }
}

fn keyspace(database: &Database) -> Result<Keyspace, StoreError> {
    database.keyspace(KEYSPACE, KeyspaceCreateOptions::default).map_err(backend)
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let name = beside(path, "lock");
    let file = File::options().create(true).truncate(false).write(true).open(&name).map_err(at(&name))?;
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => StoreError::Locked(path.to_owned()),
        TryLockError::Error(source) => StoreError::Io { path: name, source },
    })?;
    Ok(file)
}

/// `path` with `.suffix` added to its last part.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    path.with_file_name(name)
}

fn is_empty(path: &Path) -> Result<bool, StoreError> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(at(path)(error)),
    }
}

fn sync_tree(path: &Path) -> Result<(), StoreError> {
    for entry in fs::read_dir(path).map_err(at(path))? {
        let entry = entry.map_err(at(path))?.path();
        if entry.is_dir() { sync_tree(&entry)? } else { sync(&entry)? }
    }
    sync(path)
}

fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(at(path))
}

fn at(path: &Path) -> impl Fn(std::io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { path: path.clone(), source }
}

fn backend(error: fjall::Error) -> StoreError {
    match error {
        fjall::Error::Poisoned => StoreError::Poisoned,
        error => StoreError::Backend(error.to_string()),
    }
}

mod count;

#[cfg(test)]
mod tests;
