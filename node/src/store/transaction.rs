//! What a transaction reads and writes, by topic.

use undertone_protocol::crypto::{AccountState, InboundChannel, OutboundChannel};
use undertone_protocol::ids::{
    ChannelHash, ConversationId, DeviceId, EntryId, Handle, PayloadHash, RelayId, SessionId, Tag, UserId,
};
use undertone_protocol::log::{FrontierItem, OrderKey, SeqRange};
use undertone_protocol::receipts::Acknowledgement;
use undertone_protocol::time::Timestamp;

use super::{
    Account, Acknowledged, AcknowledgedBy, Contact, Cut, Delivery, Gap, Group, HomeRelay, Member, OlmSession,
    OutboxHead, OutboxItem, OutboxRecipient, OutboxState, OwnReceipts, PeerDevice, PendingItem, Purpose,
    Quarantined, ReceiverKey, Revocation, SenderKey, StoreError, StoredEntry, StoredInvitation,
};

/// A transaction: reads see its own writes. "put" inserts or replaces.
pub trait NodeTx:
    AccountTx + PeopleTx + GroupsTx + PairwiseTx + SenderKeysTx + LogTx + ReceiptsTx + OutboxTx + InboxTx
{
}

impl<T: AccountTx + PeopleTx + GroupsTx + PairwiseTx + SenderKeysTx + LogTx + ReceiptsTx + OutboxTx + InboxTx>
    NodeTx for T
{
}

/// The account and its home relays.
pub trait AccountTx {
    /// The account; `None` before `init`.
    fn account(&self) -> Result<Option<Account>, StoreError>;
    /// Keeps the account.
    fn put_account(&mut self, account: &Account) -> Result<(), StoreError>;
    /// The Olm account; there from `init` on.
    fn olm_account(&self) -> Result<Option<AccountState>, StoreError>;
    /// Keeps the Olm account.
    fn put_olm_account(&mut self, state: &AccountState) -> Result<(), StoreError>;
    /// All home relays, by priority, then key.
    fn home_relays(&self) -> Result<Vec<HomeRelay>, StoreError>;
    /// One home relay.
    fn home_relay(&self, relay: &RelayId) -> Result<Option<HomeRelay>, StoreError>;
    /// Keeps a home relay.
    fn put_home_relay(&mut self, relay: &HomeRelay) -> Result<(), StoreError>;
    /// Forgets a home relay.
    fn delete_home_relay(&mut self, relay: &RelayId) -> Result<(), StoreError>;
}

/// Contacts, their devices, invitations, and what was revoked.
pub trait PeopleTx {
    /// A contact.
    fn contact(&self, user: &UserId) -> Result<Option<Contact>, StoreError>;
    /// All contacts, by name, letter case aside.
    fn contacts(&self) -> Result<Vec<Contact>, StoreError>;
    /// The contacts of a name, which is as [`Contact::name_folded`] gives it, by user.
    fn contacts_called(&self, folded: &str) -> Result<Vec<UserId>, StoreError>;
    /// Keeps a contact. Its name is unique, letter case aside: the engine sees to it.
    fn put_contact(&mut self, contact: &Contact) -> Result<(), StoreError>;
    /// What is known of a device.
    fn peer_device(&self, device: &DeviceId) -> Result<Option<PeerDevice>, StoreError>;
    /// When the bundle of a device was fetched, if it is known.
    fn peer_fetched(&self, device: &DeviceId) -> Result<Option<Timestamp>, StoreError>;
    /// Keeps a device.
    fn put_peer_device(&mut self, device: &PeerDevice) -> Result<(), StoreError>;
    /// Forgets a device.
    fn delete_peer_device(&mut self, device: &DeviceId) -> Result<(), StoreError>;
    /// An invitation of this device.
    fn invitation(&self, handle: &Handle) -> Result<Option<StoredInvitation>, StoreError>;
    /// All invitations of this device, by handle.
    fn invitations(&self) -> Result<Vec<StoredInvitation>, StoreError>;
    /// Keeps an invitation.
    fn put_invitation(&mut self, invitation: &StoredInvitation) -> Result<(), StoreError>;
    /// Forgets an invitation.
    fn delete_invitation(&mut self, handle: &Handle) -> Result<(), StoreError>;

    /// Paths whose tokens a home relay still has to be told to refuse, by path, at most `limit`.
    fn revocations_due(&self, relay: &RelayId, limit: usize) -> Result<Vec<Vec<Handle>>, StoreError>;
    /// Whether tokens whose path begins exactly so were revoked at a home relay, confirmed or not.
    fn is_revoked(&self, relay: &RelayId, path: &[Handle]) -> Result<bool, StoreError>;
    /// Keeps a revocation.
    fn put_revocation(&mut self, revocation: &Revocation) -> Result<(), StoreError>;
    /// A relay forgot everything: it has to be told all its revocations again.
    fn reopen_revocations(&mut self, relay: &RelayId) -> Result<(), StoreError>;
    /// Forgets all revocations at a relay: the tokens are void by a new epoch.
    fn delete_revocations(&mut self, relay: &RelayId) -> Result<(), StoreError>;

    /// Remembers that `entry` set the account's record of `user` in the place of what the entries `replaces`
    /// set: each of these is replaced, whether it was put already or is put later. Said again, or in another
    /// order, it comes to the same.
    fn put_account_change(
        &mut self,
        user: &UserId,
        entry: &EntryId,
        replaces: &[EntryId],
    ) -> Result<(), StoreError>;
    /// The entries that set the account's record of a user and that no other one replaces, by id: more than
    /// one when devices set it at once.
    fn account_changes(&self, user: &UserId) -> Result<Vec<EntryId>, StoreError>;
}

/// Groups, and what is kept of their members.
pub trait GroupsTx {
    /// A group.
    fn group(&self, id: &ConversationId) -> Result<Option<Group>, StoreError>;
    /// All groups, by id.
    fn groups(&self) -> Result<Vec<Group>, StoreError>;
    /// Keeps a group.
    fn put_group(&mut self, group: &Group) -> Result<(), StoreError>;
    /// A group's membership document: as it was put, and then each part that was added; empty if it was not put.
    fn group_document(&self, id: &ConversationId) -> Result<Vec<Vec<u8>>, StoreError>;
    /// Keeps a group's membership document, in the place of an earlier one with all of its parts.
    fn put_group_document(&mut self, id: &ConversationId, document: &[u8]) -> Result<(), StoreError>;
    /// Keeps a part of a group's membership document behind what is there of it.
    fn add_to_group_document(&mut self, id: &ConversationId, part: &[u8]) -> Result<(), StoreError>;
    /// What is kept of a member.
    fn member(&self, group: &ConversationId, user: &UserId) -> Result<Option<Member>, StoreError>;
    /// What is kept of all members of a group, former ones included, by user.
    fn members(&self, group: &ConversationId) -> Result<Vec<Member>, StoreError>;
    /// The groups of which something is kept of a user, by id.
    fn groups_of(&self, user: &UserId) -> Result<Vec<ConversationId>, StoreError>;
    /// Keeps what is known of a member.
    fn put_member(&mut self, member: &Member) -> Result<(), StoreError>;
    /// Forgets a member.
    fn delete_member(&mut self, group: &ConversationId, user: &UserId) -> Result<(), StoreError>;
}

/// Olm sessions and channels.
pub trait PairwiseTx {
    /// All Olm sessions with a device, the last used first (ties by id).
    fn olm_sessions(&self, device: &DeviceId) -> Result<Vec<OlmSession>, StoreError>;
    /// Keeps an Olm session.
    fn put_olm_session(&mut self, session: &OlmSession) -> Result<(), StoreError>;
    /// Forgets an Olm session.
    fn delete_olm_session(&mut self, device: &DeviceId, id: &[u8; 32]) -> Result<(), StoreError>;
    /// Whether a session was opened here from this prekey message's base key.
    fn prekey_base_seen(&self, base_key: &[u8; 32]) -> Result<bool, StoreError>;
    /// Remembers a base key.
    fn put_prekey_base(&mut self, base_key: &[u8; 32], at: Timestamp) -> Result<(), StoreError>;
    /// Forgets base keys from before `moment`.
    fn forget_prekey_bases(&mut self, moment: Timestamp) -> Result<(), StoreError>;
    /// The channel to a device.
    fn outbound_channel(&self, device: &DeviceId) -> Result<Option<OutboundChannel>, StoreError>;
    /// Keeps the channel to a device, in the place of an older one.
    fn put_outbound_channel(
        &mut self,
        device: &DeviceId,
        channel: &OutboundChannel,
    ) -> Result<(), StoreError>;
    /// Forgets the channel to a device.
    fn delete_outbound_channel(&mut self, device: &DeviceId) -> Result<(), StoreError>;
    /// A channel from a device, with the device once it is known.
    fn inbound_channel(
        &self,
        hash: &ChannelHash,
    ) -> Result<Option<(InboundChannel, Option<DeviceId>)>, StoreError>;
    /// All channels from a device, the newest first, by when they were first put.
    fn inbound_channels_of(&self, device: &DeviceId) -> Result<Vec<ChannelHash>, StoreError>;
    /// Keeps a channel from a device.
    fn put_inbound_channel(
        &mut self,
        hash: &ChannelHash,
        channel: &InboundChannel,
        device: Option<&DeviceId>,
    ) -> Result<(), StoreError>;
    /// Forgets a channel and its tags.
    fn delete_inbound_channel(&mut self, hash: &ChannelHash) -> Result<(), StoreError>;
    /// Which channels expect this tag.
    fn channels_by_tag(&self, tag: &Tag) -> Result<Vec<ChannelHash>, StoreError>;
    /// Expects tags on a channel; known ones stay.
    fn put_channel_tags(&mut self, hash: &ChannelHash, tags: &[Tag]) -> Result<(), StoreError>;
    /// Expects a tag no more.
    fn delete_channel_tag(&mut self, hash: &ChannelHash, tag: &Tag) -> Result<(), StoreError>;
}

/// Sender keys of conversations.
pub trait SenderKeysTx {
    /// The outbound sender key of a conversation.
    fn sender_key(&self, conversation: &ConversationId) -> Result<Option<SenderKey>, StoreError>;
    /// Keeps it, in the place of an older one.
    fn put_sender_key(&mut self, key: &SenderKey) -> Result<(), StoreError>;
    /// An inbound sender key.
    fn receiver_key(&self, session: &SessionId) -> Result<Option<ReceiverKey>, StoreError>;
    /// Keeps an inbound sender key.
    fn put_receiver_key(&mut self, key: &ReceiverKey) -> Result<(), StoreError>;
    /// Forgets inbound sender keys, and their tags, that came before `moment`.
    fn forget_receiver_keys(&mut self, moment: Timestamp) -> Result<(), StoreError>;
    /// Forgets all inbound sender keys of a device, and their tags, that came before `moment`.
    fn forget_receiver_keys_of(&mut self, device: &DeviceId, moment: Timestamp) -> Result<(), StoreError>;
    /// Forgets the inbound sender keys of a device, and their tags, that came first, until `keys_max` are left: ties by
    /// session.
    fn trim_receiver_keys(&mut self, device: &DeviceId, keys_max: usize) -> Result<(), StoreError>;
    /// Which sessions expect this tag, and at which index.
    fn sessions_by_tag(&self, tag: &Tag) -> Result<Vec<(SessionId, u32)>, StoreError>;
    /// Expects tags of a session; known ones stay.
    fn put_message_tags(&mut self, session: &SessionId, tags: &[(Tag, u32)]) -> Result<(), StoreError>;
    /// Expects a tag no more.
    fn delete_message_tag(&mut self, session: &SessionId, tag: &Tag) -> Result<(), StoreError>;
}

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
