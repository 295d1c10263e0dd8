//! How a request that is not carried out is answered.

use undertone_protocol::codec::Malformed;
use undertone_protocol::ids::WrongLength;
use undertone_protocol::wire;

use crate::store::StoreError;

/// A refusal, before it is put into a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: wire::RefusalCode,
    pub(crate) text: String,
    pub(crate) retry_after_ms: u64,
    /// Whether a frame that asks nothing ends its connection for this.
    pub(crate) fatal: bool,
}

impl Refused {
    pub(crate) fn new(code: wire::RefusalCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), retry_after_ms: 0, fatal: false }
    }

    pub(crate) fn limit(text: impl Into<String>) -> Self {
        Self::new(wire::RefusalCode::Limit, text)
    }

    pub(crate) fn malformed(text: impl Into<String>) -> Self {
        Self { fatal: true, ..Self::new(wire::RefusalCode::Malformed, text) }
    }

    /// A newer client may ask what this relay does not know yet; that ends nothing.
    pub(crate) fn unknown_request() -> Self {
        Self::new(wire::RefusalCode::Malformed, "this relay does not know such a request")
    }

    pub(crate) fn retry_after(text: impl Into<String>, retry_after_ms: u64) -> Self {
        Self { retry_after_ms, ..Self::new(wire::RefusalCode::RetryAfter, text) }
    }

    /// The relay's disk quota has no room for what was asked.
    pub(crate) fn disk_full(retry_after_ms: u64) -> Self {
        Self::retry_after("disk_bytes_max", retry_after_ms)
    }

    pub(crate) fn to_wire(&self) -> wire::Refusal {
        wire::Refusal { code: self.code.into(), text: self.text.clone(), retry_after_ms: self.retry_after_ms }
    }
}

/// Why a request has no answer of its own kind.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The client is told.
    Refused(Refused),
    /// The machine must be dropped.
    Store(StoreError),
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Malformed> for Failed {
    fn from(error: Malformed) -> Self {
        Self::Refused(Refused::malformed(error.to_string()))
    }
}

impl From<WrongLength> for Failed {
    fn from(error: WrongLength) -> Self {
        Malformed::from(error).into()
    }
}
