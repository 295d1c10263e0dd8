//! A device list, signed by its user; the certificates in it are what the bytes make of them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use undertone_fuzz::signed;
use undertone_protocol::codec::Label;
use undertone_protocol::keys::{DeviceList, ListVerdict};
use undertone_protocol::limits::DEVICES_PER_USER_MAX;

fuzz_target!(|data: &[u8]| {
    let Ok(read) = DeviceList::verify(signed(Label::DeviceList, 1, data)) else { return };
    assert!((1..=DEVICES_PER_USER_MAX).contains(&read.devices.len()));
    assert!(read.active().all(|certificate| read.device(&certificate.device) == Some(certificate)));
    assert_eq!(read.judge(None), ListVerdict::Newer);
    assert_eq!(read.judge(Some(&read)), ListVerdict::Same);
});
