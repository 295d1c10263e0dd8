//! The shape of a command's answer.

use super::waiters::Condition;
use crate::command::{CommandError, ErrorKind, Response};
use crate::store::StoreError;

pub(super) type Answer = Result<Reply, CommandError>;

/// An answer, or what it waits for.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(super) enum Reply {
    Now(Response),
    Later(Condition),
}

pub(super) fn now(response: Response) -> Result<Answer, StoreError> {
    Ok(Ok(Reply::Now(response)))
}

pub(super) fn later(condition: Condition) -> Result<Answer, StoreError> {
    Ok(Ok(Reply::Later(condition)))
}

pub(super) fn error(kind: ErrorKind, message: impl Into<String>) -> Result<Answer, StoreError> {
    Ok(Err(CommandError::new(kind, message)))
}
