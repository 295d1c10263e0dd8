use undertone_protocol::ids::{ConversationId, DeviceId, EntryId};
use undertone_protocol::log::SeqRange;
use undertone_protocol::receipts::{Acknowledgement, Tick};
use undertone_protocol::time::Timestamp;

use super::table::all;
use super::tables::Tables;
use crate::store::{Acknowledged, AcknowledgedBy, Delivery, OwnReceipts, ReceiptsTx, StoreError};

impl ReceiptsTx for Tables {
    fn acknowledgement(
        &self,
        conversation: &ConversationId,
        device: &DeviceId,
    ) -> Result<Option<Acknowledgement>, StoreError> {
        Ok(self.acknowledgements.get(&(*conversation, *device)).cloned())
    }

    fn put_acknowledgement(&mut self, acknowledgement: &Acknowledgement) -> Result<(), StoreError> {
        let key = (acknowledgement.fields.conversation, acknowledgement.fields.device);
        self.acknowledgements.put(key, acknowledgement.clone());
        Ok(())
    }

    fn delete_acknowledgement(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
    ) -> Result<(), StoreError> {
        self.acknowledgements.remove(&(*conversation, *device));
        self.acknowledged.remove(&(*conversation, *device));
        self.acknowledged_at
            .forget(|(which, _), _| (which.conversation, which.device) == (*conversation, *device));
        Ok(())
    }

    fn acknowledged(
        &self,
        conversation: &ConversationId,
        device: &DeviceId,
    ) -> Result<Option<Acknowledged>, StoreError> {
        Ok(self.acknowledged.get(&(*conversation, *device)).cloned())
    }

    fn put_acknowledged(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        acknowledged: &Acknowledged,
    ) -> Result<(), StoreError> {
        self.acknowledged.put((*conversation, *device), acknowledged.clone());
        Ok(())
    }

    fn put_acknowledged_at(
        &mut self,
        which: &AcknowledgedBy,
        through: u64,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        if !self.acknowledged_at.contains(&(*which, through)) {
            self.acknowledged_at.put((*which, through), at);
        }
        Ok(())
    }

    fn acknowledged_at(&self, which: &AcknowledgedBy, seq: u64) -> Result<Option<Timestamp>, StoreError> {
        let mut rows = self.acknowledged_at.from((*which, seq), |(of, _)| of == which);
        Ok(rows.next().map(|(_, at)| *at))
    }

    fn own_receipts(&self, conversation: &ConversationId) -> Result<OwnReceipts, StoreError> {
        Ok(self.own_receipts.get(conversation).cloned().unwrap_or_default())
    }

    fn put_own_receipts(
        &mut self,
        conversation: &ConversationId,
        receipts: &OwnReceipts,
    ) -> Result<(), StoreError> {
        self.own_receipts.put(*conversation, receipts.clone());
        Ok(())
    }

    fn receipts_due(&self) -> Result<Vec<ConversationId>, StoreError> {
        let due = self.own_receipts.iter().filter(|(_, receipts)| receipts.due || receipts.own_due);
        Ok(due.map(|(conversation, _)| *conversation).collect())
    }

    fn delivery(&self, entry: &EntryId) -> Result<Option<Delivery>, StoreError> {
        Ok(self.deliveries.get(entry).cloned())
    }

    fn put_delivery(&mut self, delivery: &Delivery) -> Result<(), StoreError> {
        self.deliveries.put(delivery.entry, delivery.clone());
        Ok(())
    }

    fn deliveries_between(
        &self,
        conversation: &ConversationId,
        from: u64,
        through: u64,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut deliveries =
            self.deliveries_where(conversation, |delivery| (from..=through).contains(&delivery.seq));
        deliveries.truncate(limit);
        Ok(deliveries)
    }

    fn deliveries_unread(&self, conversation: &ConversationId) -> Result<Vec<Delivery>, StoreError> {
        Ok(self.deliveries_where(conversation, |delivery| delivery.tick < Tick::Read))
    }

    fn deliveries_waiting(
        &self,
        conversation: &ConversationId,
        limit: usize,
    ) -> Result<Vec<SeqRange>, StoreError> {
        let mut runs: Vec<SeqRange> = Vec::new();
        for Delivery { seq, .. } in self.deliveries_where(conversation, |delivery| delivery.tick < Tick::Sent)
        {
            match runs.last_mut() {
                Some(run) if seq <= run.through.saturating_add(1) => run.through = seq,
                _ => runs.push(SeqRange { from: seq, through: seq }),
            }
        }
        runs.truncate(limit);
        Ok(runs)
    }

    fn deliveries_unsealed(
        &self,
        conversation: &ConversationId,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let mut deliveries =
            self.deliveries_where(conversation, |delivery| !delivery.sealed && delivery.failed.is_none());
        deliveries.truncate(limit);
        Ok(deliveries)
    }
}

impl Tables {
    /// By number.
    fn deliveries_where(
        &self,
        conversation: &ConversationId,
        belongs: impl Fn(&Delivery) -> bool,
    ) -> Vec<Delivery> {
        let belongs = |delivery: &Delivery| delivery.conversation == *conversation && belongs(delivery);
        let mut deliveries = all(self.deliveries.iter().filter(|(_, delivery)| belongs(delivery)));
        deliveries.sort_by_key(|delivery| (delivery.seq, delivery.entry));
        deliveries
    }
}
