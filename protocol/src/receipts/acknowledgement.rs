use prost::Message;
use prost::bytes::Bytes;

use super::authors::Authors;
use crate::codec::{BadSignature, Label, Malformed, Signed, decode, required, sign, version_and_suite};
use crate::ids::{ConversationId, DeviceId, WrongLength};
use crate::keys::DeviceKey;
use crate::limits::{PAYLOAD_BYTES_MAX, PROTOCOL_VERSION, SUITE};
use crate::log::Frontier;
use crate::time::Timestamp;
use crate::wire;

/// More than two frontiers of FRONTIER_DEVICES_MAX devices take, each with as many ranges as it may have.
const STORED_BYTES_MAX: usize = 24 * 1024 * 1024;

/// A device's signed, cumulative, latest-wins word on what it has and what its user has read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// What it says.
    pub fields: AcknowledgementFields,
    /// The exact bytes.
    pub signed: Signed,
}

/// What an acknowledgement says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcknowledgementFields {
    /// Of which conversation.
    pub conversation: ConversationId,
    /// Who acknowledges.
    pub device: DeviceId,
    /// The device's own count in this conversation: the highest wins.
    pub counter: u64,
    /// What the device has.
    pub delivered: Frontier,
    /// What the user has read.
    pub read: Frontier,
    /// When it was made, by the device's clock.
    pub at: Timestamp,
    /// Of whose entries it speaks.
    pub authors: Authors,
}

/// Why an acknowledgement is refused. Its device is at fault, or whoever altered it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AcknowledgementError {
    /// It breaks the format.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The device did not sign it.
    #[error(transparent)]
    BadSignature(#[from] BadSignature),
}

impl From<WrongLength> for AcknowledgementError {
    fn from(error: WrongLength) -> Self {
        Self::Malformed(error.into())
    }
}

impl Acknowledgement {
    /// Signs an acknowledgement.
    pub fn issue(key: &DeviceKey, fields: AcknowledgementFields) -> Self {
        let body = wire::Acknowledgement {
            version: PROTOCOL_VERSION,
            suite: u32::from(SUITE),
            conversation: fields.conversation.to_wire(),
            device: fields.device.to_wire(),
            counter: fields.counter,
            delivered: Some(fields.delivered.to_wire()),
            read: Some(fields.read.to_wire()),
            at_ms: fields.at.as_ms(),
            after: fields.authors.after.map(|device| device.to_wire()).unwrap_or_default(),
            through: fields.authors.through.map(|device| device.to_wire()).unwrap_or_default(),
        };
        let signed = sign(Label::Acknowledgement, key.signing_key(), body.encode_to_vec());
        Self { fields, signed }
    }

    /// Checks form and signature. Whether the device belongs to the conversation is the caller's question.
    pub fn verify(signed: Signed) -> Result<Self, AcknowledgementError> {
        let acknowledgement = Self::read(signed, PAYLOAD_BYTES_MAX)?;
        let device = &acknowledgement.fields.device;
        acknowledgement.signed.verify(Label::Acknowledgement, device.as_bytes())?;
        Ok(acknowledgement)
    }

    /// From the device's own store: checks the form only. Never for bytes from outside. What this device keeps of all
    /// that it told in a large group is more than would ever travel.
    pub fn from_stored(signed: Signed) -> Result<Self, AcknowledgementError> {
        Self::read(signed, STORED_BYTES_MAX)
    }

    fn read(signed: Signed, bytes_max: usize) -> Result<Self, AcknowledgementError> {
        let body: wire::Acknowledgement = decode("acknowledgement", &signed.body, bytes_max)?;
        version_and_suite("acknowledgement", body.version, body.suite)?;
        let device = DeviceId::from_slice(&body.device)?;
        let delivered = Frontier::from_wire(required("acknowledgement", "delivered", body.delivered)?)?;
        let read = Frontier::from_wire(required("acknowledgement", "read", body.read)?)?;
        let authors = Authors { after: end(&body.after)?, through: end(&body.through)? };
        let fields = AcknowledgementFields {
            conversation: ConversationId::from_slice(&body.conversation)?,
            device,
            counter: body.counter,
            authors: authors.checked([&delivered, &read])?,
            delivered,
            read,
            at: Timestamp::from_ms(body.at_ms),
        };
        Ok(Self { fields, signed })
    }
}

/// An end of the range of devices of which an acknowledgement speaks.
fn end(bytes: &Bytes) -> Result<Option<DeviceId>, WrongLength> {
    (!bytes.is_empty()).then(|| DeviceId::from_slice(bytes)).transpose()
}
