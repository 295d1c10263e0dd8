use undertone_protocol::ids::PublishId;

use super::table::all;
use super::tables::Tables;
use crate::store::{ForwardsTx, StoreError, StoredForward};

impl ForwardsTx for Tables {
    fn forward(&self, id: &PublishId) -> Result<Option<StoredForward>, StoreError> {
        Ok(self.forwards.get(id).cloned())
    }

    fn forwards(&self) -> Result<Vec<StoredForward>, StoreError> {
        Ok(all(self.forwards.iter()))
    }

    fn put_forward(&mut self, forward: &StoredForward) -> Result<(), StoreError> {
        self.forwards.put(forward.answer.forward_id, forward.clone());
        Ok(())
    }

    fn delete_forward(&mut self, id: &PublishId) -> Result<(), StoreError> {
        self.forwards.remove(id);
        Ok(())
    }
}
