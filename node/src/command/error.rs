//! Why a command was not carried out.

/// Why a command was not carried out: nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// What kind of error.
    pub kind: ErrorKind,
    /// What was wrong and what to do.
    pub message: String,
}

/// Kinds of errors, for programs; also the exit codes of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// What was given makes no sense.
    Invalid,
    /// No such contact, or device.
    Unknown,
    /// Not possible as things stand.
    Conflict,
    /// A limit would be passed.
    Limit,
    /// A relay or contact refused.
    Refused,
    /// The node failed.
    Internal,
}

impl ErrorKind {
    /// The exit code of the command line, and the code of the local API's error (negated, below -32000).
    pub const fn code(self) -> u8 {
        match self {
            Self::Internal => 1,
            Self::Invalid => 3,
            Self::Unknown => 4,
            Self::Conflict => 5,
            Self::Limit => 6,
            Self::Refused => 7,
        }
    }

    /// The kind with this code.
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Internal,
            3 => Self::Invalid,
            4 => Self::Unknown,
            5 => Self::Conflict,
            6 => Self::Limit,
            7 => Self::Refused,
            _ => return None,
        })
    }
}

impl CommandError {
    /// An error of a kind with its text.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}
