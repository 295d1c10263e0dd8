use undertone_protocol::ids::DeviceId;
use undertone_protocol::time::Timestamp;

use super::table::all;
use super::tables::{Counter, Tables};
use crate::store::{OutboxItem, OutboxTx, Purpose, StoreError};

impl OutboxTx for Tables {
    fn put_outbox(&mut self, item: &OutboxItem) -> Result<u64, StoreError> {
        let id = if item.id == 0 { self.count(Counter::Outbox) } else { self.given_outbox_id(item.id)? };
        self.outbox.put(id, OutboxItem { id, ..item.clone() });
        Ok(id)
    }

    fn outbox(&self, id: u64) -> Result<Option<OutboxItem>, StoreError> {
        Ok(self.outbox.get(&id).cloned())
    }

    fn outbox_pending(&self, after_id: u64, limit: usize) -> Result<Vec<OutboxItem>, StoreError> {
        let rows = self.outbox.iter().filter(|(id, item)| **id > after_id && item.is_pending());
        Ok(all(rows.take(limit)))
    }

    fn outbox_page(&self, after_id: u64, limit: usize) -> Result<Vec<OutboxItem>, StoreError> {
        Ok(all(self.outbox.iter().filter(|(id, _)| **id > after_id).take(limit)))
    }

    fn outbox_to(
        &self,
        device: &DeviceId,
        after_id: u64,
        limit: usize,
    ) -> Result<Vec<OutboxItem>, StoreError> {
        let is_to = |item: &OutboxItem| item.recipients.iter().any(|to| to.device == *device);
        Ok(all(self.outbox.iter().filter(|(id, item)| **id > after_id && is_to(item)).take(limit)))
    }

    fn outbox_of(&self, purpose: &Purpose) -> Result<Vec<OutboxItem>, StoreError> {
        Ok(all(self.outbox.iter().filter(|(_, item)| item.purpose == *purpose)))
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

impl Tables {
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
