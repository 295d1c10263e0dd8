use undertone_protocol::crypto::{InboundChannel, OutboundChannel};
use undertone_protocol::ids::{ChannelHash, ConversationId, DeviceId, SessionId, Tag};
use undertone_protocol::time::Timestamp;

use crate::store::{OlmSession, ReceiverKey, SenderKey, StoreError};

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
    /// The devices of which inbound sender keys of a conversation are kept, each with the lowest `next_seq` of these, by
    /// device.
    fn next_seqs(&self, conversation: &ConversationId) -> Result<Vec<(DeviceId, u64)>, StoreError>;
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
