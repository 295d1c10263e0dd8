use std::io;

use undertone_protocol::keys::RecoveryPhraseError;

use crate::account::AccountError;
use crate::command::ErrorKind;
use crate::engine::{LoadError, SetupError};
use crate::store::{OpenError, StoreError};

/// Why a node can't start, or stopped of itself.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The account can't be made or unlocked; says who is at fault.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The database can't be opened; says who is at fault.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What was given to recover an identity is no phrase.
    #[error("this can't be your recovery phrase: {0}")]
    Phrase(RecoveryPhraseError),
    /// The database holds nothing to start from.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The store failed again and again. The disk is at fault, or whoever altered the file.
    #[error(
        "the store failed {failures} times in a row ({error}): check the disk, then start the node again"
    )]
    Store {
        /// How often.
        failures: u32,
        /// The last failure.
        error: String,
    },
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness: {0}")]
    Randomness(#[from] getrandom::Error),
    /// The operating system gives no thread or no files to wait on.
    #[error("the node's thread can't be started: {0}")]
    Thread(io::Error),
    /// What is to be shown can't be written.
    #[error("the recovery phrase can't be shown ({0}): no account was made")]
    Show(io::Error),
    /// A bug.
    #[error("the node's thread failed: this is a bug in Undertone; its log has more")]
    Crashed,
}

impl NodeError {
    /// What kind of error it is, for exit codes.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Account(
                AccountError::Missing(_) | AccountError::WrongPassphrase | AccountError::EmptyPassphrase,
            )
            | Self::Phrase(_)
            | Self::Load(LoadError::NoAccount) => ErrorKind::Invalid,
            Self::Account(AccountError::Exists(_) | AccountError::BeingCreated(_))
            | Self::Open(OpenError::InUse { .. }) => ErrorKind::Conflict,
            _ => ErrorKind::Internal,
        }
    }
}

impl From<SetupError> for NodeError {
    fn from(error: SetupError) -> Self {
        match error {
            SetupError::Phrase(error) => Self::Phrase(error),
            SetupError::Store(error) => error.into(),
        }
    }
}

impl From<StoreError> for NodeError {
    fn from(error: StoreError) -> Self {
        Self::Load(LoadError::Store(error))
    }
}
