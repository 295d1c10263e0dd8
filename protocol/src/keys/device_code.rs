use std::fmt;

use bytes::Bytes;
use prost::Message;

use super::address::DeliveryGrant;
use super::link::{self, LinkError};
use super::name::Name;
use crate::codec::{Malformed, decode, version_and_suite};
use crate::ids::{CurveKey, DeviceId, Secret};
use crate::limits::{INVITATION_RELAYS_MAX, PROTOCOL_VERSION, SUITE};
use crate::wire;

const SCHEME: &str = "undertone:device/";
const CODE_BYTES_MAX: usize = 8 * 1024;

/// What a new device shows, so that a device of its user can make it one of theirs. The answer is an
/// [`super::Introduction`] of kind `Link`, sealed under `key` and delivered to the device's mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCode {
    /// The new device.
    pub device: DeviceId,
    /// The identity key of its Olm account.
    pub olm_key: CurveKey,
    /// What it is to be called.
    pub name: Name,
    /// Seals the answer: who has it can make the device theirs.
    pub key: Secret,
    /// 1 to 4 mailboxes of the device, with the right to deliver.
    pub grants: Vec<DeliveryGrant>,
}

impl DeviceCode {
    /// Reads a code. Spaces and line breaks in it don't matter.
    pub fn parse(code: &str) -> Result<Self, LinkError> {
        let bytes = link::decode("a device's code", SCHEME, code)?;
        Ok(Self::from_wire(decode("device code", &bytes, CODE_BYTES_MAX)?)?)
    }

    fn from_wire(body: wire::DeviceCode) -> Result<Self, Malformed> {
        version_and_suite("device code", body.version, body.suite)?;
        if body.grants.is_empty() || body.grants.len() > INVITATION_RELAYS_MAX {
            return Err(Malformed::new("device code", "1 to 4 mailboxes are allowed"));
        }
        let code = Self {
            device: DeviceId::from_slice(&body.device)?,
            olm_key: CurveKey::from_slice(&body.olm_key)?,
            name: Name::new(&body.name)?,
            key: Secret::from_slice(&body.key)?,
            grants: body.grants.into_iter().map(DeliveryGrant::from_wire).collect::<Result<_, _>>()?,
        };
        if code.grants.iter().any(|grant| grant.device != code.device) {
            return Err(Malformed::new("device code", "a mailbox of another device"));
        }
        Ok(code)
    }

    fn to_wire(&self) -> wire::DeviceCode {
        wire::DeviceCode {
            version: PROTOCOL_VERSION,
            suite: u32::from(SUITE),
            device: self.device.to_wire(),
            olm_key: self.olm_key.to_wire(),
            name: self.name.as_str().to_owned(),
            key: Bytes::copy_from_slice(self.key.expose()),
            grants: self.grants.iter().map(DeliveryGrant::to_wire).collect(),
        }
    }
}

/// The code. Whoever sees it can make the device theirs, so it is shown to its own user only.
impl fmt::Display for DeviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&link::encode(SCHEME, self.to_wire().encode_to_vec()))
    }
}
