use undertone_protocol::entry::SignedEntry;
use undertone_protocol::ids::EntryId;
use undertone_protocol::time::Timestamp;

/// An entry in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEntry {
    /// The entry.
    pub entry: SignedEntry,
    /// Its effective time, for the order; it can move while parents are missing.
    pub effective: Timestamp,
    /// When it came to this device, or was made here.
    pub received: Timestamp,
}

/// Where a device's part of a conversation ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Entries of the device with higher numbers do not count.
    pub through: u64,
    /// The entry with that number that counts; `None` when none does.
    pub head: Option<EntryId>,
    /// Why it ends there.
    pub why: CutReason,
}

/// Why a device's entries end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutReason {
    /// Its user revoked it.
    Revoked,
    /// It made two entries of one number.
    Forked,
}
