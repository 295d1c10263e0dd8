//! How relays call each other, and what becomes of their connections.

use undertone_protocol::ids::RelayId;
use undertone_relay::core::{ConnId, Input as RelayInput};

use super::failed::Failed;
use super::network::{Happening, delay};
use super::world::World;

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
        self.trunks.forget(conn);
        self.step_relay(relay, vec![RelayInput::Disconnected { conn }])
    }

    /// A relay died, or does not reach the others any more.
    pub(super) fn trunks_break(&mut self, relay: usize) {
        for conn in self.trunks.all_of(relay) {
            self.trunks.end(conn, self.now, &mut self.relays.rng, &mut self.schedule);
        }
    }
}
