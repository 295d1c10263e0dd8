//! A home relay's word that it holds a forward, signed by it.
#![no_main]

use ed25519_dalek::SigningKey;
use libfuzzer_sys::fuzz_target;
use undertone_fuzz::{same, signed};
use undertone_protocol::codec::Label;
use undertone_protocol::federation::Waiting;
use undertone_protocol::ids::RelayId;

fuzz_target!(|data: &[u8]| {
    let key = SigningKey::from_bytes(&[21; 32]);
    let relay = RelayId::new(key.verifying_key().to_bytes());
    let Ok(read) = Waiting::verify(&signed(Label::Waiting, 21, data), &relay) else { return };
    same(&read, Waiting::verify(&read.sign(&key), &relay));
});
