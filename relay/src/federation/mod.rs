//! Relay to relay (`spec/federation.md`): what devices hand in for other relays, and what other relays bring.
//!
//! Two parts that share nothing but the store. [`Source`] is the machine of what leaves: a durable outbox for each
//! destination, one link to each that something waits for, and the answers that wait for their devices. [`Arrivals`]
//! opens what comes; whether a recipient gets it is decided as for a publish.

mod act;
mod answers;
mod arrivals;
mod beats;
mod decided;
mod keys;
mod link;
mod outbox;
mod policy;
mod relays;
mod senders;
mod source;
mod up;

pub use act::Finding;
pub(crate) use act::{Act, Cx, Event};
pub(crate) use arrivals::{Arrivals, Arrived, Opened, declined};
pub(crate) use decided::{decided, disk_bytes, remember};
pub(crate) use keys::own_key;
pub use policy::{Policy, PolicyKind};
pub(crate) use source::{Handed, Source};

use undertone_protocol::time::Timestamp;

use crate::store::{Overlay, Store, StoreError};

/// What [`sweep`] did.
pub(crate) struct Swept {
    /// Whether there is more.
    pub(crate) more: bool,
    /// Answers that nobody took.
    pub(crate) expired: u64,
    /// Whether routing keys were among it.
    pub(crate) keys: bool,
}

/// Removes what ended: decided parcels, answers that nobody took, old routing keys. `from` is a moment before which nothing
/// ends any more.
pub(crate) fn sweep<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    from: Timestamp,
    now: Timestamp,
    budget: usize,
) -> Result<Swept, StoreError> {
    let more_decided = decided::sweep(tx, from, now, budget)?;
    let (more_answers, expired) = answers::sweep(tx, from, now, budget)?;
    Ok(Swept { more: more_decided || more_answers, expired, keys: keys::sweep(tx, now)? })
}
