use std::path::PathBuf;

/// Why the store did not do as told. The operator, the disk or a bug is at fault, never a client.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The backend failed; most often the disk is full or broken.
    #[error("the store failed: {0}")]
    Backend(String),
    /// A file operation around the store failed.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// An earlier write failed, so nothing more is accepted: the operator restarts the relay, which
    /// recovers what was committed.
    #[error(
        "an earlier write failed: the relay must be restarted before it can store again. If that does not help, \
         its disk is full or broken, or the store is damaged: then restore it from a copy"
    )]
    Poisoned,
    /// Another process has the store open.
    #[error("{0} is in use by another process")]
    Locked(PathBuf),
    /// The directory holds something that is no store of a relay.
    #[error("{0} is no relay store: choose an empty or missing directory, or the one that a relay made")]
    Foreign(PathBuf),
    /// The backend can't read its own files.
    #[error(
        "the store at {} is damaged ({why}): restore it from a copy, or move it away and start with an \
         empty one; devices then register again by themselves, and the envelopes that it held are gone",
        .path.display()
    )]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What the backend said.
        why: String,
    },
    /// Commits that were acknowledged are not in the store's journal any more.
    #[error(
        "the store at {path} lost its last {commits} commits, which were acknowledged: its journal is damaged ({why}). \
         Restore store and {count} from a copy; or remove {count} to go on with what is left",
        count = .count.display(), path = .path.display()
    )]
    Lost {
        /// The store.
        path: PathBuf,
        /// Where the commits are counted.
        count: PathBuf,
        /// How many are missing.
        commits: u64,
        /// What is wrong with the journal.
        why: String,
    },
    /// A record breaks its format.
    #[error("a stored {what} is corrupt: restore the store from a copy, or start a new one")]
    Corrupt {
        /// Which record.
        what: &'static str,
    },
    /// The store was written in another format.
    #[error("the store has format {found}, this build reads format {expected}")]
    Format {
        /// The format that the store has.
        found: u32,
        /// The format of this build.
        expected: u32,
    },
}
