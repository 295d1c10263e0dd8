use undertone_protocol::ids::{CurveKey, UserId};
use undertone_protocol::keys::{Certificate, DeviceKey, ListedDevice, Name};

use super::super::own_list;
use super::super::tests::{START, on_a_device};
use super::*;

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
