//! What is to be done with an entry that comes in.

use super::circle::Circle;

/// What is to be done with an entry.
pub(super) enum Admission {
    /// It goes into the log of this conversation.
    Taken(Circle),
    /// What it hangs on has not come yet: a contact, a device list, or operations of a group.
    Later,
    /// It is not allowed.
    Refused(&'static str),
    /// This device signed it, but it is not in its store: somebody uses a copy of that.
    NotWritten,
}
