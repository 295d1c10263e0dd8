use bytes::Bytes;
use undertone_protocol::crypto::XWingKey;
use undertone_protocol::ids::{CurveKey, Secret, UserId};
use undertone_protocol::keys::{
    Bundle, BundleFields, Certificate, DeviceKey, DeviceList, IdentityKey, IntroductionFields,
    IntroductionKind, ListedDevice, Name,
};

use super::super::run::{everything, note_listed};
use super::super::tests::{START, on_a_device};
use super::super::{names, own_list};
use super::*;
use crate::store::{ContactState, PeerDevice};

/// Or what it says before its bundle was fetched is refused for good.
#[test]
fn a_new_device_of_ones_own_is_known_at_once() {
    on_a_device(|ctx| {
        let identity = ctx.me.identity().unwrap();
        let device = DeviceKey::random(ctx.rng).device();
        let (name, curve) = (Name::new("phone").unwrap(), CurveKey::new([9; 32]));
        let certificate = Certificate::issue(&identity, device, curve, name, START);
        let mut devices = ctx.me.account.device_list.devices.clone();
        devices.push(ListedDevice { certificate, revoked: false });
        own_list::sign(ctx, &identity, devices, None).unwrap();
        let found = sender(ctx, None, None, device.as_bytes()).unwrap();
        assert_eq!(found.map(|found| (found.user, found.olm_key)), Some((ctx.me.user, curve)));
    });
}

/// Anybody can list a device that is not theirs.
#[test]
fn a_device_stays_the_one_of_whom_it_was_known_to_be() {
    on_a_device(|ctx| {
        let (own, list) = (ctx.me.user, ctx.me.account.device_list.clone());
        let (other, liar) = (UserId::new([8; 32]), UserId::new([9; 32]));
        ctx.agenda.note_devices(own, &list);
        ctx.agenda.note_devices(liar, &list);
        assert_eq!(ctx.agenda.devices.get(&ctx.me.device), Some(&own));
        ctx.agenda.note_device(ctx.me.device, other);
        ctx.agenda.note_devices(liar, &list);
        assert_eq!(ctx.agenda.devices.get(&ctx.me.device), Some(&other), "by its own signature");
    });
}

/// Contacts are read in the order of their names: the one who lies may come first.
#[test]
fn at_a_start_a_device_is_the_one_of_whom_it_signed_that_it_is() {
    on_a_device(|ctx| {
        let identity = IdentityKey::from_seed(&Secret::new([8; 32]));
        let key = DeviceKey::random(ctx.rng);
        let (device, user, liar) = (key.device(), identity.user(), UserId::new([9; 32]));
        let (name, curve) = (Name::new("phone").unwrap(), CurveKey::new([9; 32]));
        let certificate = Certificate::issue(&identity, device, curve, name, START);
        let listed = ListedDevice { certificate: certificate.clone(), revoked: false };
        let device_list = DeviceList::issue(&identity, None, vec![listed]);
        let xwing = XWingKey::from_seed(Secret::new([8; 32]));
        let fields = BundleFields {
            certificate,
            device_list: device_list.clone(),
            xwing_key: Bytes::copy_from_slice(xwing.public().as_bytes()),
            fallback_prekey: curve,
            mailboxes: Vec::new(),
            issued: START,
        };
        let bundle = Bundle::issue(&key, fields);
        ctx.tx.put_peer_device(&PeerDevice { device, user, bundle, prekey: None, fetched: START }).unwrap();
        for listing in [liar, user, liar] {
            note_listed(ctx.tx, ctx.agenda, listing, &device_list).unwrap();
            assert!(listing == liar || ctx.agenda.devices.get(&device) == Some(&user));
        }
        assert_eq!(ctx.agenda.devices.get(&device), Some(&user));
    });
}

/// Of a member no bundle may be fetched for long.
#[test]
fn a_device_is_whose_it_introduced_itself_as_also_after_a_start() {
    on_a_device(|ctx| {
        let key = DeviceKey::random(ctx.rng);
        let [(liar, claimed), (user, signed)] = [9, 8].map(|seed| {
            let identity = IdentityKey::from_seed(&Secret::new([seed; 32]));
            let (name, curve) = (Name::new("phone").unwrap(), CurveKey::new([seed; 32]));
            let certificate = Certificate::issue(&identity, key.device(), curve, name, START);
            let listed = vec![ListedDevice { certificate, revoked: false }];
            (identity.user(), DeviceList::issue(&identity, None, listed))
        });
        let mut contact = |user, name| {
            let contact = names::stranger(ctx, user, Name::new(name).unwrap(), ContactState::Accepted);
            ctx.tx.put_contact(&contact).unwrap();
            contact
        };
        let (mut first, second) = (contact(liar, "a"), contact(user, "b"));
        lists::take_list(ctx, &mut first, &claimed).unwrap();
        ctx.tx.put_contact(&first).unwrap();
        let group = groups::create(ctx, Name::new("Club").unwrap()).unwrap().unwrap().id;
        let fields = IntroductionFields {
            kind: IntroductionKind::Member { group },
            recipient_user: ctx.me.user,
            recipient_device: ctx.me.device,
            certificate: signed.devices[0].certificate.clone(),
            device_list: signed,
            bundles: Vec::new(),
            grants: Vec::new(),
            name: Name::new("b").unwrap(),
            issued: START,
        };
        assert_eq!(ctx.agenda.devices.get(&key.device()), Some(&liar), "of lists the first one counts");
        assert!(groups::admit_introduction(ctx, Some(second), &fields, &group).unwrap());
        assert_eq!(ctx.agenda.devices.get(&key.device()), Some(&user));
        let agenda = everything(ctx.me, ctx.tx, ctx.now).unwrap();
        assert_eq!(agenda.devices.get(&key.device()), Some(&user));
    });
}
