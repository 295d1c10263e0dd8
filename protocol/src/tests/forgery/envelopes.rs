use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use zeroize::Zeroizing;

use super::{Signer, damage, holds_as_signed};
use crate::codec::Label;
use crate::crypto::*;
use crate::ids::{ChannelHash, ConversationId, DeviceId, DeviceListHash, Secret, SessionId, UserId};
use crate::testing::ModelCrypto;
use crate::time::Timestamp;
use crate::wire;
use crate::wire::pairwise::Body;

const BOB: DeviceId = DeviceId::new([2; 32]);

/// Both ends after an opening envelope was acknowledged, the one with the next two as they were sent.
fn channel(contents: &[Vec<u8>; 3]) -> (InboundChannel, [Vec<u8>; 3]) {
    let key = XWingKey::from_seed(Secret::new([4; 32]));
    let mut rng = ChaCha20Rng::from_seed([5; 32]);
    let mut out = OutboundChannel::open(&mut rng, BOB, key.public(), Timestamp::ZERO).unwrap();
    let seal = |out: &mut OutboundChannel, at: usize| out.seal(contents[at].clone()).unwrap();
    let first = seal(&mut out, 0);
    let second = seal(&mut out, 1);
    let (inbound, _) = InboundChannel::accept(&[key], &BOB, &first).unwrap();
    assert!(out.acknowledge(inbound.hash(), 1));
    let third = seal(&mut out, 2);
    (inbound, [first, second, third])
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Opening envelopes and later ones: damaged, refused without a trace; whole, opened once and never again.
    #[test]
    fn channel_envelopes(contents in [content(), content(), content()], damage in damage()) {
        let (mut inbound, [first, second, third]) = channel(&contents);
        for (payload, content) in [(second, &contents[1]), (third, &contents[2])] {
            let before = inbound.clone();
            prop_assert!(inbound.open(&damage.applied(&payload)).is_err());
            prop_assert_eq!(&inbound, &before);
            prop_assert_eq!(&inbound.open(&payload).unwrap(), content);
            let before = inbound.clone();
            prop_assert!(inbound.open(&payload).is_err(), "again");
            prop_assert_eq!(&inbound, &before);
        }
        prop_assert!(inbound.open(&first).is_err(), "the first one again");
        let key = XWingKey::from_seed(Secret::new([4; 32]));
        prop_assert!(InboundChannel::accept(std::slice::from_ref(&key), &BOB, &damage.applied(&first)).is_err());
        prop_assert!(InboundChannel::accept(&[key], &DeviceId::new([3; 32]), &first).is_err(), "at another device");
    }

    /// A conversation message: of one index of one session under one header key, and Megolm's signature inside.
    #[test]
    fn conversation_messages(contents in [content(), content()], header: [u8; 32], damage in damage()) {
        let mut crypto = ModelCrypto::new([1; 32]);
        let mut sender = crypto.new_sender_key();
        let key = crypto.sender_key_info(&sender).unwrap().session_key;
        let mut receiver = crypto.import_sender_key(&key).unwrap().receiver;
        let header = HeaderKey::from_slice(&header).unwrap();
        let messages = contents.clone().map(|content| encrypt_content(&mut crypto, &mut sender, content).unwrap());
        for (index, (message, content)) in (0u32..).zip(messages.iter().zip(&contents)) {
            let payload = header.seal(message).unwrap();
            let open = |payload: &[u8], index| decrypt_content(&crypto, &header, &receiver, index, payload);
            prop_assert!(open(&damage.applied(&payload), index).is_err());
            prop_assert!(open(&payload, 1 - index).is_err(), "as another index");
            prop_assert_eq!(&open(&payload, index).unwrap(), content);
            // Whoever knows the header key can seal anything, but makes no Megolm message.
            let mut forged = message.clone();
            forged.bytes = damage.applied(&message.bytes);
            prop_assert!(open(&header.seal(&forged).unwrap(), index).is_err());
            let mut moved = message.clone();
            moved.index = 5;
            prop_assert!(open(&header.seal(&moved).unwrap(), 5).is_err(), "under another tag");
        }
        // What was forgotten opens no more, so a repeat after that is nothing.
        crypto.forget_below(&mut receiver, 2).unwrap();
        for (index, message) in (0u32..).zip(&messages) {
            let payload = header.seal(message).unwrap();
            prop_assert!(decrypt_content(&crypto, &header, &receiver, index, &payload).is_err());
        }
    }

    /// The plaintext of an Olm message holds for its two ends and its channel: it can't be passed on.
    #[test]
    fn pairwise_messages(ids: [[u8; 32]; 5], foreign: [u8; 32], count: u64, damage in damage()) {
        let context = |ids: [[u8; 32]; 5]| PairwiseContext {
            sender_user: UserId::new(ids[0]),
            recipient_user: UserId::new(ids[1]),
            sender_device: DeviceId::new(ids[2]),
            recipient_device: DeviceId::new(ids[3]),
            channel: ChannelHash::new(ids[4]),
        };
        let body = Some(Body::Nothing(wire::Empty {}));
        let message = wire::Pairwise { acknowledged_count: count, body, ..wire::Pairwise::default() };
        let plaintext = context(ids).encode(&message).unwrap();
        prop_assert_eq!(context(ids).decode_checked(&plaintext), Ok(message));
        for at in 0..5 {
            let mut other = ids;
            other[at] = foreign;
            prop_assert_eq!(context(other).decode_checked(&plaintext).is_err(), other != ids);
        }
        // Olm authenticates what stands behind the ids.
        let damaged = damage.applied(&plaintext[..PAIRWISE_PREFIX_BYTES]);
        if damaged.len() <= PAIRWISE_PREFIX_BYTES {
            prop_assert!(context(ids).decode_checked(&damaged).is_err());
        }
    }

    /// A key package is from one device to one other.
    #[test]
    fn key_packages(ids: [[u8; 32]; 5], foreign: [u8; 32], first_index in 0u32..128, next_seq in 1u64.., damage in damage()) {
        let device = ed25519_dalek::SigningKey::from_bytes(&[11; 32]);
        let ends = |ids: [[u8; 32]; 5]| PackageEnds {
            sender_user: UserId::new(ids[0]),
            sender_device: DeviceId::new(device.verifying_key().to_bytes()),
            recipient_user: UserId::new(ids[1]),
            recipient_device: DeviceId::new(ids[2]),
        };
        let package = KeyPackage {
            ends: ends(ids),
            conversation: ConversationId::new(ids[3]),
            session: SessionId::new(ids[4]),
            first_index,
            next_seq,
            membership_heads: vec![DeviceListHash::new([8; 32])],
            session_key: Zeroizing::new(vec![10; SESSION_KEY_BYTES]),
            header_key: HeaderKey::from_slice(&[12; 32]).unwrap(),
        };
        let signed = package.sign(&device);
        let accepts = |signed| KeyPackage::verify(&signed, &ends(ids)).is_ok();
        holds_as_signed(&signed, Signer(Label::KeyPackage, &device), &damage, accepts)?;
        for at in 0..3 {
            let mut other = ids;
            other[at] = foreign;
            prop_assert_eq!(KeyPackage::verify(&signed, &ends(other)).is_err(), other != ids);
        }
    }

    /// The answer to a device's code: under its key alone, and whole.
    #[test]
    fn links(content in content(), key: [u8; 32], foreign: [u8; 32], damage in damage()) {
        let (key, foreign) = (Secret::new(key), Secret::new(foreign));
        let sealed = seal_link(&key, content.clone(), &mut ChaCha20Rng::from_seed([6; 32])).unwrap();
        prop_assert_eq!(open_link(&key, &sealed), Ok(content));
        prop_assert!(open_link(&key, &damage.applied(&sealed)).is_err());
        prop_assert_eq!(open_link(&foreign, &sealed).is_err(), foreign != key);
    }
}
