use prost::Message;

use super::address::{BundleAccess, DeliveryGrant};
use super::certificate::Certificate;
use super::device_list::DeviceList;
use super::error::KeysError;
use super::identity::DeviceKey;
use super::name::Name;
use crate::codec::{Label, Malformed, Signed, decode, required, sign, version_and_suite};
use crate::ids::{ConversationId, CurveKey, DeviceId, Handle, UserId};
use crate::limits::{DEVICES_PER_USER_MAX, HOME_RELAYS_MAX, PAYLOAD_BYTES_MAX, PROTOCOL_VERSION, SUITE};
use crate::time::Timestamp;
use crate::wire;

/// First contact (a request), the answer to it (an accept), what makes a new device one of the sender's user (a link), or
/// what members of a group say to each other: who the sender is and how to reach them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// What it says.
    pub fields: IntroductionFields,
    /// The exact bytes.
    pub signed: Signed,
}

/// What an introduction says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntroductionFields {
    /// Request or accept.
    pub kind: IntroductionKind,
    /// Whom it is for.
    pub recipient_user: UserId,
    /// Which of their devices it is for.
    pub recipient_device: DeviceId,
    /// The sending device.
    pub certificate: Certificate,
    /// The sender's devices.
    pub device_list: DeviceList,
    /// Where their bundles lie.
    pub bundles: Vec<BundleAccess>,
    /// All their mailboxes, with tokens for the recipient.
    pub grants: Vec<DeliveryGrant>,
    /// What the sender calls themselves.
    pub name: Name,
    /// When it was made, by the sender's clock; the latest wins.
    pub issued: Timestamp,
}

/// What an introduction is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntroductionKind {
    /// Asks to be let in, by the invitation of this name.
    Request {
        /// The first handle of the invitation's token.
        invitation: Handle,
    },
    /// Lets the other side in, or says anew how to reach the sender.
    Accept,
    /// Answers a device's code: the recipient is a device of the sender's user from here on.
    Link,
    /// Says to a device of another member how to reach this one, in their group.
    Member {
        /// Which group.
        group: ConversationId,
    },
}

impl Introduction {
    /// Signs an introduction.
    pub fn issue(key: &DeviceKey, fields: IntroductionFields) -> Self {
        let none = bytes::Bytes::new;
        let (kind, invitation, group) = match fields.kind {
            IntroductionKind::Request { invitation } => {
                (wire::IntroductionKind::Request, invitation.to_wire(), none())
            }
            IntroductionKind::Accept => (wire::IntroductionKind::Accept, none(), none()),
            IntroductionKind::Link => (wire::IntroductionKind::Link, none(), none()),
            IntroductionKind::Member { group } => (wire::IntroductionKind::Member, none(), group.to_wire()),
        };
        let body = wire::Introduction {
            version: PROTOCOL_VERSION,
            suite: u32::from(SUITE),
            kind: kind.into(),
            recipient_user: fields.recipient_user.to_wire(),
            recipient_device: fields.recipient_device.to_wire(),
            certificate: Some(fields.certificate.signed.to_wire()),
            device_list: Some(fields.device_list.signed.to_wire()),
            bundles: fields.bundles.iter().map(BundleAccess::to_wire).collect(),
            grants: fields.grants.iter().map(DeliveryGrant::to_wire).collect(),
            profile: Some(wire::Profile { name: fields.name.as_str().to_owned() }),
            issued_ms: fields.issued.as_ms(),
            invitation,
            group,
        };
        let signed = sign(Label::Introduction, key.signing_key(), body.encode_to_vec());
        Self { fields, signed }
    }

    /// Checks form and signatures, that it is for this user and device, and that its sender is an active
    /// device of its own list. Who the sender is the caller learns from the result. No link passes.
    pub fn verify(signed: Signed, user: &UserId, device: &DeviceId) -> Result<Self, KeysError> {
        let introduction = Self::verify_any(signed)?;
        let fields = &introduction.fields;
        if fields.recipient_user != *user || fields.recipient_device != *device {
            return Err(KeysError::WrongRecipient);
        }
        if fields.kind == IntroductionKind::Link {
            return Err(Malformed::new("introduction", "a link where none is asked for").into());
        }
        Ok(introduction)
    }

    /// Checks a link for a new device: form and signatures, that sender and recipient are active devices of the
    /// one user's list, and the certificate there names this Olm key. Gives the recipient's certificate along.
    pub fn verify_link(
        signed: Signed,
        device: &DeviceId,
        olm_key: &CurveKey,
    ) -> Result<(Self, Certificate), KeysError> {
        let introduction = Self::verify_any(signed)?;
        let fields = &introduction.fields;
        if fields.kind != IntroductionKind::Link {
            return Err(Malformed::new("introduction", "it is no link").into());
        }
        if fields.recipient_user != fields.device_list.user || fields.recipient_device != *device {
            return Err(KeysError::WrongRecipient);
        }
        let own = fields.device_list.active_device(device).cloned().ok_or(KeysError::NotListed)?;
        if own.olm_key != *olm_key {
            return Err(KeysError::WrongDevice);
        }
        Ok((introduction, own))
    }

    fn verify_any(signed: Signed) -> Result<Self, KeysError> {
        let body: wire::Introduction = decode("introduction", &signed.body, PAYLOAD_BYTES_MAX)?;
        version_and_suite("introduction", body.version, body.suite)?;
        let recipient_user = UserId::from_slice(&body.recipient_user)?;
        let recipient_device = DeviceId::from_slice(&body.recipient_device)?;
        let certificate =
            Certificate::verify(Signed::required("introduction", "certificate", body.certificate)?)?;
        let device_list =
            DeviceList::verify(Signed::required("introduction", "device list", body.device_list)?)?;
        if certificate.user != device_list.user {
            return Err(KeysError::WrongUser);
        }
        if device_list.active_device(&certificate.device) != Some(&certificate) {
            return Err(KeysError::NotListed);
        }
        signed.verify(Label::Introduction, certificate.device.as_bytes())?;
        let profile = required("introduction", "profile", body.profile)?;
        let fields = IntroductionFields {
            kind: kind(body.kind, &body.invitation, &body.group)?,
            recipient_user,
            recipient_device,
            bundles: bundles(&device_list, body.bundles)?,
            grants: grants(&device_list, body.grants)?,
            certificate,
            device_list,
            name: Name::new(&profile.name)?,
            issued: Timestamp::from_ms(body.issued_ms),
        };
        Ok(Self { fields, signed })
    }
}

fn kind(kind: i32, invitation: &[u8], group: &[u8]) -> Result<IntroductionKind, KeysError> {
    match wire::IntroductionKind::try_from(kind) {
        Ok(wire::IntroductionKind::Request) => {
            Ok(IntroductionKind::Request { invitation: Handle::from_slice(invitation)? })
        }
        Ok(wire::IntroductionKind::Accept) => Ok(IntroductionKind::Accept),
        Ok(wire::IntroductionKind::Link) => Ok(IntroductionKind::Link),
        Ok(wire::IntroductionKind::Member) => {
            Ok(IntroductionKind::Member { group: ConversationId::from_slice(group)? })
        }
        _ => Err(Malformed::new("introduction", "unknown kind").into()),
    }
}

const ADDRESSES_MAX: usize = DEVICES_PER_USER_MAX * HOME_RELAYS_MAX;

fn bundles(list: &DeviceList, bundles: Vec<wire::BundleAccess>) -> Result<Vec<BundleAccess>, KeysError> {
    if bundles.is_empty() || bundles.len() > ADDRESSES_MAX {
        return Err(Malformed::new("introduction", "1 to 256 bundles are allowed").into());
    }
    let bundles: Vec<_> = bundles.into_iter().map(BundleAccess::from_wire).collect::<Result<_, _>>()?;
    all_listed(list, bundles.iter().map(|access| &access.device))?;
    Ok(bundles)
}

fn grants(list: &DeviceList, grants: Vec<wire::DeliveryGrant>) -> Result<Vec<DeliveryGrant>, KeysError> {
    if grants.is_empty() || grants.len() > ADDRESSES_MAX {
        return Err(Malformed::new("introduction", "1 to 256 mailboxes are allowed").into());
    }
    let grants: Vec<_> = grants.into_iter().map(DeliveryGrant::from_wire).collect::<Result<_, _>>()?;
    all_listed(list, grants.iter().map(|grant| &grant.device))?;
    Ok(grants)
}

fn all_listed<'a>(
    list: &DeviceList,
    mut devices: impl Iterator<Item = &'a DeviceId>,
) -> Result<(), KeysError> {
    if devices.all(|device| list.active_device(device).is_some()) {
        Ok(())
    } else {
        Err(KeysError::NotListed)
    }
}
