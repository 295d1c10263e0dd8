use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use undertone_protocol::ids::Secret;
use zeroize::Zeroizing;

use super::error::OpenError;
use super::schema::migrate;
use crate::disk::{private, sync_parent};

/// Statements that stay prepared.
const STATEMENTS_CACHED_MAX: usize = 128;
/// How a database begins that is not encrypted.
const PLAIN_HEADER: &[u8] = b"SQLite format 3\0";
/// An encrypted database is made of whole pages.
const PAGE_BYTES: u64 = 4_096;
/// Digits of a process id, and some.
const HOLDER_BYTES_MAX: u64 = 32;

/// Opens the database at `path`, or makes it; nobody else can have it open meanwhile.
pub(super) fn open(path: &Path, key: &Secret) -> Result<(Connection, File), OpenError> {
    let lock = lock(&with_suffix(path, ".lock"))?;
    create(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_CACHED_MAX);
    // What goes wrong is returned; SQLCipher would write it to the standard error too.
    connection.execute_batch("PRAGMA cipher_log_level = NONE")?;
    unlock(&connection, key)?;
    connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY;")?;
    check_key(&connection, path)?;
    configure(&connection)?;
    migrate(&mut connection)?;
    Ok((connection, lock))
}

/// The lock ends with the process, however it ends.
fn lock(path: &Path) -> Result<File, OpenError> {
    let disk = |error| OpenError::Disk { path: path.to_owned(), error };
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = private(&mut options).open(path).map_err(disk)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(OpenError::InUse { process: holder(&mut file) }),
        Err(TryLockError::Error(error)) => return Err(disk(error)),
    }
    file.set_len(0)
        .and_then(|()| file.seek(SeekFrom::Start(0)))
        .and_then(|_| file.write_all(std::process::id().to_string().as_bytes()))
        .map_err(disk)?;
    Ok(file)
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(HOLDER_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// An empty file, which is an empty database; its name survives a power cut.
fn create(path: &Path) -> Result<(), OpenError> {
    let disk = |error| OpenError::Disk { path: path.to_owned(), error };
    match private(OpenOptions::new().write(true).create_new(true)).open(path) {
        Ok(file) => file.sync_all().and_then(|()| sync_parent(path)).map_err(disk),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(disk(error)),
    }
}

/// Gives SQLCipher the key as it is: no derivation, it is random already.
fn unlock(connection: &Connection, key: &Secret) -> Result<(), OpenError> {
    const BEFORE: &str = "PRAGMA key = \"x'";
    // Sized beforehand, so that growing leaves no copy of the key behind.
    let mut pragma = Zeroizing::new(String::with_capacity(BEFORE.len() + 2 * Secret::LEN + 3));
    pragma.push_str(BEFORE);
    data_encoding::HEXLOWER.encode_append(key.expose(), &mut pragma);
    pragma.push_str("'\";");
    Ok(connection.execute_batch(&pragma)?)
}

/// Reads the first page, which only the right key decrypts.
fn check_key(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let read = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
    match read {
        Ok(_) => Ok(()),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => Err(not_opened(path)),
        Err(error) => Err(error.into()),
    }
}

fn not_opened(path: &Path) -> OpenError {
    let disk = |error| OpenError::Disk { path: path.to_owned(), error };
    let read = || {
        let mut start = Vec::new();
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        file.take(limit_of(PLAIN_HEADER)).read_to_end(&mut start)?;
        Ok((start, length))
    };
    match read() {
        Ok((start, length)) if start == PLAIN_HEADER || length % PAGE_BYTES != 0 => OpenError::NotADatabase,
        Ok(_) => OpenError::WrongKey,
        Err(error) => disk(error),
    }
}

const fn limit_of(header: &[u8]) -> u64 {
    header.len() as u64
}

fn configure(connection: &Connection) -> Result<(), OpenError> {
    // FULL syncs the write-ahead log at every commit: a commit survives a power cut.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON; \
         PRAGMA foreign_keys = ON;",
    )?;
    let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if mode != "wal" {
        return Err(OpenError::Damaged(format!("journal mode {mode} in the place of WAL")));
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
