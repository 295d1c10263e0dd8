//! X-Wing, and the key schedule with its exports: both ends, with the randomness that the vectors name.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::{X25519HkdfSha256, XWing};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use serde_json::Value;

use super::{array, bytes, list, read};
use crate::crypto::{XWingKey, XWingPublic};
use crate::ids::Secret;
use crate::testing::Given;

#[test]
fn xwing_as_its_draft_has_it() {
    for case in list(&read("third-party/xwing.json")["cases"]) {
        let key = XWingKey::from_seed(Secret::new(array(&case["seed"])));
        assert_eq!(key.public().as_bytes(), bytes(&case["public_key"]));
        assert_eq!(XWingPublic::from_slice(&bytes(&case["public_key"])), Ok(key.public().clone()));

        let public = <XWing as Kem>::PublicKey::from_bytes(key.public().as_bytes()).unwrap();
        let mut random = Given(bytes(&case["encapsulation_seed"]));
        let (shared, encapped) = XWing::encap_with_rng(&public, None, &mut random).unwrap();
        assert_eq!(encapped.to_bytes()[..], bytes(&case["ciphertext"]));
        assert_eq!(shared.0[..], bytes(&case["shared_secret"]));

        let private = <XWing as Kem>::PrivateKey::from_bytes(key.seed().expose()).unwrap();
        let shared = XWing::decap(&private, None, &encapped).unwrap();
        assert_eq!(shared.0[..], bytes(&case["shared_secret"]));
    }
}

/// Both ends of one vector in base mode: encapsulation, exports, and the first message (which only says
/// that key and nonce are right too: channels use the exports alone).
fn check<K: Kem>(case: &Value) {
    let (private, public) = K::derive_keypair(&bytes(&case["ikmR"]));
    assert_eq!(private.to_bytes()[..], bytes(&case["skRm"]));
    assert_eq!(public.to_bytes()[..], bytes(&case["pkRm"]));
    let info = bytes(&case["info"]);
    let mut random = Given(bytes(&case["ikmE"]));
    let (encapped, mut sender) = hpke::setup_sender_with_rng::<ChaCha20Poly1305, HkdfSha256, K>(
        &OpModeS::Base,
        &public,
        &info,
        &mut random,
    )
    .unwrap();
    assert_eq!(encapped.to_bytes()[..], bytes(&case["enc"]));
    let receiver =
        hpke::setup_receiver::<ChaCha20Poly1305, HkdfSha256, K>(&OpModeR::Base, &private, &encapped, &info)
            .unwrap();
    for export in list(&case["exports"]) {
        let context = bytes(&export["exporter_context"]);
        let (mut sent, mut received) = ([0; 32], [0; 32]);
        sender.export(&context, &mut sent).unwrap();
        receiver.export(&context, &mut received).unwrap();
        let expected = array(&export["exported_value"]);
        assert_eq!((sent, received), (expected, expected));
    }
    let message = &case["encryption"];
    let sealed = sender.seal(&bytes(&message["pt"]), &bytes(&message["aad"])).unwrap();
    assert_eq!(sealed, bytes(&message["ct"]));
}

#[test]
fn the_key_schedule_as_the_specifications_have_it() {
    let vectors = read("third-party/hpke.json");
    let cases = list(&vectors["cases"]);
    for case in cases {
        match case["kem_id"].as_u64() {
            Some(0x0020) => check::<X25519HkdfSha256>(case),
            Some(0x647a) => check::<XWing>(case),
            other => panic!("no such KEM here: {other:?}"),
        }
    }
    assert_eq!(cases.len(), 2);
}
