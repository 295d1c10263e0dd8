use undertone_protocol::crypto::{HeaderKey, ReceiverKeyState, SenderKeyState, SessionState};
use undertone_protocol::ids::{ConversationId, DeviceId, SessionId};
use undertone_protocol::time::Timestamp;

/// One Olm session with a peer's device. The one with the largest `used` is sent on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OlmSession {
    /// With whom.
    pub device: DeviceId,
    /// The session's id.
    pub id: [u8; 32],
    /// The ratchet.
    pub state: SessionState,
    /// When it last received something, or was made.
    pub used: Timestamp,
}

/// The outbound sender key (Megolm session) of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderKey {
    /// Which conversation.
    pub conversation: ConversationId,
    /// The ratchet.
    pub state: SenderKeyState,
    /// H.
    pub header_key: HeaderKey,
    /// Who has the key: the recipients of what is sealed under it.
    pub holders: Vec<DeviceId>,
    /// H of the copies for the user's own other devices.
    pub own_header_key: HeaderKey,
    /// Which of the user's own other devices have the key.
    pub own_holders: Vec<DeviceId>,
    /// When it was made; of a group somewhat earlier, at random, so that it is old earlier.
    pub made: Timestamp,
    /// Messages sealed under it.
    pub messages: u64,
    /// Whether an entry of somebody else came since it was made.
    pub turned: bool,
}

/// An inbound sender key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverKey {
    /// The Megolm session.
    pub session: SessionId,
    /// Of which conversation.
    pub conversation: ConversationId,
    /// Whose.
    pub device: DeviceId,
    /// The ratchet.
    pub state: ReceiverKeyState,
    /// H.
    pub header_key: HeaderKey,
    /// Messages below this were opened in order, and their keys forgotten.
    pub next_index: u32,
    /// Tags of messages below this are, or were, expected.
    pub tags_end: u32,
    /// With which number the device's entries that are for this one begin, as it says.
    pub next_seq: u64,
    /// When the key came.
    pub received: Timestamp,
}
