//! A key package, signed by its sender, and the sender key in it.
#![no_main]

use std::sync::LazyLock;

use ed25519_dalek::SigningKey;
use libfuzzer_sys::fuzz_target;
use undertone_fuzz::{device_id, same, signed, user};
use undertone_protocol::codec::Label;
use undertone_protocol::crypto::{KeyPackage, PackageEnds, Vodozemac};

static ENDS: LazyLock<PackageEnds> = LazyLock::new(|| PackageEnds {
    sender_user: user(1),
    sender_device: device_id(11),
    recipient_user: user(2),
    recipient_device: device_id(12),
});

fuzz_target!(|data: &[u8]| {
    let Ok(read) = KeyPackage::verify(&signed(Label::KeyPackage, 11, data), &ENDS) else { return };
    same(&read, KeyPackage::verify(&read.sign(&SigningKey::from_bytes(&[11; 32])), &ENDS));
    let _ = read.import(&Vodozemac);
});
