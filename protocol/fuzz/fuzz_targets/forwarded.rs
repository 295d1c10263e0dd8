//! A destination's answer: as it comes, and any bytes, and any receipt, that are sealed rightly.
#![no_main]

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use libfuzzer_sys::fuzz_target;
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use undertone_fuzz::circuit::{answer_key, destination, parcel, seal_answer};
use undertone_fuzz::{same, signed};
use undertone_protocol::codec::Label;
use undertone_protocol::wire::Forwarded;

fuzz_target!(|data: &[u8]| {
    let (key, relay) = (answer_key(), SigningKey::from_bytes(&[21; 32]));
    if let Ok(forwarded) = Forwarded::decode(Bytes::copy_from_slice(data)) {
        let _ = key.open(&forwarded);
    }
    let _ = key.open(&seal_answer(data));
    let receipt = signed(Label::Custody, 21, data).to_wire().encode_to_vec();
    let Ok(read) = key.open(&seal_answer(&receipt)) else { return };
    assert_eq!(read.publish_id, key.forward_id);
    let mut rng = ChaCha20Rng::from_seed([6; 32]);
    let again = destination().seal_answer(&parcel(), &read.sign(&relay), &mut rng);
    same(&read, key.open(&again.expect("a receipt is sealed")));
});
