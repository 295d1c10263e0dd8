use std::path::{Path, PathBuf};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::ensure;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use undertone::account::{self, AccountError};
use undertone::store::{MemoryStore, NodeStore, SqliteStore};

use super::messages::Author;
use super::record::{IDLE, Said, say};

const PASSPHRASE: &str = "a passphrase";

fn home(dir: &Path) -> PathBuf {
    dir.join("account")
}

/// Makes the account if there is none, and writes one message after the other.
pub(super) fn write(dir: &Path) -> anyhow::Result<()> {
    let author = Author::new();
    let mut store = open_or_create(&home(dir), &author)?;
    let (mut number, mut last) = store.transaction(|tx| author.last(tx))?;
    say(&[Said::Opened(vec![number])])?;
    thread::sleep(IDLE);
    loop {
        number += 1;
        last = Some(store.transaction(|tx| author.write(tx, number, last))?);
        say(&[Said::Kept(0, number)])?;
    }
}

/// As `undertone init` and `undertone run` do.
fn open_or_create(home: &Path, author: &Author) -> anyhow::Result<SqliteStore> {
    match account::check_exists(home) {
        Ok(()) => open(home),
        Err(AccountError::Missing(_)) => create(home, author),
        Err(error) => Err(error.into()),
    }
}

fn open(home: &Path) -> anyhow::Result<SqliteStore> {
    let key = account::unlock(home, PASSPHRASE)?;
    Ok(SqliteStore::open(&account::database_path(home), &key)?)
}

fn create(home: &Path, author: &Author) -> anyhow::Result<SqliteStore> {
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() as u64;
    let creation = account::create(home, PASSPHRASE, &mut ChaCha20Rng::seed_from_u64(seed))?;
    let mut store = SqliteStore::open(&creation.database_path(), creation.key())?;
    let account = author.account()?;
    store.transaction(|tx| tx.put_account(&account))?;
    creation.finish()?;
    Ok(store)
}

/// Compares the database with a store in memory that did the same.
pub(super) fn check(dir: &Path, opened: bool) -> anyhow::Result<Vec<u64>> {
    let author = Author::new();
    let home = home(dir);
    let mut store = if opened { open(&home)? } else { open_or_create(&home, &author)? };
    let (last, _) = store.transaction(|tx| author.last(tx))?;
    let held = store.transaction(|tx| author.held(tx))?;
    let account = author.account()?;
    let expected = MemoryStore::default().transaction(|tx| {
        tx.put_account(&account)?;
        let mut prev = None;
        for number in 1..=last {
            prev = Some(author.write(tx, number, prev)?);
        }
        author.held(tx)
    })?;
    let different = held.difference(&expected);
    ensure!(different.is_empty(), "after {last} messages, not as it must be: {}", different.join(", "));
    Ok(vec![last])
}
