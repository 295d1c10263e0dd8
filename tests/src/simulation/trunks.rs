//! The connections between relays, which carry what is forwarded. Like any stream they lose nothing and keep the order, until
//! they break.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use undertone_protocol::ids::RelayId;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::Frame;
use undertone_relay::core::{ConnId, Input as RelayInput};

use super::failed::Failed;
use super::faults::{Faults, happens};
use super::network::{Happening, Schedule, delay};
use super::world::World;

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
    fn connect(&mut self, [(from, here), (to, there)]: [(usize, ConnId); 2], now: Timestamp) {
        self.ends.insert(here, End { relay: from, other: there, arrives: now });
        self.ends.insert(there, End { relay: to, other: here, arrives: now });
    }

    /// The relay at this end.
    pub(super) fn relay_of(&self, conn: ConnId) -> Option<usize> {
        self.ends.get(&conn).map(|end| end.relay)
    }

    /// Carries a frame, or breaks. Says whether there is such a connection.
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

    fn all_of(&self, relay: usize) -> Vec<ConnId> {
        self.ends.iter().filter(|(_, end)| end.relay == relay).map(|(conn, _)| *conn).collect()
    }
}

impl World {
    /// A relay calls another one.
    pub(super) fn relay_dials(&mut self, from: usize, to: RelayId) {
        let at = self.now.after(delay(&mut self.relays.rng));
        self.schedule.at(at, Happening::RelayDialled { from, to });
    }

    pub(super) fn relay_dialled(&mut self, from: usize, to: RelayId) -> Result<(), Failed> {
        let caller = self.relays.id(from);
        let called =
            self.relays.index(&to).filter(|called| self.relays.answer_each_other(from, *called, self.now));
        let (Some(caller), Some(called)) = (caller, called) else {
            return self.step_relay(from, vec![RelayInput::DialFailed { relay: to }]);
        };
        let [here, there] = [self.network.number(), self.network.number()];
        self.trunks.connect([(from, here), (called, there)], self.now);
        self.step_relay(called, vec![RelayInput::RelayConnected { conn: there, relay: caller }])?;
        self.step_relay(from, vec![RelayInput::Dialled { relay: to, conn: here }])
    }

    /// The other end is gone.
    pub(super) fn trunk_ends(&mut self, conn: ConnId) -> Result<(), Failed> {
        let Some(relay) = self.trunks.relay_of(conn) else { return Ok(()) };
        self.trunks.ends.remove(&conn);
        self.step_relay(relay, vec![RelayInput::Disconnected { conn }])
    }

    /// A relay died, or does not reach the others any more.
    pub(super) fn trunks_break(&mut self, relay: usize) {
        for conn in self.trunks.all_of(relay) {
            self.trunks.end(conn, self.now, &mut self.relays.rng, &mut self.schedule);
        }
    }
}
