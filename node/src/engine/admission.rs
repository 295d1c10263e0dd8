//! What is to be done with an entry that comes in.

use undertone_protocol::membership::Missing;

use super::circle::Circle;

/// What is to be done with an entry.
pub(super) enum Admission {
    /// It goes into the log of this conversation.
    Taken(Circle),
    /// What it hangs on has not come yet: a contact, a device list, or that this user is in its group.
    Later,
    /// An operation of its group that it names has not come yet; its author's device is asked for it.
    Lacks(Missing),
    /// It is not allowed.
    Refused(&'static str),
    /// This device signed it, but it is not in its store: somebody uses a copy of that.
    NotWritten,
}
