//! A relay's routing key, signed by it; of one that was accepted, a parcel that is sealed to it.
#![no_main]

use bytes::Bytes;
use ed25519_dalek::SigningKey;
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use undertone_fuzz::signed;
use undertone_protocol::codec::Label;
use undertone_protocol::federation::{Circuit, Outgoing, OutgoingItem, Parcel, RoutingKey};
use undertone_protocol::ids::{PublishId, RelayId};

fuzz_target!(|data: &[u8]| {
    let relay = RelayId::new(SigningKey::from_bytes(&[21; 32]).verifying_key().to_bytes());
    let Ok(read) = RoutingKey::verify(signed(Label::RoutingKey, 21, data), &relay) else { return };
    // A key that can't be used is refused here.
    let Ok(mut circuit) = Circuit::set_up(&read, &mut ChaCha20Rng::from_seed([6; 32])) else { return };
    let (payload, recipients) = (Bytes::from_static(b"one"), vec![Default::default()]);
    let items = vec![OutgoingItem { payload, class: 0, expiry: read.not_after, recipients }];
    let outgoing = Outgoing { forward_id: PublishId::new([5; 16]), not_after: read.not_after, items };
    let (parcel, _) = circuit.seal(outgoing).expect("a small parcel is sealed");
    let parcel = Parcel::read(&parcel).expect("what was sealed is a parcel");
    assert_eq!((parcel.routing_key, parcel.not_after), (read.id(), read.not_after));
});
