use bytes::Bytes;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use prost::Message;
use rand_core::CryptoRng;

use super::address::MailboxAddress;
use super::certificate::Certificate;
use super::device_list::DeviceList;
use super::error::KeysError;
use super::identity::DeviceKey;
use super::source::Source;
use crate::codec::{Label, Malformed, Signed, decode, sign, version_and_suite};
use crate::ids::{CurveKey, DeviceId, Locator, Secret, UserId};
use crate::limits::{BUNDLE_BYTES_MAX, HOME_RELAYS_MAX, PREKEY_BYTES_MAX, PROTOCOL_VERSION, SUITE};
use crate::time::Timestamp;
use crate::wire;

/// Bytes of an X-Wing public key.
const XWING_KEY_BYTES: usize = 1_216;
const NONCE_BYTES: usize = 12;

/// What a sender must know to reach a device, signed by the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// What it says.
    pub fields: BundleFields,
    /// The exact bytes.
    pub signed: Signed,
}

/// What a bundle says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleFields {
    /// The device, certified by its user.
    pub certificate: Certificate,
    /// The newest list that the device knows.
    pub device_list: DeviceList,
    /// The device's X-Wing public key, 1,216 bytes.
    pub xwing_key: Bytes,
    /// Serves where no one-time prekey is left.
    pub fallback_prekey: CurveKey,
    /// The device's mailboxes.
    pub mailboxes: Vec<MailboxAddress>,
    /// When it was made, by the device's clock.
    pub issued: Timestamp,
}

impl Bundle {
    /// Signs a bundle.
    pub fn issue(key: &DeviceKey, fields: BundleFields) -> Self {
        let body = wire::Bundle {
            version: PROTOCOL_VERSION,
            suite: u32::from(SUITE),
            certificate: Some(fields.certificate.signed.to_wire()),
            device_list: Some(fields.device_list.signed.to_wire()),
            xwing_key: fields.xwing_key.clone(),
            fallback_prekey: fields.fallback_prekey.to_wire(),
            mailboxes: fields.mailboxes.iter().map(MailboxAddress::to_wire).collect(),
            issued_ms: fields.issued.as_ms(),
        };
        let signed = sign(Label::Bundle, key.signing_key(), body.encode_to_vec());
        Self { fields, signed }
    }

    /// Checks form and signatures, and that it speaks for this device of this user, active in the list.
    pub fn verify(signed: Signed, user: &UserId, device: &DeviceId) -> Result<Self, KeysError> {
        Self::read(signed, user, device, Source::Outside)
    }

    /// From the device's own store: checks the form, and whose it is. Never for bytes from outside.
    pub fn from_stored(signed: Signed, user: &UserId, device: &DeviceId) -> Result<Self, KeysError> {
        Self::read(signed, user, device, Source::Store)
    }

    fn read(signed: Signed, user: &UserId, device: &DeviceId, source: Source) -> Result<Self, KeysError> {
        let body: wire::Bundle = decode("bundle", &signed.body, BUNDLE_BYTES_MAX)?;
        version_and_suite("bundle", body.version, body.suite)?;
        let certificate = Signed::required("bundle", "certificate", body.certificate)?;
        let certificate = Certificate::read(certificate, source)?;
        let device_list = Signed::required("bundle", "device list", body.device_list)?;
        let device_list = DeviceList::read(device_list, source)?;
        if certificate.user != *user || device_list.user != *user {
            return Err(KeysError::WrongUser);
        }
        if certificate.device != *device {
            return Err(KeysError::WrongDevice);
        }
        if device_list.active_device(device) != Some(&certificate) {
            return Err(KeysError::NotListed);
        }
        source.check(&signed, Label::Bundle, device.as_bytes())?;
        let fields = BundleFields {
            certificate,
            device_list,
            xwing_key: xwing_key(body.xwing_key)?,
            fallback_prekey: CurveKey::from_slice(&body.fallback_prekey)?,
            mailboxes: mailboxes(body.mailboxes)?,
            issued: Timestamp::from_ms(body.issued_ms),
        };
        Ok(Self { fields, signed })
    }
}

fn xwing_key(key: Bytes) -> Result<Bytes, Malformed> {
    if key.len() != XWING_KEY_BYTES {
        return Err(Malformed::new("bundle", format!("X-Wing key of {} bytes, not 1,216", key.len())));
    }
    Ok(key)
}

fn mailboxes(mailboxes: Vec<wire::MailboxAddress>) -> Result<Vec<MailboxAddress>, Malformed> {
    if mailboxes.len() > HOME_RELAYS_MAX {
        return Err(Malformed::new("bundle", "more than 8 mailboxes"));
    }
    mailboxes.into_iter().map(MailboxAddress::from_wire).collect()
}

/// A one-time prekey, signed by its device so that no relay can put its own in the place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prekey {
    /// The Curve25519 public key.
    pub key: CurveKey,
    /// The exact bytes.
    pub signed: Signed,
}

impl Prekey {
    /// Signs a prekey.
    pub fn issue(device_key: &DeviceKey, key: CurveKey) -> Self {
        let body = wire::Prekey {
            version: PROTOCOL_VERSION,
            suite: u32::from(SUITE),
            device: device_key.device().to_wire(),
            key: key.to_wire(),
        };
        let signed = sign(Label::Prekey, device_key.signing_key(), body.encode_to_vec());
        Self { key, signed }
    }

    /// Checks form and signature, and that it is this device's.
    pub fn verify(signed: Signed, device: &DeviceId) -> Result<Self, KeysError> {
        let body: wire::Prekey = decode("prekey", &signed.body, PREKEY_BYTES_MAX)?;
        version_and_suite("prekey", body.version, body.suite)?;
        if body.device.as_ref() != device.as_bytes() {
            return Err(KeysError::WrongDevice);
        }
        signed.verify(Label::Prekey, device.as_bytes())?;
        Ok(Self { key: CurveKey::from_slice(&body.key)?, signed })
    }
}

/// What a sealed blob at a relay holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealedBlob {
    /// A bundle.
    Bundle,
    /// A one-time prekey.
    Prekey,
}

impl SealedBlob {
    const fn kind(self) -> u8 {
        match self {
            Self::Bundle => 0x10,
            Self::Prekey => 0x11,
        }
    }

    /// `version ‖ suite ‖ kind`, as they stand before the nonce.
    fn header(self) -> [u8; 3] {
        // The version fits a byte until 255.
        [u8::try_from(PROTOCOL_VERSION).unwrap_or(u8::MAX), SUITE, self.kind()]
    }

    fn associated(self, locator: &Locator) -> Vec<u8> {
        [self.header().as_slice(), locator.as_bytes()].concat()
    }
}

/// Seals what lies at a relay under `locator`: `version ‖ suite ‖ kind ‖ nonce (12) ‖ ChaCha20-Poly1305`,
/// with the first three bytes and the locator as associated data.
pub fn seal_blob(
    blob: SealedBlob,
    signed: &Signed,
    key: &Secret,
    locator: &Locator,
    rng: &mut impl CryptoRng,
) -> Bytes {
    let mut nonce = [0; NONCE_BYTES];
    rng.fill_bytes(&mut nonce);
    let associated = blob.associated(locator);
    let message = signed.to_wire().encode_to_vec();
    let sealed = ChaCha20Poly1305::new(key.expose().into())
        .encrypt(&nonce.into(), Payload { msg: &message, aad: &associated })
        // It fails for messages of 256 GiB only.
        .unwrap_or_default();
    [blob.header().as_slice(), &nonce, &sealed].concat().into()
}

/// Opens what [`seal_blob`] sealed.
pub fn open_blob(
    blob: SealedBlob,
    sealed: &[u8],
    key: &Secret,
    locator: &Locator,
) -> Result<Signed, KeysError> {
    let body = sealed
        .strip_prefix(blob.header().as_slice())
        .ok_or_else(|| Malformed::new("sealed blob", "another version, suite or kind"))?;
    let (nonce, ciphertext) =
        body.split_first_chunk::<NONCE_BYTES>().ok_or_else(|| Malformed::new("sealed blob", "too short"))?;
    let associated = blob.associated(locator);
    let message = ChaCha20Poly1305::new(key.expose().into())
        .decrypt(&(*nonce).into(), Payload { msg: ciphertext, aad: &associated })
        .map_err(|_| KeysError::WrongKey)?;
    let signed: wire::Signed = decode("sealed blob", &message.into(), BUNDLE_BYTES_MAX)?;
    Ok(Signed::from_wire(signed)?)
}
