use bytes::Bytes;
use undertone_protocol::ids::PayloadHash;
use undertone_protocol::time::Timestamp;

/// A payload that can't be opened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The payload's hash.
    pub hash: PayloadHash,
    /// The payload.
    pub payload: Bytes,
    /// When it came.
    pub received: Timestamp,
}
