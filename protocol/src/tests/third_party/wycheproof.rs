//! Project Wycheproof: Ed25519 as `codec` checks signatures, ChaCha20-Poly1305, and X25519 as Olm does it.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use vodozemac::{Curve25519PublicKey, Curve25519SecretKey};
use wycheproof::{TestResult, aead, eddsa, xdh};

fn key(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().unwrap()
}

#[test]
fn ed25519() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut count = 0;
    for group in &set.test_groups {
        let public = VerifyingKey::from_bytes(&key(&group.key.pk)).unwrap();
        for test in &group.tests {
            let verified = Signature::from_slice(&test.sig)
                .is_ok_and(|signature| public.verify_strict(&test.msg, &signature).is_ok());
            assert_eq!(verified, test.result == TestResult::Valid, "case {}: {}", test.tc_id, test.comment);
            count += 1;
        }
    }
    assert_eq!(count, set.number_of_tests);
}

/// Wycheproof has no keys of small order, where strict checking differs from RFC 8032: under the neutral
/// element as a key, one signature holds for every message. Strictly, it holds for none.
#[test]
fn ed25519_is_checked_strictly() {
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let public = VerifyingKey::from_bytes(&neutral).unwrap();
    let signature = Signature::from_components(neutral, [0; 32]);
    assert!(public.verify(b"any message", &signature).is_ok());
    assert!(public.verify_strict(b"any message", &signature).is_err());
    let label = crate::codec::Label::Entry;
    assert!(crate::codec::verify(label, &neutral, b"any message", &signature.to_bytes()).is_err());
}

/// `spec/crypto.md`, "Signatures", step 1: a y beyond the field is reduced, and a sign without an x is none.
#[test]
fn ed25519_keys_are_decoded_leniently() {
    // y = p + 2 to p + 18, without the signs' bit: those that are no small numbers' other encodings are strong keys.
    let beyond = |more: u8| {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (0xed + more, 0x7f);
        bytes
    };
    let strong =
        (0..=18).filter_map(|more| VerifyingKey::from_bytes(&beyond(more)).ok()).filter(|key| !key.is_weak());
    let strong: Vec<_> = strong.collect();
    assert!(!strong.is_empty());
    assert!(strong.iter().all(|key| key.to_bytes()[31] == 0x7f), "the bytes stay what they were");
    let mut minus_zero = [0; 32];
    (minus_zero[0], minus_zero[31]) = (1, 0x80);
    assert!(VerifyingKey::from_bytes(&minus_zero).unwrap().is_weak());
}

#[test]
fn chacha20_poly1305() {
    let set = aead::TestSet::load(aead::TestName::ChaCha20Poly1305).unwrap();
    let (mut valid, mut wrong_nonces) = (0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            // The type has no nonces of another length.
            let Ok(nonce) = Nonce::try_from(&test.nonce[..]) else {
                assert_eq!(test.result, TestResult::Invalid);
                wrong_nonces += 1;
                continue;
            };
            let cipher = ChaCha20Poly1305::new(&key(&test.key).into());
            let sealed = [&test.ct[..], &test.tag[..]].concat();
            let opened = cipher.decrypt(&nonce, Payload { msg: &sealed, aad: &test.aad }).ok();
            if test.result == TestResult::Valid {
                assert_eq!(opened.as_deref(), Some(&test.pt[..]), "case {}", test.tc_id);
                let again = cipher.encrypt(&nonce, Payload { msg: &test.pt, aad: &test.aad }).unwrap();
                assert_eq!(again, sealed, "case {}", test.tc_id);
                valid += 1;
            } else {
                assert_eq!(opened, None, "case {}: {}", test.tc_id, test.comment);
            }
        }
    }
    assert_eq!((valid, wrong_nonces), (256, 9));
}

/// Olm refuses a shared secret of zeros, which Wycheproof leaves open, and takes the other acceptable
/// cases; keys that are not reduced are refused before (`crypto`), since nothing in Olm authenticates them.
#[test]
fn x25519() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let mut zeros = 0;
    for group in &set.test_groups {
        for test in &group.tests {
            let secret = Curve25519SecretKey::from_slice(&key(&test.private_key));
            let public = Curve25519PublicKey::from_bytes(key(&test.public_key));
            let shared = secret.diffie_hellman(&public).map(|shared| shared.to_bytes());
            if test.shared_secret.iter().all(|byte| *byte == 0) {
                assert_eq!(shared, None, "case {}", test.tc_id);
                assert_eq!(test.result, TestResult::Acceptable);
                zeros += 1;
            } else {
                assert_eq!(shared, Some(key(&test.shared_secret)), "case {}: {}", test.tc_id, test.comment);
            }
        }
    }
    assert_eq!(zeros, 31);
}
