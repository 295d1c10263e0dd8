use undertone_protocol::ids::{DeviceId, PayloadHash, PublishId, RelayId, UserId};
use undertone_protocol::time::Timestamp;

use crate::store::{
    OutboxHead, OutboxItem, OutboxRecipient, OutboxState, PendingItem, Purpose, Quarantined, StoreError,
    StoredForward,
};

/// What is on its way out.
pub trait OutboxTx {
    /// Puts an item (numbers it when its id is 0) and returns its id.
    fn put_outbox(&mut self, item: &OutboxItem) -> Result<u64, StoreError>;
    /// Says how far an item has come on its way to some of its recipients, and touches no others. Devices that it is not
    /// for are passed over; without such an item nothing changes.
    fn set_outbox_recipients(
        &mut self,
        id: u64,
        states: &[(DeviceId, OutboxState)],
    ) -> Result<(), StoreError>;
    /// Takes a recipient out of an item.
    fn delete_outbox_recipient(&mut self, id: u64, device: &DeviceId) -> Result<(), StoreError>;
    /// An item, with all its recipients.
    fn outbox(&self, id: u64) -> Result<Option<OutboxItem>, StoreError>;
    /// What an item is.
    fn outbox_head(&self, id: u64) -> Result<Option<OutboxHead>, StoreError>;
    /// One recipient of an item.
    fn outbox_recipient(&self, id: u64, device: &DeviceId) -> Result<Option<OutboxRecipient>, StoreError>;
    /// Items with a recipient that is pending, by id, at most `limit`.
    fn outbox_pending(&self, after_id: u64, limit: usize) -> Result<Vec<PendingItem>, StoreError>;
    /// How many items have a recipient that is pending: `limit` when there are more.
    fn outbox_pending_len(&self, limit: usize) -> Result<usize, StoreError>;
    /// All items, by id, at most `limit`.
    fn outbox_heads(&self, after_id: u64, limit: usize) -> Result<Vec<OutboxHead>, StoreError>;
    /// Items for a device, by id, and how far they have come on their way there, at most `limit`.
    fn outbox_to(
        &self,
        device: &DeviceId,
        after_id: u64,
        limit: usize,
    ) -> Result<Vec<(OutboxHead, OutboxState)>, StoreError>;
    /// Items of one purpose, by id, with all their recipients.
    fn outbox_of(&self, purpose: &Purpose) -> Result<Vec<OutboxItem>, StoreError>;
    /// Items of one purpose, by id.
    fn outbox_heads_of(&self, purpose: &Purpose) -> Result<Vec<OutboxHead>, StoreError>;
    /// Items of one purpose that are for a device, by id, and how far they have come on their way there.
    fn outbox_of_to(
        &self,
        purpose: &Purpose,
        device: &DeviceId,
    ) -> Result<Vec<(OutboxHead, OutboxState)>, StoreError>;
    /// Whether no recipient of any item of one purpose is pending, nor failed, unless these are left aside.
    fn outbox_is_there(&self, purpose: &Purpose, failed_aside: bool) -> Result<bool, StoreError>;
    /// Items whose latest custody ended before `moment`, of the custodies for users of whom no device
    /// acknowledged ([`OutboxItem::custody_ends`]); the earliest first, ties by id, at most `limit`.
    fn outbox_expired(&self, moment: Timestamp, limit: usize) -> Result<Vec<OutboxItem>, StoreError>;
    /// Which relays hold something for which devices, each once, by device, user and relay, at most `limit`.
    fn outbox_custodians(&self, limit: usize) -> Result<Vec<(DeviceId, UserId, RelayId)>, StoreError>;
    /// Takes an item out.
    fn delete_outbox(&mut self, id: u64) -> Result<(), StoreError>;
    /// The number of the last item that was ever put; 0: none was.
    fn outbox_last(&self) -> Result<u64, StoreError>;
    /// How many items there are.
    fn outbox_len(&self) -> Result<usize, StoreError>;
}

/// What home relays hold for other relays.
pub trait ForwardsTx {
    /// A forward that is not answered yet.
    fn forward(&self, id: &PublishId) -> Result<Option<StoredForward>, StoreError>;
    /// All of them, by id.
    fn forwards(&self) -> Result<Vec<StoredForward>, StoreError>;
    /// Keeps a forward.
    fn put_forward(&mut self, forward: &StoredForward) -> Result<(), StoreError>;
    /// Forgets a forward.
    fn delete_forward(&mut self, id: &PublishId) -> Result<(), StoreError>;
}

/// What came: handled already, or not to be opened yet.
pub trait InboxTx {
    /// Whether a payload was handled already.
    fn seen(&self, hash: &PayloadHash) -> Result<bool, StoreError>;
    /// Remembers that a payload was handled.
    fn put_seen(&mut self, hash: &PayloadHash, at: Timestamp) -> Result<(), StoreError>;
    /// Forgets payloads that were handled before `moment`.
    fn forget_seen(&mut self, moment: Timestamp) -> Result<(), StoreError>;
    /// Forgets the payloads that were handled first, until `items_max` are left: ties by hash.
    fn trim_seen(&mut self, items_max: usize) -> Result<(), StoreError>;
    /// Payloads that can't be opened yet, the oldest first, at most `limit`.
    fn quarantine(&self, limit: usize) -> Result<Vec<Quarantined>, StoreError>;
    /// Puts a payload aside; beyond [`undertone_protocol::limits::QUARANTINE_ITEMS_MAX`] the oldest goes.
    fn put_quarantine(&mut self, item: &Quarantined) -> Result<(), StoreError>;
    /// Takes a payload out.
    fn delete_quarantine(&mut self, hash: &PayloadHash) -> Result<(), StoreError>;
}
