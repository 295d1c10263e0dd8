//! Where relays are: what they say of it, and what this one says.

use undertone_protocol::codec::Signed;
use undertone_protocol::federation::RelayRecord;
use undertone_protocol::ids::RelayId;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire;

use super::Source;
use crate::federation::act::Cx;
use crate::federation::relays::Learned;
use crate::store::{Overlay, Store, StoreError};

impl Source {
    /// This relay says from now on that it is at these addresses; at none: it says nothing.
    pub(crate) fn announce(&mut self, addresses: Vec<String>) {
        self.relays.announce(addresses);
    }

    /// What this relay says of where it is.
    pub(crate) fn own_record<S: Store + ?Sized>(
        &mut self,
        cx: &Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<Option<wire::Signed>, StoreError> {
        self.relays.own(cx, tx)
    }

    /// A relay says where it is: one that could not be reached is called at once.
    pub(crate) fn relay_at<S: Store + ?Sized>(
        &mut self,
        relay: &RelayId,
        signed: Option<wire::Signed>,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let signed = Signed::required("relay at", "record", signed);
        let record = signed.ok().and_then(|signed| RelayRecord::verify(signed).ok());
        let Some(record) = record.filter(|record| record.address.relay == *relay) else {
            cx.metrics.relay_records_refused += 1;
            return Ok(());
        };
        if !cx.policy.allows(relay) {
            return Ok(());
        }
        let learned = self.relays.learn(record, cx, tx)?;
        cx.metrics.relay_records_taken += u64::from(learned != Learned::Nothing);
        if learned == Learned::Moved {
            self.tell_finder(relay, cx);
        }
        self.call_back(relay, cx, tx)
    }

    /// Calls a relay that could not be reached, and is there.
    pub(super) fn call_back<S: Store + ?Sized>(
        &mut self,
        relay: &RelayId,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        if self.links.get_mut(relay).is_some_and(|link| link.is_back(cx.now)) {
            self.pump(relay, cx, tx)?;
            self.serve_line(cx, tx)?;
        }
        Ok(())
    }

    /// Where another relay is, as far as it said so.
    pub(crate) fn record_of(&self, relay: &RelayId, now: Timestamp) -> Option<wire::Signed> {
        self.relays.current(relay, now).map(|record| record.signed.to_wire())
    }

    /// Forgets what relays said of where they are, once it has ended.
    pub(crate) fn sweep_relays<S: Store + ?Sized>(
        &mut self,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        self.relays.sweep(now, tx)
    }

    /// Something of another relay was stored here.
    pub(crate) fn stored_from<S: Store + ?Sized>(
        &mut self,
        relay: &RelayId,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        self.used(relay, cx, tx)
    }
}
