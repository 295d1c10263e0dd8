use prost::Message;

use super::error::KeysError;
use super::identity::IdentityKey;
use super::name::Name;
use super::source::Source;
use crate::codec::{Label, Signed, decode, sign, version_and_suite};
use crate::ids::{CurveKey, DeviceId, UserId};
use crate::limits::{PROTOCOL_VERSION, SUITE};
use crate::time::Timestamp;
use crate::wire;

const CERTIFICATE_BYTES_MAX: usize = 512;

/// A device, certified by its user's identity key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whose device it is.
    pub user: UserId,
    /// The device's signing key.
    pub device: DeviceId,
    /// The identity key of the device's Olm account.
    pub olm_key: CurveKey,
    /// What the device is called.
    pub name: Name,
    /// When it was certified, by the signer's clock.
    pub created: Timestamp,
    /// The exact bytes.
    pub signed: Signed,
}

impl Certificate {
    /// Certifies a device.
    pub fn issue(
        identity: &IdentityKey,
        device: DeviceId,
        olm_key: CurveKey,
        name: Name,
        created: Timestamp,
    ) -> Self {
        let user = identity.user();
        let body = wire::Certificate {
            version: PROTOCOL_VERSION,
            suite: u32::from(SUITE),
            user: user.to_wire(),
            device: device.to_wire(),
            olm_key: olm_key.to_wire(),
            name: name.as_str().to_owned(),
            created_ms: created.as_ms(),
        };
        let signed = sign(Label::Certificate, identity.signing_key(), body.encode_to_vec());
        Self { user, device, olm_key, name, created, signed }
    }

    /// Checks form and signature. Whether the user is the one expected is the caller's question.
    pub fn verify(signed: Signed) -> Result<Self, KeysError> {
        Self::read(signed, Source::Outside)
    }

    /// From the device's own store: checks the form only. Never for bytes from outside.
    pub fn from_stored(signed: Signed) -> Result<Self, KeysError> {
        Self::read(signed, Source::Store)
    }

    pub(super) fn read(signed: Signed, source: Source) -> Result<Self, KeysError> {
        let body: wire::Certificate = decode("certificate", &signed.body, CERTIFICATE_BYTES_MAX)?;
        version_and_suite("certificate", body.version, body.suite)?;
        let user = UserId::from_slice(&body.user)?;
        source.check(&signed, Label::Certificate, user.as_bytes())?;
        Ok(Self {
            user,
            device: DeviceId::from_slice(&body.device)?,
            olm_key: CurveKey::from_slice(&body.olm_key)?,
            name: Name::new(&body.name)?,
            created: Timestamp::from_ms(body.created_ms),
            signed,
        })
    }
}
