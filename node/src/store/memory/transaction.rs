use std::cmp::Reverse;

use undertone_protocol::crypto::{AccountState, InboundChannel, OutboundChannel};
use undertone_protocol::ids::{
    ChannelHash, ConversationId, DeviceId, EntryId, Handle, PayloadHash, RelayId, SessionId, Tag, UserId,
};
use undertone_protocol::log::{FrontierItem, OrderKey};
use undertone_protocol::receipts::Acknowledgement;
use undertone_protocol::receipts::Tick;
use undertone_protocol::time::Timestamp;

use super::rules::all;
use super::tables::{Counter, Inbound, Tables};
use crate::store::{
    Account, Contact, Cut, Delivery, HomeRelay, NodeTx, OlmSession, OutboxItem, OwnReceipts, PeerDevice,
    Purpose, Quarantined, ReceiverKey, Revocation, SenderKey, StoreError, StoredEntry, StoredInvitation,
};

impl NodeTx for Tables {
    fn account(&self) -> Result<Option<Account>, StoreError> {
        Ok(self.account.get(&()).cloned())
    }

    fn put_account(&mut self, account: &Account) -> Result<(), StoreError> {
        self.account.put((), account.clone());
        Ok(())
    }

    fn olm_account(&self) -> Result<Option<AccountState>, StoreError> {
        Ok(self.olm_account.get(&()).cloned())
    }

    fn put_olm_account(&mut self, state: &AccountState) -> Result<(), StoreError> {
        self.olm_account.put((), state.clone());
        Ok(())
    }

    fn home_relays(&self) -> Result<Vec<HomeRelay>, StoreError> {
        let mut relays = all(self.home_relays.iter());
        relays.sort_by_key(|relay| (relay.priority, relay.address.relay));
        Ok(relays)
    }

    fn home_relay(&self, relay: &RelayId) -> Result<Option<HomeRelay>, StoreError> {
        Ok(self.home_relays.get(relay).cloned())
    }

    fn put_home_relay(&mut self, relay: &HomeRelay) -> Result<(), StoreError> {
        self.home_relays.put(relay.address.relay, relay.clone());
        Ok(())
    }

    fn contact(&self, user: &UserId) -> Result<Option<Contact>, StoreError> {
        Ok(self.contacts.get(user).cloned())
    }

    fn contacts(&self) -> Result<Vec<Contact>, StoreError> {
        let mut contacts = all(self.contacts.iter());
        contacts.sort_by_cached_key(|contact| (contact.name_folded(), contact.user));
        Ok(contacts)
    }

    fn put_contact(&mut self, contact: &Contact) -> Result<(), StoreError> {
        self.contacts.put(contact.user, contact.clone());
        Ok(())
    }

    fn peer_device(&self, device: &DeviceId) -> Result<Option<PeerDevice>, StoreError> {
        Ok(self.peer_devices.get(device).cloned())
    }

    fn put_peer_device(&mut self, device: &PeerDevice) -> Result<(), StoreError> {
        self.peer_devices.put(device.device, device.clone());
        Ok(())
    }

    fn delete_peer_device(&mut self, device: &DeviceId) -> Result<(), StoreError> {
        self.peer_devices.remove(device);
        Ok(())
    }

    fn put_account_change(
        &mut self,
        user: &UserId,
        entry: &EntryId,
        replaces: &[EntryId],
    ) -> Result<(), StoreError> {
        self.account_changes.put((*user, *entry), ());
        for replaced in replaces {
            self.account_replaced.put(*replaced, ());
        }
        Ok(())
    }

    fn account_changes(&self, user: &UserId) -> Result<Vec<EntryId>, StoreError> {
        let first = (*user, EntryId::new([0; 32]));
        let changes = self.account_changes.from(first, move |(of, _)| *of == first.0);
        let changes = changes.map(|((_, entry), ())| *entry);
        Ok(changes.filter(|entry| !self.account_replaced.contains(entry)).collect())
    }

    fn invitation(&self, handle: &Handle) -> Result<Option<StoredInvitation>, StoreError> {
        Ok(self.invitations.get(handle).cloned())
    }

    fn invitations(&self) -> Result<Vec<StoredInvitation>, StoreError> {
        Ok(all(self.invitations.iter()))
    }

    fn put_invitation(&mut self, invitation: &StoredInvitation) -> Result<(), StoreError> {
        self.invitations.put(invitation.handle, invitation.clone());
        Ok(())
    }

    fn delete_invitation(&mut self, handle: &Handle) -> Result<(), StoreError> {
        self.invitations.remove(handle);
        Ok(())
    }

    fn revocations_due(&self, relay: &RelayId, limit: usize) -> Result<Vec<Vec<Handle>>, StoreError> {
        let due = self.revocations_of(relay).filter(|(_, revocation)| !revocation.confirmed);
        Ok(due.map(|((_, path), _)| path.clone()).take(limit).collect())
    }

    fn put_revocation(&mut self, revocation: &Revocation) -> Result<(), StoreError> {
        self.revocations.put((revocation.relay, revocation.path.clone()), revocation.clone());
        Ok(())
    }

    fn reopen_revocations(&mut self, relay: &RelayId) -> Result<(), StoreError> {
        let all: Vec<Revocation> = self.revocations_of(relay).map(|(_, one)| one.clone()).collect();
        for revocation in all {
            self.put_revocation(&Revocation { confirmed: false, ..revocation })?;
        }
        Ok(())
    }

    fn delete_revocations(&mut self, relay: &RelayId) -> Result<(), StoreError> {
        self.revocations.forget(|(of, _), _| of == relay);
        Ok(())
    }

    fn olm_sessions(&self, device: &DeviceId) -> Result<Vec<OlmSession>, StoreError> {
        let device = *device;
        let mut sessions = all(self.olm_sessions.from((device, [0; 32]), move |(of, _)| *of == device));
        sessions.sort_by_key(|session| (Reverse(session.used), session.id));
        Ok(sessions)
    }

    fn put_olm_session(&mut self, session: &OlmSession) -> Result<(), StoreError> {
        self.olm_sessions.put((session.device, session.id), session.clone());
        Ok(())
    }

    fn delete_olm_session(&mut self, device: &DeviceId, id: &[u8; 32]) -> Result<(), StoreError> {
        self.olm_sessions.remove(&(*device, *id));
        Ok(())
    }

    fn prekey_base_seen(&self, base_key: &[u8; 32]) -> Result<bool, StoreError> {
        Ok(self.prekey_bases.contains(base_key))
    }

    fn put_prekey_base(&mut self, base_key: &[u8; 32], at: Timestamp) -> Result<(), StoreError> {
        self.prekey_bases.put(*base_key, at);
        Ok(())
    }

    fn forget_prekey_bases(&mut self, moment: Timestamp) -> Result<(), StoreError> {
        self.prekey_bases.forget(|_, at| *at < moment);
        Ok(())
    }

    fn outbound_channel(&self, device: &DeviceId) -> Result<Option<OutboundChannel>, StoreError> {
        Ok(self.outbound_channels.get(device).cloned())
    }

    fn put_outbound_channel(
        &mut self,
        device: &DeviceId,
        channel: &OutboundChannel,
    ) -> Result<(), StoreError> {
        self.outbound_channels.put(*device, channel.clone());
        Ok(())
    }

    fn inbound_channel(
        &self,
        hash: &ChannelHash,
    ) -> Result<Option<(InboundChannel, Option<DeviceId>)>, StoreError> {
        Ok(self.inbound_channels.get(hash).map(|inbound| (inbound.channel.clone(), inbound.device)))
    }

    fn inbound_channels_of(&self, device: &DeviceId) -> Result<Vec<ChannelHash>, StoreError> {
        let all = self.inbound_channels.iter();
        let mut channels: Vec<_> =
            all.filter(|(_, inbound)| inbound.device.as_ref() == Some(device)).collect();
        channels.sort_by_key(|(_, inbound)| Reverse(inbound.number));
        Ok(channels.into_iter().map(|(hash, _)| *hash).collect())
    }

    fn put_inbound_channel(
        &mut self,
        hash: &ChannelHash,
        channel: &InboundChannel,
        device: Option<&DeviceId>,
    ) -> Result<(), StoreError> {
        let number = match self.inbound_channels.get(hash) {
            Some(held) => held.number,
            None => self.count(Counter::InboundChannels),
        };
        let inbound = Inbound { number, channel: channel.clone(), device: device.copied() };
        self.inbound_channels.put(*hash, inbound);
        Ok(())
    }

    fn delete_inbound_channel(&mut self, hash: &ChannelHash) -> Result<(), StoreError> {
        self.channel_tags.forget(|(_, of), ()| of == hash);
        self.inbound_channels.remove(hash);
        Ok(())
    }

    fn channels_by_tag(&self, tag: &Tag) -> Result<Vec<ChannelHash>, StoreError> {
        let tag = *tag;
        let rows = self.channel_tags.from((tag, ChannelHash::new([0; 32])), move |(of, _)| *of == tag);
        Ok(rows.map(|((_, hash), ())| *hash).collect())
    }

    fn put_channel_tags(&mut self, hash: &ChannelHash, tags: &[Tag]) -> Result<(), StoreError> {
        for tag in tags {
            self.channel_tags.put((*tag, *hash), ());
        }
        Ok(())
    }

    fn delete_channel_tag(&mut self, hash: &ChannelHash, tag: &Tag) -> Result<(), StoreError> {
        self.channel_tags.remove(&(*tag, *hash));
        Ok(())
    }

    fn sender_key(&self, conversation: &ConversationId) -> Result<Option<SenderKey>, StoreError> {
        Ok(self.sender_keys.get(conversation).cloned())
    }

    fn put_sender_key(&mut self, key: &SenderKey) -> Result<(), StoreError> {
        self.sender_keys.put(key.conversation, key.clone());
        Ok(())
    }

    fn receiver_key(&self, session: &SessionId) -> Result<Option<ReceiverKey>, StoreError> {
        Ok(self.receiver_keys.get(session).cloned())
    }

    fn put_receiver_key(&mut self, key: &ReceiverKey) -> Result<(), StoreError> {
        self.receiver_keys.put(key.session, key.clone());
        Ok(())
    }

    fn forget_receiver_keys(&mut self, moment: Timestamp) -> Result<(), StoreError> {
        self.forget_old_receiver_keys(moment);
        Ok(())
    }

    fn sessions_by_tag(&self, tag: &Tag) -> Result<Vec<(SessionId, u32)>, StoreError> {
        let tag = *tag;
        let rows = self.message_tags.from((tag, SessionId::new([0; 32])), move |(of, _)| *of == tag);
        Ok(rows.map(|((_, session), at)| (*session, *at)).collect())
    }

    fn put_message_tags(&mut self, session: &SessionId, tags: &[(Tag, u32)]) -> Result<(), StoreError> {
        for (tag, at) in tags {
            let key = (*tag, *session);
            if !self.message_tags.contains(&key) {
                self.message_tags.put(key, *at);
            }
        }
        Ok(())
    }

    fn delete_message_tag(&mut self, session: &SessionId, tag: &Tag) -> Result<(), StoreError> {
        self.message_tags.remove(&(*tag, *session));
        Ok(())
    }

    fn entry(&self, id: &EntryId) -> Result<Option<StoredEntry>, StoreError> {
        Ok(self.entries.get(id).cloned())
    }

    fn entries_at(
        &self,
        conversation: &ConversationId,
        device: &DeviceId,
        seq: u64,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let first = (*conversation, *device, seq, EntryId::new([0; 32]));
        let rows =
            self.entries_by_seq.from(first, move |(c, d, s, _)| (*c, *d, *s) == (first.0, first.1, seq));
        Ok(rows.filter_map(|((.., id), ())| self.entries.get(id).cloned()).collect())
    }

    fn entries_of(
        &self,
        conversation: &ConversationId,
        device: &DeviceId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let first = (*conversation, *device, from, EntryId::new([0; 32]));
        let rows = self.entries_by_seq.from(first, move |(c, d, ..)| (*c, *d) == (first.0, first.1));
        Ok(rows.filter_map(|((.., id), ())| self.entries.get(id).cloned()).take(limit).collect())
    }

    fn put_entry(&mut self, entry: &StoredEntry) -> Result<(), StoreError> {
        self.insert_or_move_entry(entry);
        Ok(())
    }

    fn children(&self, parent: &EntryId) -> Result<Vec<EntryId>, StoreError> {
        Ok(self.children_of(parent).collect())
    }

    fn heads(&self, conversation: &ConversationId, limit: usize) -> Result<Vec<EntryId>, StoreError> {
        Ok(self.heads_back(conversation).take(limit).collect())
    }

    fn history(
        &self,
        conversation: &ConversationId,
        before: Option<&OrderKey>,
        limit: usize,
    ) -> Result<Vec<StoredEntry>, StoreError> {
        let entries =
            self.places_back(conversation, before).filter_map(|place| self.entries.get(&place.entry));
        let mut entries: Vec<_> = entries.filter(|stored| self.counts(stored)).take(limit).cloned().collect();
        entries.reverse();
        Ok(entries)
    }

    fn frontier(&self, conversation: &ConversationId) -> Result<Vec<(DeviceId, FrontierItem)>, StoreError> {
        let first = (*conversation, DeviceId::new([0; 32]));
        let rows = self.frontiers.from(first, move |(of, _)| *of == first.0);
        Ok(rows.map(|((_, device), item)| (*device, item.clone())).collect())
    }

    fn put_frontier(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        item: &FrontierItem,
    ) -> Result<(), StoreError> {
        self.frontiers.put((*conversation, *device), item.clone());
        Ok(())
    }

    fn cut(&self, conversation: &ConversationId, device: &DeviceId) -> Result<Option<Cut>, StoreError> {
        Ok(self.cuts.get(&(*conversation, *device)).copied())
    }

    fn put_cut(
        &mut self,
        conversation: &ConversationId,
        device: &DeviceId,
        cut: &Cut,
    ) -> Result<(), StoreError> {
        self.cuts.put((*conversation, *device), *cut);
        Ok(())
    }

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
    ) -> Result<Vec<Delivery>, StoreError> {
        Ok(self.deliveries_where(conversation, |delivery| (from..=through).contains(&delivery.seq)))
    }

    fn deliveries_unread(&self, conversation: &ConversationId) -> Result<Vec<Delivery>, StoreError> {
        Ok(self.deliveries_where(conversation, |delivery| delivery.tick < Tick::Read))
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

    fn outbox_len(&self) -> Result<usize, StoreError> {
        Ok(self.outbox.len())
    }

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
