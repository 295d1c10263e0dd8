use std::collections::{BTreeMap, BTreeSet};

use undertone_protocol::ids::{DeviceId, RelayId, UserId};
use undertone_protocol::time::Timestamp;

use super::table::all;
use super::tables::{Counter, Tables};
use crate::store::{
    OutboxHead, OutboxItem, OutboxRecipient, OutboxState, OutboxTx, PendingItem, PendingRecipient, Purpose,
    StoreError,
};

impl OutboxTx for Tables {
    fn put_outbox(&mut self, item: &OutboxItem) -> Result<u64, StoreError> {
        let id = if item.id == 0 { self.count(Counter::Outbox) } else { self.given_outbox_id(item.id)? };
        self.outbox.put(id, OutboxItem { id, ..item.clone() });
        Ok(id)
    }

    fn set_outbox_recipients(
        &mut self,
        id: u64,
        states: &[(DeviceId, OutboxState)],
    ) -> Result<(), StoreError> {
        let Some(mut item) = self.outbox.get(&id).cloned() else { return Ok(()) };
        let states: BTreeMap<_, _> = states.iter().copied().collect();
        for recipient in &mut item.recipients {
            if let Some(state) = states.get(&recipient.device) {
                recipient.state = *state;
            }
        }
        self.outbox.put(id, item);
        Ok(())
    }

    fn delete_outbox_recipient(&mut self, id: u64, device: &DeviceId) -> Result<(), StoreError> {
        if let Some(mut item) = self.outbox.get(&id).cloned() {
            item.recipients.retain(|recipient| recipient.device != *device);
            self.outbox.put(id, item);
        }
        Ok(())
    }

    fn outbox(&self, id: u64) -> Result<Option<OutboxItem>, StoreError> {
        Ok(self.outbox.get(&id).cloned())
    }

    fn outbox_head(&self, id: u64) -> Result<Option<OutboxHead>, StoreError> {
        Ok(self.outbox.get(&id).map(OutboxItem::head))
    }

    fn outbox_recipient(&self, id: u64, device: &DeviceId) -> Result<Option<OutboxRecipient>, StoreError> {
        Ok(self.outbox.get(&id).and_then(|item| to(item, device)).copied())
    }

    fn outbox_pending(&self, after_id: u64, limit: usize) -> Result<Vec<PendingItem>, StoreError> {
        let rows = self.outbox.iter().filter(|(id, item)| **id > after_id && item.is_pending());
        Ok(rows.take(limit).map(|(_, item)| pending(item)).collect())
    }

    fn outbox_pending_len(&self, limit: usize) -> Result<usize, StoreError> {
        Ok(self.outbox.iter().filter(|(_, item)| item.is_pending()).take(limit).count())
    }

    fn outbox_heads(&self, after_id: u64, limit: usize) -> Result<Vec<OutboxHead>, StoreError> {
        let rows = self.outbox.iter().filter(|(id, _)| **id > after_id);
        Ok(rows.take(limit).map(|(_, item)| item.head()).collect())
    }

    fn outbox_to(
        &self,
        device: &DeviceId,
        after_id: u64,
        limit: usize,
    ) -> Result<Vec<(OutboxHead, OutboxState)>, StoreError> {
        let rows = self.outbox.iter().filter(|(id, _)| **id > after_id);
        Ok(rows.filter_map(|(_, item)| on_its_way(item, device)).take(limit).collect())
    }

    fn outbox_custodians(&self, limit: usize) -> Result<Vec<(DeviceId, UserId, RelayId)>, StoreError> {
        let recipients = self.outbox.iter().flat_map(|(_, item)| &item.recipients);
        let custodians: BTreeSet<_> = recipients
            .filter_map(|recipient| match recipient.state {
                OutboxState::Custody { relay, .. } => Some((recipient.device, recipient.user, relay)),
                _ => None,
            })
            .collect();
        Ok(custodians.into_iter().take(limit).collect())
    }

    fn outbox_of(&self, purpose: &Purpose) -> Result<Vec<OutboxItem>, StoreError> {
        Ok(self.of(purpose).cloned().collect())
    }

    fn outbox_heads_of(&self, purpose: &Purpose) -> Result<Vec<OutboxHead>, StoreError> {
        Ok(self.of(purpose).map(OutboxItem::head).collect())
    }

    fn outbox_of_to(
        &self,
        purpose: &Purpose,
        device: &DeviceId,
    ) -> Result<Vec<(OutboxHead, OutboxState)>, StoreError> {
        Ok(self.of(purpose).filter_map(|item| on_its_way(item, device)).collect())
    }

    fn outbox_is_there(&self, purpose: &Purpose, failed_aside: bool) -> Result<bool, StoreError> {
        let mut counts = self.of(purpose).map(OutboxItem::counts);
        Ok(counts.all(|counts| counts.pending == 0 && (failed_aside || counts.failed == 0)))
    }

    fn outbox_expired(&self, moment: Timestamp, limit: usize) -> Result<Vec<OutboxItem>, StoreError> {
        let ends = |item: &OutboxItem| item.custody_ends().filter(|ends| *ends < moment);
        let mut items = all(self.outbox.iter().filter(|(_, item)| ends(item).is_some()));
        items.sort_by_key(|item| (item.custody_ends(), item.id));
        items.truncate(limit);
        Ok(items)
    }

    fn delete_outbox(&mut self, id: u64) -> Result<(), StoreError> {
        self.outbox.remove(&id);
        Ok(())
    }

    fn outbox_last(&self) -> Result<u64, StoreError> {
        Ok(self.counters.get(&Counter::Outbox).copied().unwrap_or(0))
    }

    fn outbox_len(&self) -> Result<usize, StoreError> {
        Ok(self.outbox.len())
    }
}

fn to<'a>(item: &'a OutboxItem, device: &DeviceId) -> Option<&'a OutboxRecipient> {
    item.recipients.iter().find(|recipient| recipient.device == *device)
}

fn on_its_way(item: &OutboxItem, device: &DeviceId) -> Option<(OutboxHead, OutboxState)> {
    to(item, device).map(|recipient| (item.head(), recipient.state))
}

fn pending(item: &OutboxItem) -> PendingItem {
    let OutboxItem { id, group, purpose, class, created, .. } = *item;
    let recipients = item.recipients.iter().filter_map(|to| match to.state {
        OutboxState::Pending { not_before, .. } => {
            Some(PendingRecipient { device: to.device, user: to.user, not_before })
        }
        _ => None,
    });
    let (payload, recipients) = (item.payload.clone(), recipients.collect());
    PendingItem { id, group, purpose, class, payload, recipients, created }
}

impl Tables {
    fn of<'a>(&'a self, purpose: &'a Purpose) -> impl Iterator<Item = &'a OutboxItem> {
        self.outbox.iter().map(|(_, item)| item).filter(|item| item.purpose == *purpose)
    }

    /// Numbers given later are larger.
    fn given_outbox_id(&mut self, id: u64) -> Result<u64, StoreError> {
        if i64::try_from(id).is_err() {
            return Err(StoreError::Damaged { what: "outbox item", why: format!("its id is {id}") });
        }
        if self.counters.get(&Counter::Outbox).is_none_or(|last| *last < id) {
            self.counters.put(Counter::Outbox, id);
        }
        Ok(id)
    }
}
