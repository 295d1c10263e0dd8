//! The connections between relays, which carry what is forwarded. Like any stream they lose nothing and keep the order, until
//! they break.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::Frame;
use undertone_relay::core::ConnId;

use super::faults::{Faults, happens};
use super::network::{Happening, Schedule, delay};

/// All ends of connections between relays.
#[derive(Debug, Default)]
pub(super) struct Trunks {
    ends: BTreeMap<ConnId, End>,
}

/// One end.
#[derive(Debug, Clone, Copy)]
struct End {
    relay: usize,
    other: ConnId,
    /// When what was said here last arrives there.
    arrives: Timestamp,
}

impl Trunks {
    /// Two relays are connected, by these ends.
    pub(super) fn connect(&mut self, [(from, here), (to, there)]: [(usize, ConnId); 2], now: Timestamp) {
        self.ends.insert(here, End { relay: from, other: there, arrives: now });
        self.ends.insert(there, End { relay: to, other: here, arrives: now });
    }

    /// The relay at this end.
    pub(super) fn relay_of(&self, conn: ConnId) -> Option<usize> {
        self.ends.get(&conn).map(|end| end.relay)
    }

    /// The end that what is said at this one gets to.
    pub(super) fn other(&self, conn: ConnId) -> Option<ConnId> {
        self.ends.get(&conn).map(|end| end.other)
    }

    /// Carries a frame, or breaks.
    pub(super) fn carry(
        &mut self,
        conn: ConnId,
        frame: Frame,
        now: Timestamp,
        rng: &mut ChaCha20Rng,
        faults: &Faults,
        schedule: &mut Schedule,
    ) {
        if happens(rng, faults.drop) {
            self.end(conn, now, rng, schedule);
            return;
        }
        let Some(end) = self.ends.get_mut(&conn) else { return };
        end.arrives = now.after(delay(rng)).max(end.arrives);
        schedule.at(end.arrives, Happening::ToRelay { conn: end.other, frame });
    }

    /// Ends a connection: what is on its way arrives first, if its end still stands.
    pub(super) fn end(
        &mut self,
        conn: ConnId,
        now: Timestamp,
        rng: &mut ChaCha20Rng,
        schedule: &mut Schedule,
    ) {
        let Some(end) = self.ends.remove(&conn) else { return };
        let at = now.after(delay(rng)).max(end.arrives);
        schedule.at(at, Happening::TrunkEnds { conn: end.other });
        schedule.at(now.after(delay(rng)), Happening::RelaySeesEnd { conn, relay: end.relay });
    }

    /// This end is gone, as the other one is.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.ends.remove(&conn);
    }

    /// All ends at a relay.
    pub(super) fn all_of(&self, relay: usize) -> Vec<ConnId> {
        self.ends.iter().filter(|(_, end)| end.relay == relay).map(|(conn, _)| *conn).collect()
    }
}
