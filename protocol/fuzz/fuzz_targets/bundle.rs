//! A bundle, signed by its device.
#![no_main]

use libfuzzer_sys::fuzz_target;
use undertone_fuzz::{device, device_id, signed, user};
use undertone_protocol::codec::Label;
use undertone_protocol::crypto::XWingPublic;
use undertone_protocol::keys::Bundle;

fuzz_target!(|data: &[u8]| {
    let Ok(read) = Bundle::verify(signed(Label::Bundle, 11, data), &user(1), &device_id(11)) else { return };
    let _ = XWingPublic::from_slice(&read.fields.xwing_key);
    let again = Bundle::issue(&device(11), read.fields.clone());
    let again =
        Bundle::verify(again.signed, &user(1), &device_id(11)).expect("what was accepted is accepted again");
    assert_eq!(read.fields, again.fields);
});
