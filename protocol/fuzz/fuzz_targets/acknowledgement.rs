//! An acknowledgement entry, signed by its device.
#![no_main]

use libfuzzer_sys::fuzz_target;
use undertone_fuzz::{device, signed};
use undertone_protocol::codec::Label;
use undertone_protocol::receipts::Acknowledgement;

fuzz_target!(|data: &[u8]| {
    let Ok(read) = Acknowledgement::verify(signed(Label::Acknowledgement, 11, data)) else { return };
    let again = Acknowledgement::issue(&device(11), read.fields.clone());
    let again = Acknowledgement::verify(again.signed).expect("what was accepted is accepted again");
    assert_eq!(read.fields, again.fields);
});
