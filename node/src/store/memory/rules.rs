use std::collections::{BTreeMap, BTreeSet};

use undertone_protocol::ids::{ConversationId, Handle, RelayId, SessionId};
use undertone_protocol::limits::QUARANTINE_ITEMS_MAX;
use undertone_protocol::time::Timestamp;

use super::tables::{Counter, Tables};
use crate::store::{Delivery, Quarantined, ReceiverKey, Revocation, StoreError};

impl Tables {
    /// By number.
    pub(super) fn deliveries_where(
        &self,
        conversation: &ConversationId,
        belongs: impl Fn(&Delivery) -> bool,
    ) -> Vec<Delivery> {
        let belongs = |delivery: &Delivery| delivery.conversation == *conversation && belongs(delivery);
        let mut deliveries = all(self.deliveries.iter().filter(|(_, delivery)| belongs(delivery)));
        deliveries.sort_by_key(|delivery| (delivery.seq, delivery.entry));
        deliveries
    }

    /// By path.
    pub(super) fn revocations_of(
        &self,
        relay: &RelayId,
    ) -> impl Iterator<Item = (&(RelayId, Vec<Handle>), &Revocation)> {
        let relay = *relay;
        self.revocations.from((relay, Vec::new()), move |(of, _)| *of == relay)
    }

    /// Numbers given later are larger.
    pub(super) fn given_outbox_id(&mut self, id: u64) -> Result<u64, StoreError> {
        if i64::try_from(id).is_err() {
            return Err(StoreError::Damaged { what: "outbox item", why: format!("its id is {id}") });
        }
        if self.counters.get(&Counter::Outbox).is_none_or(|last| *last < id) {
            self.counters.put(Counter::Outbox, id);
        }
        Ok(id)
    }

    pub(super) fn forget_old_receiver_keys(&mut self, moment: Timestamp) {
        let mut newest = BTreeMap::new();
        for (_, key) in self.receiver_keys.iter() {
            let of_device =
                newest.entry((key.conversation, key.device)).or_insert((key.received, key.session));
            *of_device = (*of_device).max((key.received, key.session));
        }
        let newest: BTreeSet<SessionId> = newest.into_values().map(|(_, session)| session).collect();
        let is_old =
            |session: &SessionId, key: &ReceiverKey| key.received < moment && !newest.contains(session);
        let gone = self.receiver_keys.forget(is_old);
        self.message_tags.forget(|(_, session), _| gone.contains(session));
    }

    pub(super) fn put_bounded_quarantine(&mut self, item: &Quarantined) {
        self.quarantine.put(item.hash, item.clone());
        if self.quarantine.len() > QUARANTINE_ITEMS_MAX {
            let oldest = self.quarantine.iter().map(|(_, item)| (item.received, item.hash)).min();
            oldest.inspect(|(_, hash)| self.quarantine.remove(hash));
        }
    }
}

/// The rows' values.
pub(super) fn all<'a, K: 'a, V: Clone + 'a>(rows: impl Iterator<Item = (&'a K, &'a V)>) -> Vec<V> {
    rows.map(|(_, value)| value.clone()).collect()
}
