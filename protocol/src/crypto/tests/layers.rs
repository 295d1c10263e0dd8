use bytes::Bytes;
use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::codec::{Label, Signed, sign};
use crate::crypto::*;
use crate::ids::{ChannelHash, ConversationId, DeviceId, DeviceListHash, UserId};
use crate::testing::ModelCrypto;
use crate::wire;
use crate::wire::pairwise::Body;

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A sender key with its receiving end and header key.
fn session(crypto: &mut dyn Crypto) -> (SenderKeyState, ReceiverKeyState, HeaderKey) {
    let sender = crypto.new_sender_key();
    let key = crypto.sender_key_info(&sender).unwrap().session_key;
    let receiver = crypto.import_sender_key(&key).unwrap().receiver;
    (sender, receiver, HeaderKey::random(&mut rng(1)))
}

#[test]
fn a_message_reaches_two_header_keys() {
    for mut crypto in [Box::new(Vodozemac) as Box<dyn Crypto>, Box::new(ModelCrypto::new([1; 32]))] {
        let crypto = crypto.as_mut();
        let (mut sender, receiver, header) = session(crypto);
        let siblings = HeaderKey::random(&mut rng(2));
        let message = encrypt_content(crypto, &mut sender, b"text".to_vec()).unwrap();
        for key in [&header, &siblings] {
            let payload = key.seal(&message).unwrap();
            assert_eq!(classify(&payload), Ok(PayloadKind::Message { tag: key.tag(0) }));
            assert_eq!(payload.len(), TAGGED_OVERHEAD_BYTES + message.bytes.len());
            assert_eq!(decrypt_content(crypto, key, &receiver, 0, &payload).unwrap(), b"text");
        }
        assert_ne!(header.seal(&message).unwrap()[3..], siblings.seal(&message).unwrap()[3..]);
        let foreign = siblings.seal(&message).unwrap();
        assert_eq!(decrypt_content(crypto, &header, &receiver, 0, &foreign), Err(MessageError::OtherTag(0)));
    }
}

#[test]
fn lengths_are_padded_before_megolm() {
    let (mut sender, _, _) = session(&mut Vodozemac);
    let mut length =
        |content: usize| encrypt_content(&mut Vodozemac, &mut sender, vec![1; content]).unwrap().bytes.len();
    assert_eq!(length(1), length(60));
    assert_ne!(length(1), length(200));
    // Version, index, length, one AES block of padding, authentication code, signature: for 64 padded bytes.
    assert_eq!(length(1), 64 + 117);
}

#[test]
fn a_session_ends_after_its_messages() {
    let mut crypto = ModelCrypto::new([1; 32]);
    let (mut sender, receiver, header) = session(&mut crypto);
    assert_eq!(header.tags(0).len(), 128);
    assert_eq!(header.tags(120).first().unwrap().0, 120);
    assert_eq!(header.tags(120).len(), 8);
    assert_eq!(header.tags(u32::MAX).len(), 0);
    for index in 0..128 {
        let message = encrypt_content(&mut crypto, &mut sender, Vec::new()).unwrap();
        let payload = header.seal(&message).unwrap();
        assert_eq!(decrypt_content(&crypto, &header, &receiver, index, &payload).unwrap(), b"");
    }
    let before = sender.clone();
    assert_eq!(encrypt_content(&mut crypto, &mut sender, Vec::new()), Err(MessageError::Ended(128)));
    assert_eq!(sender, before);
    let beyond = crypto.encrypt_message(&mut sender, b"").unwrap();
    assert_eq!(header.seal(&beyond), Err(MessageError::Ended(128)));
}

#[test]
fn a_tag_can_not_carry_another_index() {
    let mut crypto = ModelCrypto::new([1; 32]);
    let (mut sender, receiver, header) = session(&mut crypto);
    let first = encrypt_content(&mut crypto, &mut sender, b"first".to_vec()).unwrap();
    let second = encrypt_content(&mut crypto, &mut sender, b"second".to_vec()).unwrap();
    // A member, who knows H, puts an old message under a new tag.
    let moved = header.seal(&MegolmMessage { index: 1, bytes: first.bytes }).unwrap();
    let error = decrypt_content(&crypto, &header, &receiver, 1, &moved);
    assert_eq!(error, Err(MessageError::OtherIndex { tag: 1, message: 0 }));
    let payload = header.seal(&second).unwrap();
    assert_eq!(decrypt_content(&crypto, &header, &receiver, 1, &payload).unwrap(), b"second");
}

#[test]
fn every_altered_message_payload_is_refused() {
    let mut crypto = ModelCrypto::new([1; 32]);
    let (mut sender, _, header) = session(&mut crypto);
    let good = header.seal(&encrypt_content(&mut crypto, &mut sender, b"text".to_vec()).unwrap()).unwrap();
    for bit in 0..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(header.open(0, &bad).is_err());
    }
    for length in 0..good.len() {
        assert!(header.open(0, &good[..length]).is_err());
    }
    assert!(header.open(0, &good).is_ok());
    assert_eq!(header.open(1, &good), Err(MessageError::OtherTag(1)));
}

#[test]
fn a_message_that_does_not_fit_is_refused() {
    let header = HeaderKey::random(&mut rng(1));
    let fits = MegolmMessage { index: 0, bytes: vec![0; 65_536 - TAGGED_OVERHEAD_BYTES] };
    assert_eq!(header.seal(&fits).unwrap().len(), 65_536);
    let larger = MegolmMessage { index: 0, bytes: vec![0; 65_537 - TAGGED_OVERHEAD_BYTES] };
    assert_eq!(header.seal(&larger), Err(MessageError::TooLarge));
}

fn context() -> PairwiseContext {
    PairwiseContext {
        sender_user: UserId::new([1; 32]),
        recipient_user: UserId::new([2; 32]),
        sender_device: DeviceId::new([3; 32]),
        recipient_device: DeviceId::new([4; 32]),
        channel: ChannelHash::new([5; 32]),
    }
}

fn bodies() -> [Body; 5] {
    let signed =
        || wire::Signed { body: Bytes::from_static(b"body"), signature: Bytes::from_static(&[0; 64]) };
    [
        Body::KeyPackage(signed()),
        Body::Acknowledgement(signed()),
        Body::Entry(wire::SealedEntry::default()),
        Body::DeviceList(signed()),
        Body::Nothing(wire::Empty {}),
    ]
}

fn pairwise(body: Option<Body>) -> wire::Pairwise {
    wire::Pairwise { acknowledged_channel: Bytes::from_static(&[9; 32]), acknowledged_count: 3, body }
}

#[test]
fn pairwise_messages_round_trip_with_their_kind() {
    for (kind, body) in (3u8..).zip(bodies()) {
        let message = pairwise(Some(body));
        let plaintext = context().encode(&message).unwrap();
        assert_eq!(plaintext[PAIRWISE_PREFIX_BYTES - 1], kind);
        assert_eq!(plaintext.len(), PAIRWISE_PREFIX_BYTES + message.encoded_len());
        assert_eq!(context().decode_checked(&plaintext), Ok(message));
    }
    assert!(matches!(context().encode(&pairwise(None)), Err(PairwiseError::Malformed(_))));
}

#[test]
fn pairwise_messages_hold_for_their_context_only() {
    let plaintext = context().encode(&pairwise(Some(Body::Nothing(wire::Empty {})))).unwrap();
    let others = [
        ("sender user", PairwiseContext { sender_user: UserId::new([9; 32]), ..context() }),
        ("recipient user", PairwiseContext { recipient_user: UserId::new([9; 32]), ..context() }),
        ("sender device", PairwiseContext { sender_device: DeviceId::new([9; 32]), ..context() }),
        ("recipient device", PairwiseContext { recipient_device: DeviceId::new([9; 32]), ..context() }),
        ("channel", PairwiseContext { channel: ChannelHash::new([9; 32]), ..context() }),
    ];
    for (name, other) in others {
        assert_eq!(other.decode_checked(&plaintext), Err(PairwiseError::OtherContext(name)));
    }
    let mut other_kind = plaintext.clone();
    other_kind[160] = 3;
    assert_eq!(context().decode_checked(&other_kind), Err(PairwiseError::OtherKind { kind: 3, body: 7 }));
    for length in 0..=PAIRWISE_PREFIX_BYTES {
        assert!(matches!(context().decode_checked(&plaintext[..length]), Err(PairwiseError::Malformed(_))));
    }
}

fn package(crypto: &mut dyn Crypto, device: &SigningKey) -> KeyPackage {
    let sender = crypto.new_sender_key();
    let info = crypto.sender_key_info(&sender).unwrap();
    KeyPackage {
        ends: PackageEnds {
            sender_user: UserId::new([1; 32]),
            sender_device: DeviceId::new(device.verifying_key().to_bytes()),
            recipient_user: UserId::new([2; 32]),
            recipient_device: DeviceId::new([4; 32]),
        },
        conversation: ConversationId::new([6; 32]),
        session: info.session,
        first_index: info.next_index,
        next_seq: 12,
        membership_heads: vec![DeviceListHash::new([7; 32]), DeviceListHash::new([8; 32])],
        session_key: info.session_key,
        header_key: HeaderKey::random(&mut rng(3)),
    }
}

#[test]
fn key_packages_round_trip_and_import() {
    let device = SigningKey::from_bytes(&[3; 32]);
    for mut crypto in [Box::new(Vodozemac) as Box<dyn Crypto>, Box::new(ModelCrypto::new([1; 32]))] {
        let package = package(crypto.as_mut(), &device);
        let verified = KeyPackage::verify(&package.sign(&device), &package.ends).unwrap();
        assert_eq!(verified, package);
        assert!(verified.import(crypto.as_ref()).is_ok());
        assert!(!format!("{package:?}").contains("_key"));
    }
}

#[test]
fn key_packages_hold_for_their_ends_only() {
    let device = SigningKey::from_bytes(&[3; 32]);
    let package = package(&mut ModelCrypto::new([1; 32]), &device);
    let signed = package.sign(&device);
    let ends = package.ends;
    let others = [
        ("sender user", PackageEnds { sender_user: UserId::new([9; 32]), ..ends }),
        ("recipient user", PackageEnds { recipient_user: UserId::new([9; 32]), ..ends }),
        ("recipient device", PackageEnds { recipient_device: DeviceId::new([9; 32]), ..ends }),
    ];
    for (name, other) in others {
        assert_eq!(KeyPackage::verify(&signed, &other), Err(KeyPackageError::OtherEnds(name)));
    }
    let other = PackageEnds { sender_device: DeviceId::new([9; 32]), ..ends };
    assert!(matches!(KeyPackage::verify(&signed, &other), Err(KeyPackageError::BadSignature(_))));
    // Signed by another device, in this one's name.
    let forged = package.sign(&SigningKey::from_bytes(&[4; 32]));
    assert!(matches!(KeyPackage::verify(&forged, &ends), Err(KeyPackageError::BadSignature(_))));
    let relabelled = sign(Label::Entry, &device, signed.body.clone());
    assert!(matches!(KeyPackage::verify(&relabelled, &ends), Err(KeyPackageError::BadSignature(_))));
}

#[test]
fn key_packages_with_bad_fields_are_refused() {
    let device = SigningKey::from_bytes(&[3; 32]);
    let package = package(&mut ModelCrypto::new([1; 32]), &device);
    let good = wire::KeyPackage::decode(package.sign(&device).body).unwrap();
    let verify = |bad: wire::KeyPackage| {
        KeyPackage::verify(&sign(Label::KeyPackage, &device, bad.encode_to_vec()), &package.ends)
    };
    assert!(verify(good.clone()).is_ok());
    let short = || Bytes::from_static(&[0; 31]);
    let bad: Vec<wire::KeyPackage> = vec![
        wire::KeyPackage { version: 2, ..good.clone() },
        wire::KeyPackage { suite: 0, ..good.clone() },
        wire::KeyPackage { first_index: 128, ..good.clone() },
        wire::KeyPackage { next_seq: 0, ..good.clone() },
        wire::KeyPackage { membership_heads: vec![Bytes::from_static(&[0; 32]); 33], ..good.clone() },
        wire::KeyPackage { membership_heads: vec![short()], ..good.clone() },
        wire::KeyPackage { session_key: short(), ..good.clone() },
        wire::KeyPackage { header_key: short(), ..good.clone() },
        wire::KeyPackage { session: short(), ..good.clone() },
        wire::KeyPackage { conversation: short(), ..good.clone() },
    ];
    for bad in bad {
        assert!(matches!(verify(bad), Err(KeyPackageError::Malformed(_))));
    }
}

#[test]
fn a_package_must_name_its_session_key() {
    let device = SigningKey::from_bytes(&[3; 32]);
    let mut crypto = ModelCrypto::new([1; 32]);
    let package = package(&mut crypto, &device);
    let other_index = KeyPackage { first_index: 1, ..package.clone() };
    assert_eq!(other_index.import(&crypto), Err(KeyPackageError::OtherSession));
    let other_session = KeyPackage { session: crate::ids::SessionId::new([0; 32]), ..package };
    assert_eq!(other_session.import(&crypto), Err(KeyPackageError::OtherSession));
}

#[test]
fn safety_numbers_are_equal_on_both_sides() {
    let [one, other, third] = [1, 2, 3].map(|byte| UserId::new([byte; 32]));
    let number = safety_number(&one, &other);
    assert_eq!(number, safety_number(&other, &one));
    assert_ne!(number, safety_number(&one, &third));
    let groups: Vec<_> = number.split(' ').collect();
    assert_eq!(groups.len(), 12);
    assert!(groups.iter().all(|group| group.len() == 5 && group.bytes().all(|byte| byte.is_ascii_digit())));
    // One user's half is the same with every contact.
    let halves = |number: &str| [number[..35].to_owned(), number[36..].to_owned()];
    let shared =
        halves(&safety_number(&one, &third)).into_iter().filter(|half| number.contains(half.as_str()));
    assert_eq!(shared.count(), 1);
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_no_pairwise_message(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(context().decode_checked(&bytes).is_err());
        // Right prefix, anything after it.
        let head = context().encode(&pairwise(Some(Body::Nothing(wire::Empty {})))).unwrap();
        let _answer = context().decode_checked(&[&head[..160], &bytes[..]].concat());
    }

    #[test]
    fn arbitrary_signed_bytes_are_no_key_package(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let device = SigningKey::from_bytes(&[3; 32]);
        let ends = package(&mut ModelCrypto::new([1; 32]), &device).ends;
        let signed: Signed = sign(Label::KeyPackage, &device, bytes.clone());
        prop_assert!(matches!(KeyPackage::verify(&signed, &ends), Err(KeyPackageError::Malformed(_))));
        prop_assert!(HeaderKey::random(&mut rng(1)).open(0, &bytes).is_err());
    }
}
