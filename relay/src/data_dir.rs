//! What lies in a relay's data directory beside the store.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// A data directory.
#[derive(Debug, Clone)]
pub(crate) struct DataDir(PathBuf);

impl DataDir {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The relay's key.
    pub(crate) fn key(&self) -> PathBuf {
        self.0.join("relay.key")
    }

    /// The store's own directory.
    pub(crate) fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    /// The addresses that the running relay listens on, one a line, with its key.
    pub(crate) fn listen(&self) -> PathBuf {
        self.0.join("listen")
    }

    /// Where the running relay answers `status`.
    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }

    /// Makes the directory, for its owner alone.
    pub(crate) fn create(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)
    }

    /// Takes the directory for this process; the lock ends with the file, or with the process.
    pub(crate) fn lock(&self) -> anyhow::Result<File> {
        let path = self.0.join("lock");
        let file = File::create(&path).with_context(|| format!("can't create {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                bail!("{} is in use by another undertone-relay", self.0.display())
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("can't lock {}", path.display()))
            }
        }
    }

    /// Removes what an earlier run left to be found while it ran. The lock must be held.
    pub(crate) fn clear(&self) -> anyhow::Result<()> {
        for path in [self.listen(), self.socket()] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("can't remove {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes the addresses, so that a reader sees all of them or no file.
    pub(crate) fn publish(&self, addresses: &[String]) -> anyhow::Result<()> {
        let path = self.listen();
        let draft = self.0.join("listen.new");
        let mut text = addresses.join("\n");
        text.push('\n');
        File::create(&draft)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .and_then(|()| fs::rename(&draft, &path))
            .with_context(|| format!("can't write {}", path.display()))
    }
}
