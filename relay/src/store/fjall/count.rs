//! How many commits are known to be durable, in a file beside the store.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::store::StoreError;

/// The number and its complement, so that a torn write shows.
const BYTES: usize = 16;

/// The file. It is written after the commit that it counts is durable, and is not synced itself: after a
/// power cut it may count fewer, never more.
pub(super) struct CommitCount(File);

impl CommitCount {
    /// Opens the file, or makes it; gives the number in it, 0 where none can be read.
    pub(super) fn open(path: PathBuf) -> Result<(Self, u64), StoreError> {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let file = file.map_err(|source| StoreError::Io { path, source })?;
        let mut bytes = [0; BYTES];
        let counted = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => decode(bytes),
            Err(_) => 0,
        };
        Ok((Self(file), counted))
    }

    /// Counts a commit. A disk that refuses only weakens the check.
    pub(super) fn set(&self, commits: u64) {
        if let Err(error) = self.0.write_all_at(&encode(commits), 0) {
            tracing::warn!(%error, "could not count a commit");
        }
    }
}

fn encode(commits: u64) -> [u8; BYTES] {
    ((u128::from(commits) << 64) | u128::from(!commits)).to_be_bytes()
}

fn decode(bytes: [u8; BYTES]) -> u64 {
    let both = u128::from_be_bytes(bytes);
    let commits = u64::try_from(both >> 64).unwrap_or(0);
    if encode(commits) == bytes { commits } else { 0 }
}
