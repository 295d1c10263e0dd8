use rusqlite::Connection;
use undertone_protocol::crypto::{AccountState, InboundChannel, OutboundChannel};
use undertone_protocol::ids::{
    ChannelHash, ConversationId, DeviceId, EntryId, Handle, PayloadHash, RelayId, SessionId, Tag, UserId,
};
use undertone_protocol::log::{FrontierItem, OrderKey};
use undertone_protocol::receipts::Acknowledgement;
use undertone_protocol::time::Timestamp;

use super::{account, conversation, devices, inbox, log, outbox, pairwise, people, receipts, revocations};
use crate::store::{
    Account, Contact, Cut, Delivery, HomeRelay, NodeTx, OlmSession, OutboxItem, OwnReceipts, PeerDevice,
    Purpose, Quarantined, ReceiverKey, Revocation, SenderKey, StoreError, StoredEntry, StoredInvitation,
};

/// A transaction that is under way on a connection. What a method does is in the file of its concern.
pub(super) struct SqliteTx<'a> {
    connection: &'a Connection,
}

impl<'a> SqliteTx<'a> {
    pub(super) const fn new(connection: &'a Connection) -> Self {
        Self { connection }
    }
}

impl NodeTx for SqliteTx<'_> {
    fn account(&self) -> Result<Option<Account>, StoreError> {
        account::account(self.connection)
    }

    fn put_account(&mut self, account: &Account) -> Result<(), StoreError> {
        account::put_account(self.connection, account)
    }

    fn olm_account(&self) -> Result<Option<AccountState>, StoreError> {
        account::olm_account(self.connection)
    }

    fn put_olm_account(&mut self, state: &AccountState) -> Result<(), StoreError> {
        account::put_olm_account(self.connection, state)
    }

    fn home_relays(&self) -> Result<Vec<HomeRelay>, StoreError> {
        account::home_relays(self.connection)
    }

    fn home_relay(&self, relay: &RelayId) -> Result<Option<HomeRelay>, StoreError> {
        account::home_relay(self.connection, relay)
    }

    fn put_home_relay(&mut self, relay: &HomeRelay) -> Result<(), StoreError> {
        account::put_home_relay(self.connection, relay)
    }

    fn contact(&self, user: &UserId) -> Result<Option<Contact>, StoreError> {
        people::contact(self.connection, user)
    }

    fn contacts(&self) -> Result<Vec<Contact>, StoreError> {
        people::contacts(self.connection)
    }

    fn put_contact(&mut self, contact: &Contact) -> Result<(), StoreError> {
        people::put_contact(self.connection, contact)
    }

    fn peer_device(&self, device: &DeviceId) -> Result<Option<PeerDevice>, StoreError> {
        people::peer_device(self.connection, device)
    }

    fn put_peer_device(&mut self, device: &PeerDevice) -> Result<(), StoreError> {
        people::put_peer_device(self.connection, device)
    }

    fn delete_peer_device(&mut self, device: &DeviceId) -> Result<(), StoreError> {
        people::delete_peer_device(self.connection, device)
    }

    fn put_account_change(
        &mut self,
        user: &UserId,
        entry: &EntryId,
        replaces: &[EntryId],
    ) -> Result<(), StoreError> {
        devices::put_account_change(self.connection, user, entry, replaces)
    }

    fn account_changes(&self, user: &UserId) -> Result<Vec<EntryId>, StoreError> {
        devices::account_changes(self.connection, user)
    }

    fn invitation(&self, handle: &Handle) -> Result<Option<StoredInvitation>, StoreError> {
        people::invitation(self.connection, handle)
    }

    fn invitations(&self) -> Result<Vec<StoredInvitation>, StoreError> {
        people::invitations(self.connection)
    }

    fn put_invitation(&mut self, invitation: &StoredInvitation) -> Result<(), StoreError> {
        people::put_invitation(self.connection, invitation)
    }

    fn delete_invitation(&mut self, handle: &Handle) -> Result<(), StoreError> {
        people::delete_invitation(self.connection, handle)
    }

    fn revocations_due(&self, relay: &RelayId, limit: usize) -> Result<Vec<Vec<Handle>>, StoreError> {
        revocations::due(self.connection, relay, limit)
    }

    fn put_revocation(&mut self, revocation: &Revocation) -> Result<(), StoreError> {
        revocations::put(self.connection, revocation)
    }

    fn reopen_revocations(&mut self, relay: &RelayId) -> Result<(), StoreError> {
        revocations::reopen(self.connection, relay)
    }

    fn delete_revocations(&mut self, relay: &RelayId) -> Result<(), StoreError> {
        revocations::delete(self.connection, relay)
    }

    fn olm_sessions(&self, device: &DeviceId) -> Result<Vec<OlmSession>, StoreError> {
        pairwise::olm_sessions(self.connection, device)
    }

    fn put_olm_session(&mut self, session: &OlmSession) -> Result<(), StoreError> {
        pairwise::put_olm_session(self.connection, session)
    }

    fn delete_olm_session(&mut self, device: &DeviceId, id: &[u8; 32]) -> Result<(), StoreError> {
        pairwise::delete_olm_session(self.connection, device, id)
    }

    fn prekey_base_seen(&self, base_key: &[u8; 32]) -> Result<bool, StoreError> {
        pairwise::prekey_base_seen(self.connection, base_key)
    }

    fn put_prekey_base(&mut self, base_key: &[u8; 32], at: Timestamp) -> Result<(), StoreError> {
        pairwise::put_prekey_base(self.connection, base_key, at)
    }

    fn forget_prekey_bases(&mut self, moment: Timestamp) -> Result<(), StoreError> {
        pairwise::forget_prekey_bases(self.connection, moment)
    }

    fn outbound_channel(&self, device: &DeviceId) -> Result<Option<OutboundChannel>, StoreError> {
        pairwise::outbound_channel(self.connection, device)
    }

    fn put_outbound_channel(
        &mut self,
        device: &DeviceId,
        channel: &OutboundChannel,
    ) -> Result<(), StoreError> {
        pairwise::put_outbound_channel(self.connection, device, channel)
    }

    fn inbound_channel(
        &self,
        hash: &ChannelHash,
    ) -> Result<Option<(InboundChannel, Option<DeviceId>)>, StoreError> {
        pairwise::inbound_channel(self.connection, hash)
    }

    fn inbound_channels_of(&self, device: &DeviceId) -> Result<Vec<ChannelHash>, StoreError> {
        pairwise::inbound_channels_of(self.connection, device)
    }

    fn put_inbound_channel(
        &mut self,
        hash: &ChannelHash,
        channel: &InboundChannel,
        device: Option<&DeviceId>,
    ) -> Result<(), StoreError> {
        pairwise::put_inbound_channel(self.connection, hash, channel, device)
    }

    fn delete_inbound_channel(&mut self, hash: &ChannelHash) -> Result<(), StoreError> {
        pairwise::delete_inbound_channel(self.connection, hash)
    }

    fn channels_by_tag(&self, tag: &Tag) -> Result<Vec<ChannelHash>, StoreError> {
        pairwise::channels_by_tag(self.connection, tag)
    }

    fn put_channel_tags(&mut self, hash: &ChannelHash, tags: &[Tag]) -> Result<(), StoreError> {
        pairwise::put_channel_tags(self.connection, hash, tags)
    }

    fn delete_channel_tag(&mut self, hash: &ChannelHash, tag: &Tag) -> Result<(), StoreError> {
        pairwise::delete_channel_tag(self.connection, hash, tag)
    }

    fn sender_key(&self, conversation: &ConversationId) -> Result<Option<SenderKey>, StoreError> {
        conversation::sender_key(self.connection, conversation)
    }

    fn put_sender_key(&mut self, key: &SenderKey) -> Result<(), StoreError> {
        conversation::put_sender_key(self.connection, key)
    }

    fn receiver_key(&self, session: &SessionId) -> Result<Option<ReceiverKey>, StoreError> {
        conversation::receiver_key(self.connection, session)
    }

    fn put_receiver_key(&mut self, key: &ReceiverKey) -> Result<(), StoreError> {
        conversation::put_receiver_key(self.connection, key)
    }

    fn forget_receiver_keys(&mut self, moment: Timestamp) -> Result<(), StoreError> {
        conversation::forget_receiver_keys(self.connection, moment)
    }

    fn sessions_by_tag(&self, tag: &Tag) -> Result<Vec<(SessionId, u32)>, StoreError> {
        conversation::sessions_by_tag(self.connection, tag)
    }

    fn put_message_tags(&mut self, session: &SessionId, tags: &[(Tag, u32)]) -> Result<(), StoreError> {
        conversation::put_message_tags(self.connection, session, tags)
    }

    fn delete_message_tag(&mut self, session: &SessionId, tag: &Tag) -> Result<(), StoreError> {
        conversation::delete_message_tag(self.connection, session, tag)
    }

    fn entry(&self, id: &EntryId) -> Result<Option<StoredEntry>, StoreError> {
        log::entry(self.connection, id)
    }

    fn entries_at(
        &self,
        conversation: &ConversationId,
        device: &DeviceId,
        seq: u64,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        log::entries_at(self.connection, conversation, device, seq)
    }

    fn entries_of(
        &self,
        conversation: &ConversationId,
        device: &DeviceId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        log::entries_of(self.connection, conversation, device, from, limit)
    }

    fn put_entry(&mut self, entry: &StoredEntry) -> Result<(), StoreError> {
        log::put_entry(self.connection, entry)
    }

    fn children(&self, parent: &EntryId) -> Result<Vec<EntryId>, StoreError> {
        log::children(self.connection, parent)
    }

    fn heads(&self, conversation: &ConversationId, limit: usize) -> Result<Vec<EntryId>, StoreError> {
        log::heads(self.connection, conversation, limit)
    }

    fn history(
        &self,
        conversation: &ConversationId,
        before: Option<&OrderKey>,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        log::history(self.connection, conversation, before, limit)
    }

    fn frontier(&self, conversation: &ConversationId) -> Result<Vec<(DeviceId, FrontierItem)>, StoreError> {
        log::frontier(self.connection, conversation)
    }

    fn put_frontier(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        item: &FrontierItem,
    ) -> Result<(), StoreError> {
        log::put_frontier(self.connection, conversation, device, item)
    }

    fn cut(&self, conversation: &ConversationId, device: &DeviceId) -> Result<Option<Cut>, StoreError> {
        devices::cut(self.connection, conversation, device)
    }

    fn put_cut(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        cut: &Cut,
    ) -> Result<(), StoreError> {
        devices::put_cut(self.connection, conversation, device, cut)
    }

    fn acknowledgement(
        &self,
        conversation: &ConversationId,
        device: &DeviceId,
    ) -> Result<Option<Acknowledgement>, StoreError> {
        receipts::acknowledgement(self.connection, conversation, device)
    }

    fn put_acknowledgement(&mut self, acknowledgement: &Acknowledgement) -> Result<(), StoreError> {
        receipts::put_acknowledgement(self.connection, acknowledgement)
    }

    fn own_receipts(&self, conversation: &ConversationId) -> Result<OwnReceipts, StoreError> {
        receipts::own_receipts(self.connection, conversation)
    }

    fn put_own_receipts(
        &mut self,
        conversation: &ConversationId,
        receipts: &OwnReceipts,
    ) -> Result<(), StoreError> {
        receipts::put_own_receipts(self.connection, conversation, receipts)
    }

    fn receipts_due(&self) -> Result<Vec<ConversationId>, StoreError> {
        receipts::receipts_due(self.connection)
    }

    fn delivery(&self, entry: &EntryId) -> Result<Option<Delivery>, StoreError> {
        receipts::delivery(self.connection, entry)
    }

    fn put_delivery(&mut self, delivery: &Delivery) -> Result<(), StoreError> {
        receipts::put_delivery(self.connection, delivery)
    }

    fn deliveries_between(
        &self,
        conversation: &ConversationId,
        from: u64,
        through: u64,
    ) -> Result<Vec<Delivery>, StoreError> {
        receipts::deliveries_between(self.connection, conversation, from, through)
    }

    fn deliveries_unread(&self, conversation: &ConversationId) -> Result<Vec<Delivery>, StoreError> {
        receipts::deliveries_unread(self.connection, conversation)
    }

    fn deliveries_unsealed(
        &self,
        conversation: &ConversationId,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        receipts::deliveries_unsealed(self.connection, conversation, limit)
    }

    fn put_outbox(&mut self, item: &OutboxItem) -> Result<u64, StoreError> {
        outbox::put(self.connection, item)
    }

    fn outbox(&self, id: u64) -> Result<Option<OutboxItem>, StoreError> {
        outbox::get(self.connection, id)
    }

    fn outbox_pending(&self, after_id: u64, limit: usize) -> Result<Vec<OutboxItem>, StoreError> {
        outbox::pending(self.connection, after_id, limit)
    }

    fn outbox_page(&self, after_id: u64, limit: usize) -> Result<Vec<OutboxItem>, StoreError> {
        outbox::page(self.connection, after_id, limit)
    }

    fn outbox_of(&self, purpose: &Purpose) -> Result<Vec<OutboxItem>, StoreError> {
        outbox::of(self.connection, purpose)
    }

    fn outbox_expired(&self, moment: Timestamp, limit: usize) -> Result<Vec<OutboxItem>, StoreError> {
        outbox::expired(self.connection, moment, limit)
    }

    fn delete_outbox(&mut self, id: u64) -> Result<(), StoreError> {
        outbox::delete(self.connection, id)
    }

    fn outbox_len(&self) -> Result<usize, StoreError> {
        outbox::len(self.connection)
    }

    fn seen(&self, hash: &PayloadHash) -> Result<bool, StoreError> {
        inbox::seen(self.connection, hash)
    }

    fn put_seen(&mut self, hash: &PayloadHash, at: Timestamp) -> Result<(), StoreError> {
        inbox::put_seen(self.connection, hash, at)
    }

    fn forget_seen(&mut self, moment: Timestamp) -> Result<(), StoreError> {
        inbox::forget_seen(self.connection, moment)
    }

    fn quarantine(&self, limit: usize) -> Result<Vec<Quarantined>, StoreError> {
        inbox::quarantine(self.connection, limit)
    }

    fn put_quarantine(&mut self, item: &Quarantined) -> Result<(), StoreError> {
        inbox::put_quarantine(self.connection, item)
    }

    fn delete_quarantine(&mut self, hash: &PayloadHash) -> Result<(), StoreError> {
        inbox::delete_quarantine(self.connection, hash)
    }
}
