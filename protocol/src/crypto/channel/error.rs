use crate::codec::Malformed;

/// Why a payload of a pairwise channel could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// Bytes that break the format. The sender is at fault.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// No X-Wing key of ours has this id: it died, or the payload is for another device.
    #[error("the payload is for an X-Wing key that we don't have")]
    UnknownKey,
    /// The payload is of another channel, or an index that was opened before.
    #[error("the payload's tag is none that this channel expects")]
    UnknownTag,
    /// An opening envelope of another channel was given to this one. The caller is at fault.
    #[error("the opening envelope belongs to another channel")]
    OtherChannel,
    /// The index was opened before, or is too old to tell.
    #[error("index {0} was opened before, or is below the window")]
    Replay(u64),
    /// The index leads by more than an honest sender's may. The sender is at fault.
    #[error("index {index} is too far ahead, {limit} is the first that is")]
    TooFarAhead {
        /// The payload's index.
        index: u64,
        /// The first index that is refused.
        limit: u64,
    },
    /// The payload was altered, or was not made for us.
    #[error("the payload does not authenticate")]
    Unauthentic,
    /// The content does not fit into one payload. The caller is at fault.
    #[error("the content is too large for one payload")]
    TooLarge,
    /// Too many envelopes are unacknowledged: a new channel is needed. The caller is at fault.
    #[error("a new channel is needed")]
    RenewalDue,
    /// The peer's X-Wing key can't be used. The peer is at fault.
    #[error("the X-Wing key can't be used")]
    BadKey,
}
