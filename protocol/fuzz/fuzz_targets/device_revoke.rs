//! The revocation of a device, signed by its user.
#![no_main]

use libfuzzer_sys::fuzz_target;
use undertone_fuzz::{identity, same, signed};
use undertone_protocol::codec::Label;
use undertone_protocol::keys::DeviceRevoke;

fuzz_target!(|data: &[u8]| {
    let Ok(read) = DeviceRevoke::verify(signed(Label::DeviceRevoke, 1, data)) else { return };
    let again = DeviceRevoke::issue_in_group(&identity(), read.fields.clone(), read.operation_head);
    let again =
        DeviceRevoke::verify(again.signed).map(|again| DeviceRevoke { signed: read.signed.clone(), ..again });
    same(&read, again);
});
