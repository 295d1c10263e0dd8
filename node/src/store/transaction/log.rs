use undertone_protocol::ids::{ConversationId, DeviceId, EntryId};
use undertone_protocol::log::{FrontierItem, OrderKey, SeqRange};
use undertone_protocol::receipts::Acknowledgement;
use undertone_protocol::time::Timestamp;

use crate::store::{Acknowledged, AcknowledgedBy, Cut, Delivery, Gap, OwnReceipts, StoreError, StoredEntry};

/// Entries and what is held of each device.
pub trait LogTx {
    /// An entry.
    fn entry(&self, id: &EntryId) -> Result<Option<StoredEntry>, StoreError>;
    /// The entries of a device with one number: more than one is a fork. By id.
    fn entries_at(
        &self,
        conversation: &ConversationId,
        device: &DeviceId,
        seq: u64,
    ) -> Result<Vec<StoredEntry>, StoreError>;
    /// The entries of a device with numbers from `from` on, by number, then id, at most `limit`.
    fn entries_of(
        &self,
        conversation: &ConversationId,
        device: &DeviceId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError>;
    /// Keeps an entry and its links to its parents, or moves the effective and received time of one that
    /// is held.
    fn put_entry(&mut self, entry: &StoredEntry) -> Result<(), StoreError>;
    /// Drops what an entry says, and keeps its header; what it was known to say of others stays in the index. Of one that
    /// is not held nothing.
    fn drop_body(&mut self, entry: &EntryId) -> Result<(), StoreError>;
    /// When to look whether what an entry says is to be dropped, in the place of when its header says so. Of one that is
    /// not held, or says nothing any more, nothing.
    fn put_expiry(&mut self, entry: &EntryId, at: Option<Timestamp>) -> Result<(), StoreError>;
    /// Entries that say something and expire at `moment` or before, the first to expire first, ties by id, at most
    /// `limit`.
    fn expired(&self, moment: Timestamp, limit: usize) -> Result<Vec<EntryId>, StoreError>;
    /// When the next entry expires that says something.
    fn next_expiry(&self) -> Result<Option<Timestamp>, StoreError>;
    /// The held entries that name this one (held or not) as a parent, by id.
    fn children(&self, parent: &EntryId) -> Result<Vec<EntryId>, StoreError>;
    /// Held entries that no held entry names as a parent, last in order first, at most `limit`.
    fn heads(&self, conversation: &ConversationId, limit: usize) -> Result<Vec<EntryId>, StoreError>;
    /// The last `limit` entries in order that stand before `before` (`None`: the end), first one first. Entries
    /// beyond the [`Cut`] of their device, and void ones, are left out; all other reads give them.
    fn history(
        &self,
        conversation: &ConversationId,
        before: Option<&OrderKey>,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError>;
    /// The entries of a conversation whose ids are from `first` through `last`, by id, at most `limit`.
    fn entries_within(
        &self,
        conversation: &ConversationId,
        first: &EntryId,
        last: &EntryId,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError>;
    /// The annotations of an entry, held or not, that count whoever may make them (`messages.md`): of each act and
    /// device one, none beyond its [`Cut`], none that is void; by act, then device, at most `limit`.
    fn annotations(
        &self,
        conversation: &ConversationId,
        target: &EntryId,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError>;
    /// All edits of an entry, held or not, whether they count or not, by device, number, then id, at most `limit`.
    fn edits(
        &self,
        conversation: &ConversationId,
        target: &EntryId,
        limit: usize,
    ) -> Result<Vec<EntryId>, StoreError>;
    /// Whether an entry of this conversation that is neither beyond the [`Cut`] of its device nor void hides `target`,
    /// which may be of any conversation, and held or not.
    fn is_hidden(&self, conversation: &ConversationId, target: &EntryId) -> Result<bool, StoreError>;
    /// What is held of each device, by device.
    fn frontier(&self, conversation: &ConversationId) -> Result<Vec<(DeviceId, FrontierItem)>, StoreError>;
    /// Keeps what is held of a device.
    fn put_frontier(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        item: &FrontierItem,
    ) -> Result<(), StoreError>;
    /// What is missing of each device, by device, then number.
    fn gaps(&self, conversation: &ConversationId) -> Result<Vec<(DeviceId, Gap)>, StoreError>;
    /// Keeps a gap, in the place of one that begins with the same number.
    fn put_gap(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        gap: &Gap,
    ) -> Result<(), StoreError>;
    /// Forgets the gap that begins with a number.
    fn delete_gap(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        from: u64,
    ) -> Result<(), StoreError>;
    /// Where a device's entries end.
    fn cut(&self, conversation: &ConversationId, device: &DeviceId) -> Result<Option<Cut>, StoreError>;
    /// Keeps where a device's entries end, in the place of an earlier cut.
    fn put_cut(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        cut: &Cut,
    ) -> Result<(), StoreError>;
    /// All cuts of a conversation, by device.
    fn cuts(&self, conversation: &ConversationId) -> Result<Vec<(DeviceId, Cut)>, StoreError>;
    /// Whether an entry does not count, as its author was out or is put out.
    fn is_void(&self, entry: &EntryId) -> Result<bool, StoreError>;
    /// Notes whether an entry, held or not, does not count. [`Self::history`], [`Self::annotations`] and
    /// [`Self::is_hidden`] leave out one that does not.
    fn put_void(&mut self, entry: &EntryId, is_void: bool) -> Result<(), StoreError>;
}

/// Acknowledgements, and how far messages have come.
pub trait ReceiptsTx {
    /// The newest acknowledgement of a device.
    fn acknowledgement(
        &self,
        conversation: &ConversationId,
        device: &DeviceId,
    ) -> Result<Option<Acknowledgement>, StoreError>;
    /// Keeps a device's acknowledgement, in the place of an older one.
    fn put_acknowledgement(&mut self, acknowledgement: &Acknowledgement) -> Result<(), StoreError>;
    /// Forgets a device's acknowledgement, and what it ever acknowledged of the conversation, and when.
    fn delete_acknowledgement(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
    ) -> Result<(), StoreError>;
    /// What a device ever acknowledged of a conversation, if it was put.
    fn acknowledged(
        &self,
        conversation: &ConversationId,
        device: &DeviceId,
    ) -> Result<Option<Acknowledged>, StoreError>;
    /// Keeps what a device ever acknowledged of a conversation.
    fn put_acknowledged(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        acknowledged: &Acknowledged,
    ) -> Result<(), StoreError>;
    /// Remembers that a device acknowledged the entries through a number at a moment by its own clock. What is
    /// remembered of the same number stays.
    fn put_acknowledged_at(
        &mut self,
        which: &AcknowledgedBy,
        through: u64,
        at: Timestamp,
    ) -> Result<(), StoreError>;
    /// When a device acknowledged entry `seq`: the moment of the lowest number put that is not below it.
    fn acknowledged_at(&self, which: &AcknowledgedBy, seq: u64) -> Result<Option<Timestamp>, StoreError>;
    /// What this device acknowledges; the default before the first.
    fn own_receipts(&self, conversation: &ConversationId) -> Result<OwnReceipts, StoreError>;
    /// Keeps what this device acknowledges.
    fn put_own_receipts(
        &mut self,
        conversation: &ConversationId,
        receipts: &OwnReceipts,
    ) -> Result<(), StoreError>;
    /// Conversations whose acknowledgement is due to their members or to the user's own other devices, by id.
    fn receipts_due(&self) -> Result<Vec<ConversationId>, StoreError>;
    /// How far a message of this device has come.
    fn delivery(&self, entry: &EntryId) -> Result<Option<Delivery>, StoreError>;
    /// Keeps how far a message of this device has come.
    fn put_delivery(&mut self, delivery: &Delivery) -> Result<(), StoreError>;
    /// Messages of this device in a conversation with numbers from `from` through `through`, by number, at most
    /// `limit`.
    fn deliveries_between(
        &self,
        conversation: &ConversationId,
        from: u64,
        through: u64,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError>;
    /// Messages of a conversation that are not read yet, failed ones included, by number.
    fn deliveries_unread(&self, conversation: &ConversationId) -> Result<Vec<Delivery>, StoreError>;
    /// The numbers of a conversation's messages that are not in custody and came no further, by runs without a gap,
    /// ascending, at most `limit` runs.
    fn deliveries_waiting(
        &self,
        conversation: &ConversationId,
        limit: usize,
    ) -> Result<Vec<SeqRange>, StoreError>;
    /// Messages of a conversation that are not sealed yet and did not fail, by number, at most `limit`.
    fn deliveries_unsealed(
        &self,
        conversation: &ConversationId,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError>;
}
