use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tempfile::TempDir;
use undertone_protocol::crypto::AccountState;
use undertone_protocol::ids::{DeviceId, EntryId, PayloadHash, RelayId, Secret, UserId};
use undertone_protocol::time::Timestamp;
use zeroize::Zeroizing;

use super::{OpenError, SqliteStore, open};
use crate::store::{NodeStore, OutboxItem, OutboxRecipient, OutboxState, Purpose, Quarantined, StoreError};

const KEY: Secret = Secret::new([7; 32]);

struct Place {
    _directory: TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("node.db");
    Place { _directory: directory, path }
}

fn error(path: &Path) -> OpenError {
    SqliteStore::open(path, &KEY).unwrap_err()
}

/// The connection of a database that is made, or there, with the settings of a store.
fn connection(path: &Path) -> Connection {
    open::open(path, &KEY).unwrap().0
}

fn fill(store: &mut SqliteStore, payload: &[u8]) {
    let item = Quarantined {
        hash: PayloadHash::of(payload),
        payload: payload.to_vec().into(),
        received: Timestamp::from_ms(1),
    };
    store.transaction(|tx| tx.put_quarantine(&item)).unwrap();
}

#[test]
fn the_settings_hold() {
    let place = place();
    let connection = connection(&place.path);
    let pragma = |name: &str| -> i64 { connection.pragma_query_value(None, name, |row| row.get(0)).unwrap() };
    let text =
        |name: &str| -> String { connection.pragma_query_value(None, name, |row| row.get(0)).unwrap() };
    assert_eq!(text("journal_mode"), "wal");
    assert_eq!(text("locking_mode"), "exclusive");
    assert_eq!(pragma("synchronous"), 2);
    assert_eq!(pragma("secure_delete"), 1);
    assert_eq!(pragma("foreign_keys"), 1);
    assert_eq!(pragma("temp_store"), 2);
    assert_eq!(pragma("user_version"), 11);
    assert!(text("cipher_version").starts_with('4'));
}

#[test]
fn another_key_is_told_apart() {
    let place = place();
    drop(SqliteStore::open(&place.path, &KEY).unwrap());
    let wrong = SqliteStore::open(&place.path, &Secret::new([8; 32])).unwrap_err();
    assert!(matches!(wrong, OpenError::WrongKey), "{wrong:?}");
    // Which changed nothing.
    SqliteStore::open(&place.path, &KEY).unwrap();
}

#[test]
fn other_files_are_told_apart() {
    let place = place();
    fs::write(&place.path, "some text").unwrap();
    assert!(matches!(error(&place.path), OpenError::NotADatabase));
    fs::remove_file(&place.path).unwrap();
    let plain = Connection::open(&place.path).unwrap();
    plain.execute_batch("CREATE TABLE t (c)").unwrap();
    drop(plain);
    assert!(matches!(error(&place.path), OpenError::NotADatabase));
}

#[test]
fn another_programs_database_is_told_apart() {
    let place = place();
    connection(&place.path).execute_batch("PRAGMA application_id = 1").unwrap();
    assert!(matches!(error(&place.path), OpenError::OtherDatabase));
}

#[test]
fn a_newer_database_is_refused() {
    let place = place();
    connection(&place.path).execute_batch("PRAGMA user_version = 99").unwrap();
    let error = error(&place.path);
    assert!(matches!(error, OpenError::Newer { found: 99, known: 11 }), "{error:?}");
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let place = place();
    let error = error(&place.path.join("nowhere").join("node.db"));
    assert!(error.to_string().contains("nowhere"), "{error}");
}

/// Overwrites 64 bytes in each page from `first` on.
fn damage_pages_from(path: &Path, first: u64) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    let pages = file.metadata().unwrap().len() / 4096;
    assert!(pages > first);
    for page in first..pages {
        file.seek(SeekFrom::Start(page * 4096 + 100)).unwrap();
        file.write_all(&[0xaa; 64]).unwrap();
    }
}

#[test]
fn damage_is_noticed() {
    let place = place();
    let mut store = SqliteStore::open(&place.path, &KEY).unwrap();
    fill(&mut store, &[1; 50_000]);
    drop(store);
    damage_pages_from(&place.path, 1);
    match SqliteStore::open(&place.path, &KEY) {
        Err(error) => assert!(matches!(error, OpenError::Damaged(_)), "{error:?}"),
        Ok(mut store) => {
            let error = store.transaction(|tx| tx.quarantine(1)).unwrap_err();
            assert!(matches!(error, StoreError::Damaged { what: "page", .. }), "{error:?}");
        }
    }
    damage_pages_from(&place.path, 0);
    assert!(matches!(error(&place.path), OpenError::WrongKey));
}

#[test]
fn a_database_that_was_cut_off_is_noticed() {
    let place = place();
    drop(SqliteStore::open(&place.path, &KEY).unwrap());
    OpenOptions::new().write(true).open(&place.path).unwrap().set_len(1000).unwrap();
    assert!(matches!(error(&place.path), OpenError::NotADatabase));
}

#[test]
fn one_store_at_a_time_has_the_database() {
    let place = place();
    let store = SqliteStore::open(&place.path, &KEY).unwrap();
    let error = error(&place.path);
    let own = std::process::id();
    assert!(matches!(error, OpenError::InUse { process: Some(process) } if process == own), "{error:?}");
    assert!(error.to_string().contains(&format!("(process {own})")));
    drop(store);
    SqliteStore::open(&place.path, &KEY).unwrap();
}

#[test]
fn nothing_lies_on_disk_in_the_clear() {
    const NEEDLE: &[u8] = b"a needle that is easily found";
    let place = place();
    let mut store = SqliteStore::open(&place.path, &KEY).unwrap();
    fill(&mut store, NEEDLE);
    let state = AccountState::from_bytes(Zeroizing::new(NEEDLE.to_vec()));
    store.transaction(|tx| tx.put_olm_account(&state)).unwrap();
    // Once with the write-ahead log, once without.
    assert_not_in_directory(&place, NEEDLE);
    drop(store);
    assert_not_in_directory(&place, NEEDLE);
}

fn assert_not_in_directory(place: &Place, needle: &[u8]) {
    let mut bytes_read = 0;
    for file in fs::read_dir(place.path.parent().unwrap()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        bytes_read += bytes.len();
        assert!(!bytes.windows(needle.len()).any(|window| window == needle));
        assert!(!bytes.starts_with(b"SQLite format 3"));
    }
    assert!(bytes_read > 4096);
}

#[cfg(unix)]
#[test]
fn the_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let place = place();
    let mut store = SqliteStore::open(&place.path, &KEY).unwrap();
    fill(&mut store, b"something");
    let files: Vec<_> = fs::read_dir(place.path.parent().unwrap()).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 3, "database, write-ahead log, lock");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

/// What a kill -9 leaves: the files as they are while the store is open.
#[test]
fn commits_survive_a_process_that_ends_at_once() {
    let place = place();
    let mut store = SqliteStore::open(&place.path, &KEY).unwrap();
    fill(&mut store, b"committed");
    let after = self::place();
    for suffix in ["", "-wal"] {
        let name = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        fs::copy(name(&place.path), name(&after.path)).unwrap();
    }
    let mut store = SqliteStore::open(&after.path, &KEY).unwrap();
    let quarantine = store.transaction(|tx| tx.quarantine(9)).unwrap();
    assert_eq!(quarantine.len(), 1);
}

#[test]
fn a_damaged_record_is_named() {
    let place = place();
    connection(&place.path)
        .execute_batch("INSERT INTO quarantine (hash, received, payload) VALUES (x'0102', 0, x'00')")
        .unwrap();
    let mut store = SqliteStore::open(&place.path, &KEY).unwrap();
    let error = store.transaction(|tx| tx.quarantine(1)).unwrap_err();
    let text = "a damaged payload in quarantine (PayloadHash must be 32 bytes, got 2)";
    assert!(error.to_string().contains(text), "{error}");
}

fn plan(connection: &Connection, sql: &str) -> String {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let nulls = vec![rusqlite::types::Null; statement.parameter_count()];
    let rows = statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get::<_, String>(3));
    rows.unwrap().map(Result::unwrap).collect::<Vec<_>>().join("; ")
}

#[test]
fn pages_of_a_log_come_from_an_index() {
    let place = place();
    let connection = connection(&place.path);
    for (sql, index) in [
        (
            "SELECT header FROM entries WHERE conversation = ? AND (effective, device, id) < (?, ?, ?) \
             AND NOT EXISTS (SELECT 1 FROM cuts WHERE cuts.conversation = entries.conversation \
             AND cuts.device = entries.device AND entries.seq > cuts.through) \
             AND NOT EXISTS (SELECT 1 FROM voids WHERE voids.entry = entries.id) \
             ORDER BY effective DESC, device DESC, id DESC LIMIT ?",
            "entries_in_order",
        ),
        (
            "SELECT header FROM entries WHERE conversation = ? AND device = ? AND seq >= ? \
             ORDER BY seq, id LIMIT ?",
            "entries_by_seq",
        ),
        (
            "SELECT conversation FROM own_receipts WHERE due = 1 OR own_due = 1 ORDER BY conversation",
            "own_receipts_due",
        ),
        (
            "SELECT entry FROM account_changes WHERE user = ? AND is_put = 1 AND is_replaced = 0 ORDER BY entry",
            "account_changes_standing",
        ),
        (
            "SELECT id FROM entries WHERE conversation = ? AND is_head = 1 \
             ORDER BY effective DESC, device DESC, id DESC LIMIT ?",
            "entries_heads",
        ),
        (
            "SELECT kind, device FROM annotations WHERE conversation = ? AND target = ? \
             AND (kind, device) > (?, ?) ORDER BY kind, device LIMIT 1",
            "PRIMARY KEY (conversation=? AND target=? AND (kind,device)>(?,?))",
        ),
        (
            "SELECT entry FROM annotations WHERE conversation = ? AND target = ? AND kind = ? AND device = ? \
             AND seq <= ? AND NOT EXISTS (SELECT 1 FROM voids WHERE voids.entry = annotations.entry) \
             ORDER BY seq DESC, entry DESC LIMIT 1",
            "PRIMARY KEY",
        ),
        (
            "SELECT header FROM entries WHERE +conversation = ? AND id BETWEEN ? AND ? ORDER BY id LIMIT ?",
            "(id>? AND id<?)",
        ),
        ("SELECT user FROM members WHERE conversation = ? ORDER BY user", "sqlite_autoindex_members_1"),
        ("SELECT conversation FROM members WHERE user = ? ORDER BY conversation", "members_by_user"),
        ("SELECT item FROM outbox_recipients WHERE device = ? AND item > ?", "outbox_recipients_by_device"),
        ("SELECT id FROM outbox WHERE pending > 0 AND id > ? ORDER BY id LIMIT ?", "outbox_pending"),
        (
            "SELECT id, publish, purpose, subject, class, created, payload FROM outbox \
             JOIN outbox_payloads ON item = id WHERE pending > 0 AND id > ? ORDER BY id LIMIT ?",
            "outbox_pending",
        ),
        (
            "SELECT position FROM outbox_recipients WHERE device = ? AND item = ?",
            "outbox_recipients_by_device",
        ),
        (
            "SELECT id FROM outbox WHERE purpose = ? AND subject = ? ORDER BY id DESC LIMIT 1",
            "outbox_by_purpose",
        ),
        (
            "SELECT max(moment) FROM outbox_recipients INDEXED BY outbox_recipients_awaited \
             WHERE item = ? AND awaited = 1",
            "outbox_recipients_awaited",
        ),
        (
            "SELECT entry FROM deliveries WHERE conversation = ? AND sealed = 0 AND failure IS NULL \
             ORDER BY seq, entry LIMIT ?",
            "deliveries_unsealed",
        ),
    ] {
        let plan = plan(&connection, sql);
        let whole = ["TEMP B-TREE", "SCAN cuts", "SCAN voids"].iter().any(|step| plan.contains(step));
        assert!(plan.contains(index) && !whole, "{sql}: {plan}");
    }
}

/// What a step of one recipient changes does not depend on how many there are.
#[test]
fn a_step_of_one_recipient_changes_few_rows() {
    let changes = |recipients: u64| {
        let place = place();
        let mut store = SqliteStore::open(&place.path, &KEY).unwrap();
        let device = |n: u64| DeviceId::new(*PayloadHash::of(&n.to_be_bytes()).as_bytes());
        // Two devices each.
        let user = |n: u64| UserId::new(*PayloadHash::of(&(n / 2).to_be_bytes()).as_bytes());
        let (relay, until) = (RelayId::new([1; 32]), Timestamp::from_ms(9));
        let state = OutboxState::Custody { relay, held_until: until };
        let recipient = |n| OutboxRecipient { device: device(n), user: user(n), state };
        let item = OutboxItem {
            id: 0,
            group: 0,
            purpose: Purpose::Entry(EntryId::new([1; 32])),
            class: 0,
            payload: vec![0; 1_000].into(),
            recipients: (0..recipients).map(recipient).collect(),
            created: Timestamp::from_ms(1),
        };
        let id = store.transaction(|tx| tx.put_outbox(&item)).unwrap();
        let total = |store: &SqliteStore| -> i64 {
            store.connection.query_row("SELECT total_changes()", [], |row| row.get(0)).unwrap()
        };
        let before = total(&store);
        let step = [(device(3), OutboxState::Acknowledged)];
        store.transaction(|tx| tx.set_outbox_recipients(id, &step)).unwrap();
        total(&store) - before
    };
    let few = changes(8);
    assert_eq!(changes(3_000), few);
    // The recipient's row, that of the user's other device, and the item's.
    assert!(few <= 3, "{few}");
}
