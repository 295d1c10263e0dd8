use undertone_protocol::ids::CurveKey;
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
