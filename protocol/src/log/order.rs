use crate::ids::{DeviceId, EntryId};
use crate::limits::CLAIMED_LEAD_MAX;
use crate::time::Timestamp;

/// Where an entry stands: by effective time, then device, then id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OrderKey {
    /// See [`effective_time`].
    pub effective: Timestamp,
    /// Breaks ties.
    pub device: DeviceId,
    /// Breaks the rest.
    pub entry: EntryId,
}

/// The effective time of an entry: what it claims, held between its latest parent's plus 1 ms and that
/// plus 24 hours. A skewed or lying clock moves its own entry, and pushes on what stands on that entry; it
/// moves nothing else, and never an entry before its parents.
///
/// `latest_parent` is the largest effective time among the parents that are held; `None` without any,
/// and then the claim stands.
pub fn effective_time(claimed: Timestamp, latest_parent: Option<Timestamp>) -> Timestamp {
    let Some(latest) = latest_parent else { return claimed };
    let floor = Timestamp::from_ms(latest.as_ms().saturating_add(1));
    claimed.min(latest.after(CLAIMED_LEAD_MAX)).max(floor)
}
