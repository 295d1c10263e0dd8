//! A clock that is set back, as when a machine began with a wrong one. What waits in memory waits no longer than it did:
//! all its times move along. Times in the store that lie ahead can't have been right, and are mended.

use std::time::Duration;

use undertone_protocol::ids::DeviceId;
use undertone_protocol::limits::{BUNDLE_FRESH, CLAIMED_LEAD_MAX, KEY_LIFE};
use undertone_protocol::time::Timestamp;

use crate::store::{Account, Contact, NodeTx, StoreError};

/// When another device says that it issued a bundle is believed up to this far ahead.
const BELIEVED_LEAD: Duration = CLAIMED_LEAD_MAX;
/// Below this the store is left as it is.
const SMALL: Duration = Duration::from_secs(60);

/// The last time that was seen.
#[derive(Debug)]
pub(super) struct Clock(Timestamp);

impl Clock {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self(now)
    }

    /// Takes in the time. Gives by how much it was set back.
    pub(super) fn set_back(&mut self, now: Timestamp) -> Option<Duration> {
        let by = self.0.since(now);
        self.0 = now;
        (!by.is_zero()).then_some(by)
    }
}

/// Whether so much is worth a look at the store.
pub(super) fn is_large(by: Duration) -> bool {
    by >= SMALL
}

/// When a bundle was issued, by what its device says; `None` where the clock of that was far ahead: or no bundle would count
/// that it issues later.
pub(super) fn believed(issued: Timestamp, now: Timestamp) -> Option<Timestamp> {
    (issued <= now.after(BELIEVED_LEAD)).then_some(issued)
}

/// Mends what stands in the store with a time that is still to come. Gives the account, if it changed.
pub(super) fn mend(tx: &mut dyn NodeTx, now: Timestamp) -> Result<Option<Account>, StoreError> {
    for contact in tx.contacts()? {
        for device in devices(&contact) {
            mend_device(tx, &device, now)?;
        }
    }
    let Some(mut account) = tx.account()?.filter(|account| account.keys_made > now) else { return Ok(None) };
    // They count as old. But where there are superseded ones, these would die with that while they are in use.
    account.keys_made = if account.superseded.is_some() { now } else { now.before(KEY_LIFE) };
    tx.put_account(&account)?;
    Ok(Some(account))
}

fn devices(contact: &Contact) -> Vec<DeviceId> {
    let listed = contact.device_list.iter().flat_map(|list| list.active());
    let bundles = contact.bundles.iter().map(|access| access.device);
    let mut devices: Vec<DeviceId> = listed.map(|certificate| certificate.device).chain(bundles).collect();
    devices.sort();
    devices.dedup();
    devices
}

fn mend_device(tx: &mut dyn NodeTx, device: &DeviceId, now: Timestamp) -> Result<(), StoreError> {
    if let Some(mut peer) = tx.peer_device(device)?.filter(|peer| peer.fetched > now) {
        // It is fetched anew, and serves until then.
        peer.fetched = now.before(BUNDLE_FRESH + Duration::from_secs(1));
        tx.put_peer_device(&peer)?;
    }
    // The one that was used last comes first: it stays so.
    let sessions = tx.olm_sessions(device)?;
    for (place, mut session) in sessions.into_iter().enumerate().filter(|(_, session)| session.used > now) {
        session.used = now.before(Duration::from_millis(u64::try_from(place).unwrap_or(u64::MAX)));
        tx.put_olm_session(&session)?;
    }
    Ok(())
}
