use prost::Message;

use super::error::KeysError;
use super::identity::DeviceKey;
use crate::codec::{Label, Signed, decode, sign, version_and_suite};
use crate::ids::DeviceId;
use crate::limits::{CHECKPOINT_BYTES_MAX, PROTOCOL_VERSION, SUITE};
use crate::wire;

/// How many envelopes a device made, signed by itself and kept at its home relays. One ahead of the device's own store
/// proves that the store was rolled back, or copied (`spec/devices.md`, "Rolled back").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The number of the next envelope that the device makes; the first is 1.
    pub next: u64,
    /// The exact bytes.
    pub signed: Signed,
}

impl Checkpoint {
    /// Signs a checkpoint.
    pub fn issue(device_key: &DeviceKey, next: u64) -> Self {
        let body = wire::Checkpoint { version: PROTOCOL_VERSION, suite: u32::from(SUITE), next };
        let signed = sign(Label::Checkpoint, device_key.signing_key(), body.encode_to_vec());
        Self { next, signed }
    }

    /// Checks form and signature, and that it is this device's.
    pub fn verify(signed: Signed, device: &DeviceId) -> Result<Self, KeysError> {
        let body: wire::Checkpoint = decode("checkpoint", &signed.body, CHECKPOINT_BYTES_MAX)?;
        version_and_suite("checkpoint", body.version, body.suite)?;
        signed.verify(Label::Checkpoint, device.as_bytes())?;
        Ok(Self { next: body.next, signed })
    }
}
