//! Which mailboxes of other devices do not take what is sent there, and for how long others are preferred. Volatile: after a
//! start each is asked anew.

use std::collections::BTreeMap;
use std::time::Duration;

use undertone_protocol::ids::{DeviceId, RelayId};
use undertone_protocol::keys::DeliveryGrant;
use undertone_protocol::limits::{CUSTODIAN_WAIT, FALL_OVER_WAIT};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::TokenGrant;

/// Mailboxes that are known not to take anything just now; of more the one that may be tried first is forgotten.
const REFUSED_MAX: usize = 4_096;
/// A token that was denied is tried again after so long, where the device has other mailboxes.
const DENIED_LIFE: Duration = CUSTODIAN_WAIT;
/// A mailbox that was last full so long ago is not full since then.
const FULL_LIFE: Duration = Duration::from_secs(600);

/// The mailboxes of other devices that do not take what is sent there.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    refused: BTreeMap<(DeviceId, RelayId), Refused>,
}

#[derive(Debug)]
struct Refused {
    why: Why,
    since: Timestamp,
    /// Others are preferred before this.
    until: Timestamp,
}

#[derive(Debug)]
enum Why {
    Full,
    Denied(TokenGrant),
}

/// Whether a mailbox takes something, for all that is known. The best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    Open,
    /// Not before this.
    Full(Timestamp),
    /// By this token; not asked again before this.
    Denied(Timestamp),
}

impl Refusals {
    /// A mailbox has no room, and is tried again then. Says whether that takes so long that another one serves better.
    pub(super) fn full(
        &mut self,
        device: DeviceId,
        relay: RelayId,
        again: Timestamp,
        now: Timestamp,
    ) -> bool {
        let known = self.refused.get(&(device, relay));
        let known =
            known.filter(|known| matches!(known.why, Why::Full) && now < known.until.after(FULL_LIFE));
        let since = known.map_or(now, |known| known.since.min(now));
        let is_long = again >= since.after(FALL_OVER_WAIT);
        let until = if is_long { again } else { now };
        self.put((device, relay), Refused { why: Why::Full, since, until });
        is_long
    }

    /// A mailbox does not take what comes by this token.
    pub(super) fn denied(&mut self, device: DeviceId, relay: RelayId, token: TokenGrant, now: Timestamp) {
        let until = now.after(DENIED_LIFE);
        self.put((device, relay), Refused { why: Why::Denied(token), since: now, until });
    }

    /// A mailbox took something.
    pub(super) fn took(&mut self, device: DeviceId, relay: RelayId) {
        self.refused.remove(&(device, relay));
    }

    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, by: Duration) {
        for refused in self.refused.values_mut() {
            refused.since = refused.since.before(by);
            refused.until = refused.until.before(by);
        }
    }

    fn put(&mut self, way: (DeviceId, RelayId), refused: Refused) {
        if self.refused.len() >= REFUSED_MAX && !self.refused.contains_key(&way) {
            let first = self.refused.iter().min_by_key(|(_, refused)| refused.until).map(|(way, _)| *way);
            first.and_then(|way| self.refused.remove(&way));
        }
        self.refused.insert(way, refused);
    }

    /// How a mailbox stands.
    pub(super) fn standing(&self, grant: &DeliveryGrant, now: Timestamp) -> Standing {
        let refused = self.refused.get(&(grant.device, grant.mailbox.relay.relay));
        match refused.filter(|refused| now < refused.until) {
            Some(Refused { why: Why::Full, until, .. }) => Standing::Full(*until),
            Some(Refused { why: Why::Denied(token), until, .. }) if *token == grant.token => {
                Standing::Denied(*until)
            }
            _ => Standing::Open,
        }
    }
}

impl Standing {
    /// When that may change.
    pub(super) const fn until(self) -> Option<Timestamp> {
        match self {
            Self::Open => None,
            Self::Full(until) | Self::Denied(until) => Some(until),
        }
    }
}
