use std::io;
use std::path::PathBuf;

/// Why an account is not created or not unlocked.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The directory holds no account. The user is at fault.
    #[error("no account in {}: create one with `undertone init`", .0.display())]
    Missing(PathBuf),
    /// The directory holds an account already. The user is at fault.
    #[error("an account exists already in {}: give `--home DIR` for another one", .0.display())]
    Exists(PathBuf),
    /// Another process creates an account there at this moment.
    #[error("an account is being created in {} by another process", .0.display())]
    BeingCreated(PathBuf),
    /// A database is there but its key file is gone.
    #[error(
        "{} has a database but no `account.key`, which alone opens it: put the key file back, or move the database away",
        .0.display()
    )]
    KeyFileLost(PathBuf),
    /// The user is at fault; or somebody altered the key file.
    #[error(
        "wrong passphrase: nothing was opened or changed; try again, or give another `--passphrase-file`"
    )]
    WrongPassphrase,
    /// The user is at fault.
    #[error("the passphrase is empty: choose one of one character or more, it locks all that is stored here")]
    EmptyPassphrase,
    /// The key file makes no sense.
    #[error("{} is damaged ({why}): restore it from a backup", .path.display())]
    DamagedKeyFile {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A newer build made the key file.
    #[error("{} has version {found}, this build knows {known}: update Undertone", .path.display())]
    NewerKeyFile {
        /// The key file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// What this build knows.
        known: u32,
    },
    /// There is not enough memory to derive a key from the passphrase.
    #[error("the key can't be derived from the passphrase: {0}")]
    Derivation(String),
    /// The disk refuses.
    #[error("{}: {error}", .path.display())]
    Disk {
        /// Which file or directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}
