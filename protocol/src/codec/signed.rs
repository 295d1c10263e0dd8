use bytes::Bytes;
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

use super::{Malformed, required};
use crate::ids::WrongLength;
use crate::wire;

/// What a signature is for. A signature under one label is none under another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// A device certificate, by the identity key.
    Certificate,
    /// A device list, by the identity key.
    DeviceList,
    /// The revocation of a device in a conversation, by the identity key.
    DeviceRevoke,
    /// A bundle, by the device.
    Bundle,
    /// A one-time prekey, by the device.
    Prekey,
    /// A device's checkpoint, by the device.
    Checkpoint,
    /// A request, an accept or a link, by the device.
    Introduction,
    /// A key package, by the device.
    KeyPackage,
    /// An entry's header, by the device.
    Entry,
    /// An operation on a group's membership, by the device.
    Operation,
    /// An acknowledgement entry, by the device.
    Acknowledgement,
    /// A custody receipt, by the relay.
    Custody,
    /// A routing key, by the relay.
    RoutingKey,
    /// A notice that a forward waits, by the relay that holds it.
    Waiting,
    /// A notice that a forward was given up, by the relay that held it.
    DeadLetter,
    /// A relay's addresses, by that relay.
    RelayRecord,
}

impl Label {
    /// The label's bytes, as they are signed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "undertone v1 certificate",
            Self::DeviceList => "undertone v1 device list",
            Self::DeviceRevoke => "undertone v1 device revoke",
            Self::Bundle => "undertone v1 bundle",
            Self::Prekey => "undertone v1 prekey",
            Self::Checkpoint => "undertone v1 checkpoint",
            Self::Introduction => "undertone v1 introduction",
            Self::KeyPackage => "undertone v1 key package",
            Self::Entry => "undertone v1 entry",
            Self::Operation => "undertone v1 operation",
            Self::Acknowledgement => "undertone v1 acknowledgement",
            Self::Custody => "undertone v1 custody receipt",
            Self::RoutingKey => "undertone v1 routing key",
            Self::Waiting => "undertone v1 waiting",
            Self::DeadLetter => "undertone v1 dead letter",
            Self::RelayRecord => "undertone v1 relay record",
        }
    }

    fn message(self, body: &[u8]) -> Vec<u8> {
        let label = self.as_str().as_bytes();
        let mut message = Vec::with_capacity(label.len() + 1 + body.len());
        message.extend_from_slice(label);
        message.push(0);
        message.extend_from_slice(body);
        message
    }
}

/// A signature that does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("bad signature on a {}", .0.as_str())]
pub struct BadSignature(pub Label);

/// An Ed25519 signature.
pub type Signature = [u8; 64];

/// Exact bytes with a signature, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The bytes that were signed (after the label).
    pub body: Bytes,
    /// The signature.
    pub signature: Signature,
}

impl Signed {
    /// Checks the form only.
    pub fn from_wire(signed: wire::Signed) -> Result<Self, Malformed> {
        let signature = signature_from(&signed.signature)?;
        Ok(Self { body: signed.body, signature })
    }

    /// Like [`Self::from_wire`], for a field that must be there.
    pub fn required(
        what: &'static str,
        field: &'static str,
        signed: Option<wire::Signed>,
    ) -> Result<Self, Malformed> {
        Self::from_wire(required(what, field, signed)?)
    }

    /// For the wire.
    pub fn to_wire(&self) -> wire::Signed {
        wire::Signed { body: self.body.clone(), signature: Bytes::copy_from_slice(&self.signature) }
    }

    /// Checks the signature strictly (RFC 8032, with the small-order checks of `verify_strict`).
    pub fn verify(&self, label: Label, key: &[u8; 32]) -> Result<(), BadSignature> {
        verify(label, key, &self.body, &self.signature)
    }
}

/// Signs `body` under `label`.
pub fn sign(label: Label, key: &SigningKey, body: impl Into<Bytes>) -> Signed {
    let body = body.into();
    let signature = key.sign(&label.message(&body)).to_bytes();
    #[cfg(any(test, feature = "testing"))]
    super::verified::is_good([label.as_str().as_bytes(), key.verifying_key().as_bytes(), &signature, &body]);
    Signed { body, signature }
}

/// Checks a signature over `body` under `label`.
pub fn verify(label: Label, key: &[u8; 32], body: &[u8], signature: &Signature) -> Result<(), BadSignature> {
    let check = || verify_strictly(label, key, body, signature);
    #[cfg(any(test, feature = "testing"))]
    let check = || super::verified::verified_once([label.as_str().as_bytes(), key, signature, body], check);
    check()
}

fn verify_strictly(
    label: Label,
    key: &[u8; 32],
    body: &[u8],
    signature: &Signature,
) -> Result<(), BadSignature> {
    let key = VerifyingKey::from_bytes(key).map_err(|_| BadSignature(label))?;
    let signature = ed25519_dalek::Signature::from_bytes(signature);
    key.verify_strict(&label.message(body), &signature).map_err(|_| BadSignature(label))
}

fn signature_from(bytes: &[u8]) -> Result<Signature, WrongLength> {
    bytes.try_into().map_err(|_| WrongLength { what: "signature", expected: 64, got: bytes.len() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_under_its_label_and_bytes_only() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let public = key.verifying_key().to_bytes();
        let signed = sign(Label::Entry, &key, Bytes::from_static(b"hello"));
        assert_eq!(signed.verify(Label::Entry, &public), Ok(()));
        assert_eq!(signed.verify(Label::Bundle, &public), Err(BadSignature(Label::Bundle)));
        let other = Signed { body: Bytes::from_static(b"hellp"), ..signed.clone() };
        assert!(other.verify(Label::Entry, &public).is_err());
        assert!(signed.verify(Label::Entry, &[0; 32]).is_err());
    }
}
