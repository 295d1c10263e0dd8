//! The default backend: `fjall`, a log-structured tree with one journal.
//!
//! Every commit is one atomic batch with `PersistMode::SyncAll`. A new store is built in a directory
//! beside its final one and renamed, so that an interrupted creation leaves nothing half-made. One lock
//! file guards creation and use against a second process.
//!
//! fjall takes a damaged batch header for the torn end of its journal and drops what follows. So commits are
//! numbered: in each batch, and, once it is durable, in a file beside the store. Before the backend opens its
//! journals they are read here (`fjall/journal.rs`): commits that do not follow one another, or fewer than the file
//! counts, mean that what was acknowledged is lost, and the store is refused as it is.

use std::error::Error;
use std::fs::{self, File, TryLockError};
use std::io;
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
/// Where the backend keeps what it moved out of its journals.
const TABLES: &str = "keyspaces/1/tables";
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
    path: PathBuf,
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
        let torn = check_journals(path, counted)?;
        let database = database(path, options)?;
        if !database.keyspace_exists(KEYSPACE) {
            return Err(unmarked(path, counted));
        }
        let keyspace = keyspace(&database)?;
        let commits = committed(&keyspace)?;
        if let Some(commits) = counted.checked_sub(commits).filter(|missing| *missing > 0) {
            return Err(lost(path, commits, torn));
        }
        let path = path.to_owned();
        let store = Self { path, database, keyspace, commits, count, poisoned: false, _lock: lock };
        match format::found(&store)? {
            Some(FORMAT_OLDEST..=FORMAT) => Ok(store),
            Some(found) => Err(StoreError::Format { found, expected: FORMAT }),
            None => Err(unmarked(&store.path, counted)),
        }
    }

    /// Damage that the backend finds in its tables, when it comes to them, is told as such.
    fn failed(&self, error: fjall::Error) -> StoreError {
        if is_damage(&error) {
            return StoreError::Damaged { path: self.path.clone(), why: error.to_string() };
        }
        backend(error)
    }

    /// Some damage trips an assertion of the backend instead of an error.
    fn guarded<T>(&self, work: impl FnOnce() -> Result<T, fjall::Error>) -> Result<T, StoreError> {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(done) => done.map_err(|error| self.failed(error)),
            Err(_) => Err(gave_up(&self.path)),
        }
    }
}

/// Refuses damaged journals, before anything is changed in them; cuts off what a power cut left half-written. Where
/// that was, in words.
fn check_journals(path: &Path, counted: u64) -> Result<Option<String>, StoreError> {
    let journals = journal::read(path)?;
    let torn = journals.torn.as_ref().map(journal::Torn::place);
    let no_tables = has_no_tables(path);
    if let Some((oldest, _)) = journals.commits.filter(|(oldest, _)| no_tables && *oldest > 1) {
        let why = format!("its first {} commits are missing", oldest - 1);
        return Err(StoreError::Damaged { path: path.to_owned(), why });
    }
    // Without a commit in its journals, a store has them all in its tables, or none is left.
    let newest = journals.commits.map(|(_, newest)| newest).or_else(|| no_tables.then_some(0));
    let missing = newest.and_then(|newest| counted.checked_sub(newest)).filter(|missing| *missing > 0);
    if let Some(commits) = missing {
        return Err(lost(path, commits, torn));
    }
    journals.torn.map_or(Ok(()), |torn| torn.cut())?;
    Ok(torn)
}

/// Whether it is known that nothing was moved out of the journals yet.
fn has_no_tables(path: &Path) -> bool {
    fs::read_dir(path.join(TABLES)).is_ok_and(|mut tables| tables.next().is_none())
}

fn lost(path: &Path, commits: u64, damage: Option<String>) -> StoreError {
    let why = damage.unwrap_or_else(|| "the end of its journal is missing".to_owned());
    StoreError::Lost { path: path.to_owned(), count: beside(path, "commits"), commits, why }
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
        let value = self.guarded(|| self.keyspace.get(key))?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<(Bytes, Bytes)>, StoreError> {
        if from >= to {
            return Ok(Vec::new());
        }
        self.guarded(|| {
            let pairs = self.keyspace.range(from..to).take(limit);
            pairs
                .map(|guard| {
                    let (key, value) = guard.into_inner()?;
                    Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
                })
                .collect()
        })
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
        if let Err(error) = self.guarded(|| writes.commit()) {
            self.poisoned = true;
            return Err(error);
        }
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
    match catch_unwind(AssertUnwindSafe(|| builder.open())) {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(fjall::Error::Locked)) => Err(StoreError::Locked(path.to_owned())),
        Ok(Err(error)) => Err(StoreError::Damaged { path: path.to_owned(), why: error.to_string() }),
        Err(_) => Err(gave_up(path)),
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
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
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

fn at(path: &Path) -> impl Fn(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { path: path.clone(), source }
}

fn gave_up(path: &Path) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), why: "the backend gave up on it".to_owned() }
}

/// Whether the backend read what it did not write; otherwise it could not read or write at all.
fn is_damage(error: &fjall::Error) -> bool {
    use fjall::Error::{Decompress, InvalidTag, InvalidTrailer, Storage, Unrecoverable};
    match error {
        Decompress(_) | InvalidTag(_) | InvalidTrailer | Unrecoverable => true,
        Storage(inside) => {
            let io = Error::source(inside).and_then(|source| source.downcast_ref::<io::Error>());
            io.is_none_or(|io| io.kind() == io::ErrorKind::UnexpectedEof)
        }
        _ => false,
    }
}

fn backend(error: fjall::Error) -> StoreError {
    match error {
        fjall::Error::Poisoned => StoreError::Poisoned,
        error => StoreError::Backend(error.to_string()),
    }
}

mod count;
mod journal;

#[cfg(test)]
mod tests;
