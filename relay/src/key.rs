//! The relay's Ed25519 key: its identity, and what it signs custody receipts with.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use undertone_protocol::ids::Secret;
use undertone_transport::Identity;
use zeroize::Zeroizing;

/// Hexadecimal digits of a key.
const DIGITS: usize = 2 * Secret::LEN;
/// More than a key file can have, in bytes.
const FILE_BYTES_MAX: u64 = 256;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// The operator has to look after the file.
    #[error("the relay's key {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// There is one already; another one would make this another relay.
    #[error("{0} exists already; a relay keeps its key for life, so nothing was changed")]
    Exists(PathBuf),
    #[error("the relay's key {0} is missing: `undertone-relay init` makes one, or restore it from a copy")]
    Missing(PathBuf),
    #[error("the relay's key {0} is no key: it must hold {DIGITS} hexadecimal digits")]
    Malformed(PathBuf),
    #[error("the relay's key {0} can be read by others: run `chmod 600` on it")]
    Exposed(PathBuf),
}

/// Makes a new key in a new file that only its owner may read.
pub(crate) fn create(path: &Path, secret: &Secret) -> Result<(), KeyError> {
    let text = Zeroizing::new(data_encoding::HEXLOWER.encode(secret.expose()) + "\n");
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()));
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyError::Exists(path.to_owned()),
        _ => KeyError::Io { path: path.to_owned(), source },
    })
}

/// Reads the key from its file.
pub(crate) fn load(path: &Path) -> Result<Secret, KeyError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => KeyError::Missing(path.to_owned()),
        _ => KeyError::Io { path: path.to_owned(), source },
    };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(KeyError::Exposed(path.to_owned()));
    }
    let mut text = Zeroizing::new(Vec::new());
    file.take(FILE_BYTES_MAX).read_to_end(&mut text).map_err(failed)?;
    let digits = text.trim_ascii();
    data_encoding::HEXLOWER_PERMISSIVE
        .decode(digits)
        .map(Zeroizing::new)
        .ok()
        .and_then(|bytes| Secret::from_slice(&bytes).ok())
        .ok_or_else(|| KeyError::Malformed(path.to_owned()))
}

/// As the transport wants it.
pub(crate) fn identity(secret: &Secret) -> Identity {
    Identity::from_secret(secret)
}

/// As the machine wants it.
pub(crate) fn signing_key(secret: &Secret) -> SigningKey {
    SigningKey::from_bytes(secret.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_written_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("relay.key");
        assert!(matches!(load(&path), Err(KeyError::Missing(_))));
        let secret = Secret::new([7; 32]);
        create(&path, &secret).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(load(&path).unwrap() == secret);
        assert!(matches!(create(&path, &Secret::new([8; 32])), Err(KeyError::Exists(_))));
        assert!(load(&path).unwrap() == secret);
        assert_eq!(identity(&secret).relay_id().as_bytes(), signing_key(&secret).verifying_key().as_bytes());
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_cut_short_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("relay.key");
        create(&path, &Secret::new([7; 32])).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(load(&path), Err(KeyError::Exposed(_))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "0707").unwrap();
        assert!(matches!(load(&path), Err(KeyError::Malformed(_))));
    }
}
