use bytes::Bytes;

use crate::ids::{CurveKey, Handle, Locator, MailboxId, RelayId, Secret};
use crate::keys::*;
use crate::time::Timestamp;
use crate::token::{CLASS_0, DELIVER, Step, TokenGrant};

pub(super) const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);

pub(super) fn identity(seed: u8) -> IdentityKey {
    IdentityKey::from_seed(&Secret::new([seed; 32]))
}

pub(super) fn device(seed: u8) -> DeviceKey {
    DeviceKey::from_seed(&Secret::new([seed; 32]))
}

/// The device that is made from `seed`, certified by `identity`.
pub(super) fn certificate(identity: &IdentityKey, seed: u8) -> Certificate {
    let name = Name::new(&format!("device {seed}")).unwrap();
    Certificate::issue(identity, device(seed).device(), CurveKey::new([seed; 32]), name, NOW)
}

/// A list of active devices.
pub(super) fn list(identity: &IdentityKey, prev: Option<&DeviceList>, seeds: &[u8]) -> DeviceList {
    let devices = seeds
        .iter()
        .map(|seed| ListedDevice { certificate: certificate(identity, *seed), revoked: false })
        .collect();
    DeviceList::issue(identity, prev, devices)
}

pub(super) fn relay(seed: u8) -> RelayAddress {
    RelayAddress {
        relay: RelayId::new([seed; 32]),
        addresses: vec![format!("/dns4/relay-{seed}.example/tcp/4001")],
    }
}

pub(super) fn mailbox(seed: u8) -> MailboxAddress {
    MailboxAddress {
        relay: relay(seed),
        mailbox: MailboxId::new([seed; 16]),
        epoch: 1,
        priority: u32::from(seed),
    }
}

/// Two lists of user 1: device 11, and then device 13 in its place.
pub(super) fn lists() -> [DeviceList; 2] {
    let key = identity(1);
    let first = list(&key, None, &[11]);
    let listed = |seed, revoked| ListedDevice { certificate: certificate(&key, seed), revoked };
    let second = DeviceList::issue(&key, Some(&first), vec![listed(11, true), listed(13, false)]);
    [first, second]
}

/// K of the mailbox that is made from `seed`.
pub(super) fn mailbox_secret(seed: u8) -> Secret {
    Secret::new([seed + 40; 32])
}

pub(super) fn bundle(identity: &IdentityKey, seed: u8) -> Bundle {
    let fields = BundleFields {
        certificate: certificate(identity, seed),
        device_list: list(identity, None, &[seed]),
        xwing_key: Bytes::from(vec![9; 1_216]),
        fallback_prekey: CurveKey::new([8; 32]),
        mailboxes: vec![mailbox(1), mailbox(2)],
        issued: NOW,
    };
    Bundle::issue(&device(seed), fields)
}

pub(super) fn invitation() -> Invitation {
    let step = Step {
        rights: DELIVER,
        classes: CLASS_0,
        not_after: Some(Timestamp::from_ms(1_700_604_800_000)),
        ..Step::named(Handle::new([7; 8]))
    };
    let relays = [1, 2].map(|seed| InvitationRelay {
        mailbox: mailbox(seed),
        introduction: TokenGrant::issue(&mailbox_secret(seed), step.clone()),
        locator: Locator::new([seed + 80; 32]),
    });
    Invitation {
        group: None,
        user: identity(1).user(),
        name: Name::new("Ann").unwrap(),
        device: device(11).device(),
        bundle_key: Secret::new([5; 32]),
        relays: relays.to_vec(),
    }
}

/// What device 11 of user 1 says to device 12 of user 2.
pub(super) fn introduction_fields(kind: IntroductionKind) -> IntroductionFields {
    let sender = identity(1);
    let certificate = certificate(&sender, 11);
    IntroductionFields {
        kind,
        recipient_user: identity(2).user(),
        recipient_device: device(12).device(),
        device_list: list(&sender, None, &[11]),
        bundles: vec![BundleAccess {
            device: certificate.device,
            relay: relay(1),
            locator: Locator::new([81; 32]),
            key: Secret::new([5; 32]),
        }],
        grants: vec![DeliveryGrant {
            device: certificate.device,
            mailbox: mailbox(1),
            token: TokenGrant::issue(&mailbox_secret(1), Step::named(Handle::new([6; 8]))),
        }],
        certificate,
        name: Name::new("Ann").unwrap(),
        issued: NOW,
    }
}

pub(super) fn request() -> IntroductionKind {
    IntroductionKind::Request { invitation: Handle::new([7; 8]) }
}
