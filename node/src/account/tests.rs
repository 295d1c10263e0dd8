use std::fs;
use std::path::Path;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use serde_json::{Value, json};
use tempfile::TempDir;
use undertone_protocol::ids::Secret;

use super::{AccountError, Creation, check_exists, create, database_path, unlock};

const PASSPHRASE: &str = "correct horse";

fn begin(home: &Path, seed: u8) -> Result<Creation, AccountError> {
    create(home, PASSPHRASE, &mut ChaCha20Rng::from_seed([seed; 32]))
}

fn make(home: &Path) -> Secret {
    begin(home, 1).unwrap().finish().unwrap()
}

fn names(home: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(home).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Changes one value of the key file.
fn alter(home: &Path, pointer: &str, value: Value) {
    let path = home.join("account.key");
    let mut file: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    *file.pointer_mut(pointer).unwrap() = value;
    fs::write(&path, file.to_string()).unwrap();
}

#[test]
fn the_passphrase_gives_the_key_back() {
    let directory = TempDir::new().unwrap();
    let home = directory.path().join("deep").join("home");
    let key = make(&home);
    assert_eq!(unlock(&home, PASSPHRASE).unwrap(), key);
    assert!(matches!(unlock(&home, "wrong horse"), Err(AccountError::WrongPassphrase)));
    assert_eq!(names(&home), ["account.key"]);
    let file = fs::read_to_string(home.join("account.key")).unwrap();
    assert!(!file.contains(&data_encoding::HEXLOWER.encode(key.expose())));
}

#[cfg(unix)]
#[test]
fn the_account_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let home = TempDir::new().unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    make(home.path());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(home.path()), 0o700);
    assert_eq!(mode(&home.path().join("account.key")), 0o600);
}

#[test]
fn there_is_one_account_in_a_home() {
    let home = TempDir::new().unwrap();
    assert!(matches!(unlock(home.path(), PASSPHRASE), Err(AccountError::Missing(_))));
    let key = make(home.path());
    assert!(matches!(begin(home.path(), 2), Err(AccountError::Exists(_))));
    assert_eq!(unlock(home.path(), PASSPHRASE).unwrap(), key);
    assert_eq!(names(home.path()), ["account.key"]);
}

#[test]
fn an_unfinished_creation_is_repeated() {
    let home = TempDir::new().unwrap();
    let creation = begin(home.path(), 1).unwrap();
    fs::write(creation.database_path(), "of the first key").unwrap();
    let first = creation.key().clone();
    drop(creation);
    assert!(matches!(unlock(home.path(), PASSPHRASE), Err(AccountError::Missing(_))));
    let second = begin(home.path(), 2).unwrap();
    assert!(!database_path(home.path()).exists());
    let key = second.finish().unwrap();
    assert_ne!(key, first);
    assert_eq!(unlock(home.path(), PASSPHRASE).unwrap(), key);
}

#[test]
fn two_creations_do_not_mix() {
    let home = TempDir::new().unwrap();
    let creation = begin(home.path(), 1).unwrap();
    assert!(matches!(begin(home.path(), 2), Err(AccountError::BeingCreated(_))));
    let key = creation.finish().unwrap();
    assert_eq!(unlock(home.path(), PASSPHRASE).unwrap(), key);
}

#[test]
fn a_database_whose_key_file_is_gone_is_left_alone() {
    let home = TempDir::new().unwrap();
    fs::write(database_path(home.path()), "precious").unwrap();
    assert!(matches!(begin(home.path(), 1), Err(AccountError::KeyFileLost(_))));
    assert!(matches!(unlock(home.path(), PASSPHRASE), Err(AccountError::KeyFileLost(_))));
    assert!(matches!(check_exists(home.path()), Err(AccountError::KeyFileLost(_))));
    assert_eq!(names(home.path()), ["undertone.db"]);
    assert_eq!(fs::read_to_string(database_path(home.path())).unwrap(), "precious");
}

#[test]
fn an_empty_passphrase_is_refused() {
    let home = TempDir::new().unwrap();
    let refused = create(home.path(), "", &mut ChaCha20Rng::from_seed([1; 32]));
    assert!(matches!(refused, Err(AccountError::EmptyPassphrase)));
    assert_eq!(names(home.path()), [""; 0]);
}

#[test]
fn an_altered_key_file_takes_nothing() {
    let home = TempDir::new().unwrap();
    make(home.path());
    let file = fs::read(home.path().join("account.key")).unwrap();
    for (pointer, value) in [
        ("/argon2id/memory_kib", json!(u32::MAX)),
        ("/argon2id/passes", json!(17)),
        ("/argon2id/lanes", json!(17)),
        ("/salt", json!("00")),
        ("/nonce", json!("no hexadecimal")),
        ("/key", json!("00".repeat(47))),
    ] {
        alter(home.path(), pointer, value);
        let error = unlock(home.path(), PASSPHRASE).unwrap_err();
        assert!(matches!(error, AccountError::DamagedKeyFile { .. }), "{pointer}: {error:?}");
        fs::write(home.path().join("account.key"), &file).unwrap();
    }
    // A cheaper derivation gives another key, and the sealed key names what it was sealed under.
    alter(home.path(), "/argon2id/memory_kib", json!(8));
    assert!(matches!(unlock(home.path(), PASSPHRASE), Err(AccountError::WrongPassphrase)));
}

#[test]
fn what_is_no_key_file_is_said() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("account.key");
    for bytes in [b"".as_slice(), b"{}", b"\xff\xfe", b"{\"version\": 1}", "x".repeat(9_999).as_bytes()] {
        fs::write(&path, bytes).unwrap();
        let error = unlock(home.path(), PASSPHRASE).unwrap_err();
        assert!(matches!(error, AccountError::DamagedKeyFile { .. }), "{error:?}");
    }
    fs::write(&path, b"{\"version\": 2}").unwrap();
    let error = unlock(home.path(), PASSPHRASE).unwrap_err();
    assert!(matches!(error, AccountError::NewerKeyFile { found: 2, known: 1, .. }), "{error:?}");
}

/// What an earlier build wrote: see `node/recorded/README.md`.
#[test]
fn a_recorded_key_file_is_opened() {
    let home = TempDir::new().unwrap();
    fs::write(home.path().join("account.key"), include_str!("../../recorded/account.key")).unwrap();
    assert_eq!(unlock(home.path(), "correct horse, Übergröße").unwrap(), Secret::new([7; 32]));
    assert!(matches!(unlock(home.path(), "correct horse, Ubergroße"), Err(AccountError::WrongPassphrase)));
    // Each parameter is bound to the key: a file that was altered is not opened.
    alter(home.path(), "/argon2id/passes", json!(4));
    assert!(matches!(unlock(home.path(), "correct horse, Übergröße"), Err(AccountError::WrongPassphrase)));
}
