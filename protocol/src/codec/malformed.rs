use bytes::Bytes;
use prost::Message;

use crate::ids::WrongLength;
use crate::limits::{PROTOCOL_VERSION, SUITE};

/// Bytes from outside that break the format. The sender is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed {what}: {why}")]
pub struct Malformed {
    /// Which structure.
    pub what: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl Malformed {
    /// A structure and what is wrong with it.
    pub fn new(what: &'static str, why: impl Into<String>) -> Self {
        Self { what, why: why.into() }
    }
}

impl From<WrongLength> for Malformed {
    fn from(error: WrongLength) -> Self {
        Self::new("field", error.to_string())
    }
}

/// Decodes one protobuf message from at most `max` bytes.
pub fn decode<M: Message + Default>(what: &'static str, bytes: &Bytes, max: usize) -> Result<M, Malformed> {
    if bytes.len() > max {
        return Err(Malformed::new(what, format!("{} bytes, at most {max} are allowed", bytes.len())));
    }
    M::decode(bytes.clone()).map_err(|error| Malformed::new(what, error.to_string()))
}

/// A sub-message that must be there.
pub fn required<T>(what: &'static str, field: &'static str, value: Option<T>) -> Result<T, Malformed> {
    value.ok_or_else(|| Malformed::new(what, format!("{field} is missing")))
}

/// Refuses versions and suites that this build does not speak.
pub fn version_and_suite(what: &'static str, version: u32, suite: u32) -> Result<(), Malformed> {
    if version != PROTOCOL_VERSION {
        return Err(Malformed::new(what, format!("version {version}, this build speaks {PROTOCOL_VERSION}")));
    }
    if suite != u32::from(SUITE) {
        return Err(Malformed::new(what, format!("suite {suite}, this build speaks {SUITE}")));
    }
    Ok(())
}
