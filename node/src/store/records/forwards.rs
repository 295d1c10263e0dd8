use undertone_protocol::federation::AnswerKey;
use undertone_protocol::ids::{DeviceId, PayloadHash, RelayId};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::TokenGrant;

/// One item of a publish or a forward that is not answered yet: which outbox item, for which devices, in the route's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentItem {
    /// The outbox item.
    pub outbox: u64,
    /// What the answer names it by.
    pub payload_hash: PayloadHash,
    /// For whom.
    pub devices: Vec<DeviceId>,
    /// By which tokens, in the same order.
    pub tokens: Vec<TokenGrant>,
}

/// Something that was handed to a home relay for another relay, and is not answered yet (`spec/federation.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredForward {
    /// Names it and its destination, and opens the answer.
    pub answer: AnswerKey,
    /// The home relay that got it.
    pub via: RelayId,
    /// When.
    pub made: Timestamp,
    /// Nobody delivers it after this.
    pub not_after: Timestamp,
    /// The home relay holds it durably, and tries until then; `None`: it has not said so.
    pub waits_until: Option<Timestamp>,
    /// What is in it.
    pub items: Vec<SentItem>,
}
