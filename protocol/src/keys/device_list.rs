use std::cmp::Ordering;

use prost::Message;

use super::certificate::Certificate;
use super::error::KeysError;
use super::identity::IdentityKey;
use super::source::Source;
use crate::codec::{Label, Malformed, Signed, decode, sign, version_and_suite};
use crate::ids::{DeviceId, DeviceListHash, UserId};
use crate::limits::{DEVICES_PER_USER_MAX, PROTOCOL_VERSION, SUITE};
use crate::wire;

const DEVICE_LIST_BYTES_MAX: usize = 32 * 1024;

/// One device of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDevice {
    /// The device.
    pub certificate: Certificate,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// A user's devices: one link of a chain of identity-signed lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceList {
    /// Whose devices they are.
    pub user: UserId,
    /// The first list is 1; the higher number wins.
    pub number: u64,
    /// The list before it; `None` for the first, or after a reset.
    pub prev: Option<DeviceListHash>,
    /// In the order in which they were added.
    pub devices: Vec<ListedDevice>,
    /// The exact bytes.
    pub signed: Signed,
}

/// What a received list is, next to the one known so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListVerdict {
    /// Nothing was known, or it follows what was known.
    Newer,
    /// The one known.
    Same,
    /// Superseded already.
    Older,
    /// A list without predecessor, with a device that the known one does not have: the user started anew. Answer
    /// with the known list; the owner signs again above it.
    Reset,
    /// Another list in the place of one that is known: the identity key is in two hands.
    Conflict,
}

impl DeviceList {
    /// Signs the list that follows `prev`.
    pub fn issue(identity: &IdentityKey, prev: Option<&Self>, devices: Vec<ListedDevice>) -> Self {
        let user = identity.user();
        let number = prev.map_or(1, |prev| prev.number.saturating_add(1));
        let prev = prev.map(Self::hash);
        let body = wire::DeviceList {
            version: PROTOCOL_VERSION,
            suite: u32::from(SUITE),
            user: user.to_wire(),
            number,
            prev: prev.map(|hash| hash.to_wire()).unwrap_or_default(),
            devices: devices.iter().map(listed_to_wire).collect(),
        };
        let signed = sign(Label::DeviceList, identity.signing_key(), body.encode_to_vec());
        Self { user, number, prev, devices, signed }
    }

    /// Checks form, signature and every certificate in it.
    pub fn verify(signed: Signed) -> Result<Self, KeysError> {
        Self::read(signed, Source::Outside)
    }

    /// From the device's own store: checks the form only. Never for bytes from outside.
    pub fn from_stored(signed: Signed) -> Result<Self, KeysError> {
        Self::read(signed, Source::Store)
    }

    pub(super) fn read(signed: Signed, source: Source) -> Result<Self, KeysError> {
        let body: wire::DeviceList = decode("device list", &signed.body, DEVICE_LIST_BYTES_MAX)?;
        version_and_suite("device list", body.version, body.suite)?;
        let user = UserId::from_slice(&body.user)?;
        source.check(&signed, Label::DeviceList, user.as_bytes())?;
        if body.number == 0 {
            return Err(Malformed::new("device list", "number 0; the first is 1").into());
        }
        if (body.number == 1) != body.prev.is_empty() {
            return Err(
                Malformed::new("device list", "prev must be there for every list but the first").into()
            );
        }
        let prev = (!body.prev.is_empty()).then(|| DeviceListHash::from_slice(&body.prev)).transpose()?;
        let devices = read_devices(&user, body.devices, source)?;
        Ok(Self { user, number: body.number, prev, devices, signed })
    }

    /// BLAKE3 of the signed bytes.
    pub fn hash(&self) -> DeviceListHash {
        DeviceListHash::new(*blake3::hash(&self.signed.body).as_bytes())
    }

    /// Devices that are not revoked.
    pub fn active(&self) -> impl Iterator<Item = &Certificate> {
        self.devices.iter().filter(|listed| !listed.revoked).map(|listed| &listed.certificate)
    }

    /// The certificate of an active device.
    pub fn active_device(&self, device: &DeviceId) -> Option<&Certificate> {
        self.active().find(|certificate| certificate.device == *device)
    }

    /// The certificate of a device, revoked or not.
    pub fn device(&self, device: &DeviceId) -> Option<&Certificate> {
        self.devices
            .iter()
            .map(|listed| &listed.certificate)
            .find(|certificate| certificate.device == *device)
    }

    /// Whether a device stands in it as revoked.
    pub fn has_revoked(&self, device: &DeviceId) -> bool {
        self.devices.iter().any(|listed| listed.revoked && listed.certificate.device == *device)
    }

    /// Judges `self`, just received, by what was `known`. Lists in between may have been missed.
    pub fn judge(&self, known: Option<&Self>) -> ListVerdict {
        let Some(known) = known else { return ListVerdict::Newer };
        if self.hash() == known.hash() {
            return ListVerdict::Same;
        }
        if self.prev.is_none() {
            // The user's own first list comes again with an old bundle; who starts anew has a new device.
            let is_new = |listed: &ListedDevice| known.device(&listed.certificate.device).is_none();
            return if self.devices.iter().any(is_new) { ListVerdict::Reset } else { ListVerdict::Older };
        }
        match self.number.cmp(&known.number) {
            Ordering::Less => ListVerdict::Older,
            Ordering::Equal => ListVerdict::Conflict,
            Ordering::Greater if self.may_follow(known) => ListVerdict::Newer,
            Ordering::Greater => ListVerdict::Conflict,
        }
    }

    /// False only where the chain is seen to be broken: the next number with another predecessor.
    fn may_follow(&self, known: &Self) -> bool {
        self.number != known.number.saturating_add(1) || self.prev == Some(known.hash())
    }
}

fn listed_to_wire(listed: &ListedDevice) -> wire::ListedDevice {
    wire::ListedDevice { certificate: Some(listed.certificate.signed.to_wire()), revoked: listed.revoked }
}

fn read_devices(
    user: &UserId,
    devices: Vec<wire::ListedDevice>,
    source: Source,
) -> Result<Vec<ListedDevice>, KeysError> {
    if devices.is_empty() || devices.len() > DEVICES_PER_USER_MAX {
        return Err(Malformed::new("device list", "1 to 32 devices are allowed").into());
    }
    let mut verified: Vec<ListedDevice> = Vec::with_capacity(devices.len());
    for listed in devices {
        let signed = Signed::required("device list", "certificate", listed.certificate)?;
        let certificate = Certificate::read(signed, source)?;
        if certificate.user != *user {
            return Err(KeysError::WrongUser);
        }
        if verified.iter().any(|other| other.certificate.device == certificate.device) {
            return Err(Malformed::new("device list", "a device stands in it twice").into());
        }
        verified.push(ListedDevice { certificate, revoked: listed.revoked });
    }
    Ok(verified)
}
