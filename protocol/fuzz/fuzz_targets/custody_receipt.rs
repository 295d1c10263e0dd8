//! A custody receipt, signed by its relay.
#![no_main]

use ed25519_dalek::SigningKey;
use libfuzzer_sys::fuzz_target;
use undertone_fuzz::{same, signed};
use undertone_protocol::codec::Label;
use undertone_protocol::ids::RelayId;
use undertone_protocol::receipts::CustodyReceipt;

fuzz_target!(|data: &[u8]| {
    let key = SigningKey::from_bytes(&[21; 32]);
    let relay = RelayId::new(key.verifying_key().to_bytes());
    let Ok(read) = CustodyReceipt::verify(&signed(Label::Custody, 21, data), &relay) else { return };
    same(&read, CustodyReceipt::verify(&read.sign(&key), &relay));
});
