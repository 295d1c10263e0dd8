use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::disk::{private, sync_directory};

/// An `api.json` has about 150 bytes.
const FILE_BYTES_MAX: u64 = 4_096;

/// Where a running node's API is, and what opens it: `api.json` in the account's directory.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiFile {
    /// `ws://127.0.0.1:PORT`.
    pub url: String,
    /// 64 digits in hexadecimal, new at every start.
    pub token: String,
    /// The node's process.
    pub pid: u32,
}

/// Why `api.json` can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The disk refuses.
    #[error("{}: {error}", .path.display())]
    Disk {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file makes no sense.
    #[error("{} is damaged ({error}): remove it", .path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: serde_json::Error,
    },
}

impl ApiFile {
    /// Its name in the directory `home`.
    pub fn path(home: &Path) -> PathBuf {
        home.join("api.json")
    }

    /// What the file in `home` says; `None` when there is none.
    pub fn read(home: &Path) -> Result<Option<Self>, FileError> {
        let path = Self::path(home);
        let mut text = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut text));
        match read {
            Ok(_) => match serde_json::from_slice(&text) {
                Ok(file) => Ok(Some(file)),
                Err(error) => Err(FileError::Damaged { path, error }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::Disk { path, error }),
        }
    }

    /// Puts the file into `home`, whole or not at all, in the place of an older one.
    pub(super) fn write(&self, home: &Path) -> Result<(), FileError> {
        let path = Self::path(home);
        let temporary = home.join("api.json.new");
        write(&temporary, &self.to_text())
            .and_then(|()| fs::rename(&temporary, &path))
            .and_then(|()| sync_directory(home))
            .map_err(|error| FileError::Disk { path, error })
    }

    /// Takes the file out of `home`, if it is still this one.
    pub(super) fn remove(&self, home: &Path) {
        if matches!(Self::read(home), Ok(Some(file)) if file == *self)
            && let Err(error) = fs::remove_file(Self::path(home))
        {
            tracing::warn!(%error, "api.json can't be removed");
        }
    }

    fn to_text(&self) -> String {
        // It fails for maps with other keys than text only.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl std::fmt::Debug for ApiFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiFile").field("url", &self.url).field("pid", &self.pid).finish_non_exhaustive()
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    // What a killed process left; made anew, so that its rights are this one's.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private(OpenOptions::new().write(true).create_new(true)).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
