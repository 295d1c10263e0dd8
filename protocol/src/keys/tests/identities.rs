use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::fixtures::{NOW, certificate, device, identity};
use crate::codec::{Label, sign};
use crate::ids::{CurveKey, DeviceId, Secret, UserId};
use crate::keys::*;
use crate::limits::NAME_BYTES_MAX;
use crate::testing::hostile::{altered, assert_only_original, mutated};
use crate::wire;

/// A test vector of BIP-39's reference implementation: 32 zero bytes.
const ZEROS: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon \
                     abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon art";

#[test]
fn a_known_phrase_is_read() {
    let entropy_zero = blake3::derive_key("undertone v1 identity seed from recovery phrase", &[0; 32]);
    let phrase = RecoveryPhrase::parse(ZEROS).unwrap();
    assert_eq!(phrase.words(), ZEROS);
    assert_eq!(IdentityKey::from_phrase(&phrase).seed().expose(), &entropy_zero);
}

#[test]
fn a_phrase_may_be_typed_carelessly() {
    let careless = format!("  {}\n", ZEROS.to_uppercase().replace(' ', "  \t"));
    assert_eq!(RecoveryPhrase::parse(&careless).unwrap().words(), ZEROS);
}

#[test]
fn what_is_no_phrase_is_refused() {
    let twelve = format!("{} about", ["abandon"; 11].join(" "));
    assert_eq!(RecoveryPhrase::parse(&twelve).err(), Some(RecoveryPhraseError::WrongLength(12)));
    let refused = |words: &str| RecoveryPhrase::parse(words).err().unwrap();
    assert_eq!(refused(&ZEROS.replace("art", "zoo")), RecoveryPhraseError::Checksum);
    assert_eq!(refused(&ZEROS.replace("art", "undertone")), RecoveryPhraseError::UnknownWord(24));
    for (words, count) in [(ZEROS.trim_end_matches(" art"), 23), ("", 0), ("\u{0}", 1), ("é à", 2)] {
        assert_eq!(refused(words), RecoveryPhraseError::WrongLength(count));
    }
}

#[test]
fn keys_come_back_from_their_seeds() {
    assert_eq!(IdentityKey::from_seed(&identity(1).seed()).user(), identity(1).user());
    assert_eq!(DeviceKey::from_seed(&device(1).seed()).device(), device(1).device());
    assert!(!format!("{:?}", device(1)).contains(&device(1).device().to_hex()), "only the short form shows");
}

#[test]
fn direct_conversations_are_of_two_users() {
    let [a, b, c] = [1, 2, 3].map(|byte| UserId::new([byte; 32]));
    assert_eq!(direct_conversation(&a, &b), direct_conversation(&b, &a));
    assert_ne!(direct_conversation(&a, &b), direct_conversation(&a, &c));
    assert_ne!(direct_conversation(&a, &a), direct_conversation(&a, &b));
}

#[test]
fn names_have_bounds() {
    assert_eq!(Name::new("  Ann \n").unwrap().as_str(), "Ann");
    assert!(Name::new("Zoë Müller-李").is_ok());
    assert!(Name::new(&"x".repeat(NAME_BYTES_MAX)).is_ok());
    assert!(Name::new(&"x".repeat(NAME_BYTES_MAX + 1)).is_err());
    assert!(Name::new(&"é".repeat(NAME_BYTES_MAX / 2 + 1)).is_err(), "bytes count, not letters");
    assert!(Name::new("").is_err());
    assert!(Name::new(" \u{2003}\n").is_err());
}

#[test]
fn names_can_not_pose_as_others() {
    let hidden = [
        '\0',
        '\n',
        '\u{7f}',
        '\u{85}',
        '\u{ad}',
        '\u{61c}',
        '\u{180e}',
        '\u{200b}',
        '\u{200e}',
        '\u{200f}',
        '\u{2028}',
        '\u{2029}',
        '\u{202a}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{2069}',
        '\u{feff}',
        '\u{e0041}',
    ];
    for c in hidden {
        assert!(Name::new(&format!("A{c}nn")).is_err(), "U+{:04X}", u32::from(c));
    }
}

#[test]
fn a_certificate_holds_as_signed_only() {
    let signed = certificate(&identity(1), 11).signed;
    assert_only_original(&signed, |signed| Certificate::verify(signed).is_ok());
    let other = sign(Label::DeviceList, identity(1).signing_key(), signed.body.clone());
    assert!(matches!(Certificate::verify(other), Err(KeysError::BadSignature(_))), "another label");
    let other = sign(Label::Certificate, identity(2).signing_key(), signed.body);
    assert!(
        matches!(Certificate::verify(other), Err(KeysError::BadSignature(_))),
        "another user's signature"
    );
}

#[test]
fn an_ill_formed_certificate_is_refused_though_signed() {
    type Change = fn(&mut wire::Certificate);
    let changes: [(&str, Change); 7] = [
        ("version", |body| body.version = 2),
        ("suite", |body| body.suite = 2),
        ("suite 257", |body| body.suite = 257),
        ("device", |body| body.device = vec![1; 31].into()),
        ("Olm key", |body| body.olm_key = vec![1; 33].into()),
        ("name", |body| body.name = "a\u{202e}b".to_owned()),
        ("size", |body| body.name = "x".repeat(600)),
    ];
    let key = identity(1);
    let signed = certificate(&key, 11).signed;
    for (what, change) in changes {
        let other = altered(Label::Certificate, key.signing_key(), &signed, change);
        assert!(matches!(Certificate::verify(other), Err(KeysError::Malformed(_))), "{what}");
    }
}

proptest! {
    #[test]
    fn phrases_round_trip(seed: [u8; 32]) {
        let phrase = RecoveryPhrase::random(&mut ChaCha20Rng::from_seed(seed));
        let words = phrase.words();
        prop_assert_eq!(words.split(' ').count(), 24);
        let again = RecoveryPhrase::parse(&words).unwrap();
        prop_assert_eq!(IdentityKey::from_phrase(&again).user(), IdentityKey::from_phrase(&phrase).user());
    }

    #[test]
    fn any_words_are_read_without_panic(words in ".{0,400}") {
        let _ = RecoveryPhrase::parse(&words).map(|phrase| phrase.words());
    }

    #[test]
    fn a_name_that_is_taken_reads_the_same_again(text in "\\PC{0,40}|.{0,40}") {
        if let Ok(name) = Name::new(&text) {
            prop_assert_eq!(Name::new(name.as_str()), Ok(name.clone()));
            prop_assert!(!name.as_str().chars().any(char::is_control));
            prop_assert!((1..=NAME_BYTES_MAX).contains(&name.as_str().len()));
        }
    }

    #[test]
    fn certificates_round_trip(seed: [u8; 32], device: [u8; 32], olm: [u8; 32], name in "[a-z]{1,64}", at: u64) {
        let identity = IdentityKey::from_seed(&Secret::new(seed));
        let certificate = Certificate::issue(
            &identity, DeviceId::new(device), CurveKey::new(olm), Name::new(&name)?, crate::time::Timestamp::from_ms(at),
        );
        prop_assert_eq!(certificate.user, identity.user());
        prop_assert_eq!(Certificate::verify(certificate.signed.clone()), Ok(certificate));
    }

    #[test]
    fn any_signed_bytes_are_read_without_panic(body: Vec<u8>, edits: Vec<(usize, u8)>) {
        let key = identity(1);
        let bytes = sign(Label::Certificate, key.signing_key(), body);
        prop_assert!(Certificate::verify(bytes).is_err());
        let signed = mutated(Label::Certificate, key.signing_key(), &certificate(&key, 11).signed, &edits);
        if let Ok(read) = Certificate::verify(signed.clone()) {
            prop_assert_eq!(read.user, key.user());
            prop_assert_eq!(read.signed, signed);
        }
    }
}

#[test]
fn a_certificate_says_what_was_certified() {
    let read = Certificate::verify(certificate(&identity(1), 11).signed).unwrap();
    assert_eq!((read.user, read.device), (identity(1).user(), device(11).device()));
    assert_eq!((read.olm_key, read.name.as_str(), read.created), (CurveKey::new([11; 32]), "device 11", NOW));
}
