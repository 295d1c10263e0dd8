use undertone_protocol::entry::{ActKind, Content, SignedEntry};
use undertone_protocol::ids::EntryId;
use undertone_protocol::limits::LOST_AFTER_DAYS;
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

/// When an entry expires that still says something.
pub(in crate::store) fn expiry(entry: &SignedEntry) -> Option<Timestamp> {
    entry.header.expires.filter(|_| !entry.body.is_gone())
}

/// What a content says of other entries, for an index: which, and what is done to them; `None`: hidden.
pub(in crate::store) fn said(content: &Content) -> Vec<(EntryId, Option<ActKind>)> {
    match content {
        Content::Annotation(annotation) => {
            annotation.act.kind().map(|kind| (annotation.entry, Some(kind))).into_iter().collect()
        }
        Content::Hidden(entries) => entries.iter().map(|entry| (*entry, None)).collect(),
        Content::Text(_)
        | Content::Devices(_)
        | Content::Account(_)
        | Content::Operation(_)
        | Content::Unknown
        | Content::Gone => Vec::new(),
    }
}

/// Numbers of a device's entries that are missing in a conversation while one beyond them is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first.
    pub from: u64,
    /// The last; the entry behind it is held.
    pub through: u64,
    /// On how many days this device looked for them in vain; from [`LOST_AFTER_DAYS`] on they are lost.
    pub days: u32,
    /// When it last did, or first saw the gap.
    pub looked: Timestamp,
}

impl Gap {
    /// Whether they are waited for no more.
    pub const fn is_lost(&self) -> bool {
        self.days >= LOST_AFTER_DAYS
    }

    /// Whether a number is one of them.
    pub const fn covers(&self, seq: u64) -> bool {
        self.from <= seq && seq <= self.through
    }
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
