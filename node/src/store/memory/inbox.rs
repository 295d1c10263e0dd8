use undertone_protocol::ids::PayloadHash;
use undertone_protocol::limits::QUARANTINE_ITEMS_MAX;
use undertone_protocol::time::Timestamp;

use super::table::all;
use super::tables::Tables;
use crate::store::{InboxTx, Quarantined, StoreError};

impl InboxTx for Tables {
    fn seen(&self, hash: &PayloadHash) -> Result<bool, StoreError> {
        Ok(self.seen.contains(hash))
    }

    fn put_seen(&mut self, hash: &PayloadHash, at: Timestamp) -> Result<(), StoreError> {
        self.seen.put(*hash, at);
        Ok(())
    }

    fn forget_seen(&mut self, moment: Timestamp) -> Result<(), StoreError> {
        self.seen.forget(|_, at| *at < moment);
        Ok(())
    }

    fn trim_seen(&mut self, items_max: usize) -> Result<(), StoreError> {
        let mut by_age: Vec<_> = self.seen.iter().map(|(hash, at)| (*at, *hash)).collect();
        by_age.sort_unstable_by(|a, b| b.cmp(a));
        by_age.iter().skip(items_max).for_each(|(_, hash)| self.seen.remove(hash));
        Ok(())
    }

    fn quarantine(&self, limit: usize) -> Result<Vec<Quarantined>, StoreError> {
        let mut items = all(self.quarantine.iter());
        items.sort_by_key(|item| (item.received, item.hash));
        items.truncate(limit);
        Ok(items)
    }

    fn put_quarantine(&mut self, item: &Quarantined) -> Result<(), StoreError> {
        self.put_bounded_quarantine(item);
        Ok(())
    }

    fn delete_quarantine(&mut self, hash: &PayloadHash) -> Result<(), StoreError> {
        self.quarantine.remove(hash);
        Ok(())
    }
}

impl Tables {
    fn put_bounded_quarantine(&mut self, item: &Quarantined) {
        self.quarantine.put(item.hash, item.clone());
        if self.quarantine.len() > QUARANTINE_ITEMS_MAX {
            let oldest = self.quarantine.iter().map(|(_, item)| (item.received, item.hash)).min();
            oldest.inspect(|(_, hash)| self.quarantine.remove(hash));
        }
    }
}
