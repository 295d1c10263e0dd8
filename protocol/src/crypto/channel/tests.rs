use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use super::*;
use crate::crypto::{
    OPENING_OVERHEAD_BYTES, PayloadKind, TAGGED_OVERHEAD_BYTES, XWingKey, XWingPublic, classify, records,
};
use crate::ids::{ChannelHash, DeviceId, Secret};
use crate::limits::CHANNEL_LIFE_MAX;
use crate::time::Timestamp;

const BOB: DeviceId = DeviceId::new([2; 32]);
const ANOTHER: DeviceId = DeviceId::new([3; 32]);
const NOW: Timestamp = Timestamp::from_ms(1_000_000);

fn key(seed: u8) -> XWingKey {
    XWingKey::from_seed(Secret::new([seed; 32]))
}

fn outbound(xwing: &XWingKey, seed: u64) -> OutboundChannel {
    OutboundChannel::open(&mut ChaCha20Rng::seed_from_u64(seed), BOB, xwing.public(), NOW).unwrap()
}

/// Both ends after one envelope; nothing is acknowledged.
fn opened() -> (OutboundChannel, InboundChannel) {
    let bob = key(1);
    let mut out = outbound(&bob, 1);
    let first = out.seal(b"first".to_vec()).unwrap();
    let (inbound, content) = InboundChannel::accept(&[bob], &BOB, &first).unwrap();
    assert_eq!(content, b"first");
    (out, inbound)
}

/// Both ends after the first envelope was acknowledged.
fn established() -> (OutboundChannel, InboundChannel) {
    let (mut out, inbound) = opened();
    assert!(out.acknowledge(inbound.hash(), inbound.received_count()));
    (out, inbound)
}

#[test]
fn opening_envelopes_until_one_is_acknowledged() {
    let (mut out, mut inbound) = opened();
    assert_eq!(inbound.hash(), out.hash());
    let second = out.seal(b"second".to_vec()).unwrap();
    assert!(matches!(classify(&second), Ok(PayloadKind::Opening { .. })));
    assert_eq!(second.len(), OPENING_OVERHEAD_BYTES + 64);
    assert_eq!(OPENING_OVERHEAD_BYTES, 1_151);
    assert_eq!(opening_hash(&second, key(1).public()), Some(*inbound.hash()));
    assert_eq!(opening_hash(&second, key(2).public()), None);
    assert_eq!(inbound.open(&second).unwrap(), b"second");
    assert_eq!(inbound.received_count(), 2);

    assert!(out.acknowledge(inbound.hash(), 2));
    let expected = inbound.expected_tags()[0].1;
    let third = out.seal(b"third".to_vec()).unwrap();
    assert_eq!(classify(&third), Ok(PayloadKind::Channel { tag: expected }));
    assert_eq!(third.len(), TAGGED_OVERHEAD_BYTES + 64);
    assert_eq!(TAGGED_OVERHEAD_BYTES, 35);
    assert_eq!(opening_hash(&third, key(1).public()), None);
    assert_eq!(inbound.open(&third).unwrap(), b"third");
}

#[test]
fn only_the_right_key_and_device_accept() {
    let bob = key(1);
    let payload = outbound(&bob, 1).seal(b"text".to_vec()).unwrap();
    let accept = |keys: &[XWingKey], device| {
        InboundChannel::accept(keys, device, &payload).map(|(_, content)| content)
    };
    assert_eq!(accept(&[key(2)], &BOB), Err(ChannelError::UnknownKey));
    assert_eq!(accept(&[], &BOB), Err(ChannelError::UnknownKey));
    assert_eq!(accept(&[key(1)], &ANOTHER), Err(ChannelError::Unauthentic));
    assert_eq!(accept(&[key(2), key(1)], &BOB), Ok(b"text".to_vec()));
}

#[test]
fn a_channel_is_renewed_when_full() {
    let bob = key(1);
    let mut out = outbound(&bob, 1);
    let payloads: Vec<_> = (0..32u8)
        .map(|text| {
            assert!(!out.needs_renewal(NOW, bob.public().as_bytes()));
            out.seal(vec![text]).unwrap()
        })
        .collect();
    assert_eq!(out.unacknowledged(), 32);
    assert!(out.needs_renewal(NOW, bob.public().as_bytes()));
    let before = out.clone();
    assert_eq!(out.seal(Vec::new()), Err(ChannelError::RenewalDue));
    assert_eq!(out, before);
    // The last one alone reaches the peer, and opens the channel.
    let (inbound, content) = InboundChannel::accept(std::slice::from_ref(&bob), &BOB, &payloads[31]).unwrap();
    assert_eq!(content, [31]);
    assert!(out.acknowledge(inbound.hash(), inbound.received_count()));
    assert!(!out.needs_renewal(NOW, bob.public().as_bytes()));
}

#[test]
fn a_channel_is_renewed_by_age_and_key() {
    let (out, _) = opened();
    let last = NOW.after(CHANNEL_LIFE_MAX).before(std::time::Duration::from_millis(1));
    assert!(!out.needs_renewal(last, key(1).public().as_bytes()));
    assert!(out.needs_renewal(NOW.after(CHANNEL_LIFE_MAX), key(1).public().as_bytes()));
    assert!(out.needs_renewal(NOW, key(2).public().as_bytes()));
}

#[test]
fn acknowledgements_only_grow_and_never_lead() {
    let (mut out, inbound) = opened();
    assert!(!out.acknowledge(&ChannelHash::new([0; 32]), 1));
    assert!(!out.acknowledge(inbound.hash(), 0));
    assert!(!out.acknowledge(inbound.hash(), 2));
    assert_eq!(out.unacknowledged(), 1);
    assert!(out.acknowledge(inbound.hash(), 1));
    assert!(!out.acknowledge(inbound.hash(), 1));
    assert_eq!(out.unacknowledged(), 0);
}

#[test]
fn repeats_are_refused() {
    let bob = key(1);
    let mut out = outbound(&bob, 1);
    let opening = out.seal(b"first".to_vec()).unwrap();
    let (mut inbound, _) = InboundChannel::accept(&[bob], &BOB, &opening).unwrap();
    let before = inbound.clone();
    assert_eq!(inbound.open(&opening), Err(ChannelError::Replay(0)));
    out.acknowledge(&before.hash().clone(), 1);
    let second = out.seal(b"second".to_vec()).unwrap();
    assert_eq!(inbound.open(&second).unwrap(), b"second");
    let before = inbound.clone();
    assert_eq!(inbound.open(&second), Err(ChannelError::UnknownTag));
    assert_eq!(inbound, before);
}

#[test]
fn other_channels_are_told_apart() {
    let (_, mut inbound) = established();
    let bob = key(1);
    let mut other = outbound(&bob, 2);
    let opening = other.seal(b"text".to_vec()).unwrap();
    assert_eq!(inbound.open(&opening), Err(ChannelError::OtherChannel));
    let (accepted, _) = InboundChannel::accept(&[bob], &BOB, &opening).unwrap();
    assert!(other.acknowledge(accepted.hash(), 1));
    assert_eq!(inbound.open(&other.seal(b"text".to_vec()).unwrap()), Err(ChannelError::UnknownTag));
}

#[test]
fn indices_far_ahead_are_refused() {
    let (mut out, mut inbound) = established();
    // The peer never acknowledged what it did not get, so an honest sender stops at 32.
    for _ in 0..32 {
        out.seal(Vec::new()).unwrap();
    }
    assert!(out.acknowledge(inbound.hash(), 2));
    let ahead = out.seal(b"ahead".to_vec()).unwrap();
    assert_eq!(inbound.open(&ahead), Err(ChannelError::UnknownTag));
    let bob = key(1);
    let mut opening = outbound(&bob, 1);
    let payload = (0..32).map(|_| opening.seal(Vec::new()).unwrap()).next_back().unwrap();
    let mut altered = payload.clone();
    altered[1_134] = 32;
    let error = InboundChannel::accept(&[bob], &BOB, &altered).map(|_| ()).unwrap_err();
    assert_eq!(error, ChannelError::TooFarAhead { index: 32, limit: 32 });
}

#[test]
fn the_window_forgets_what_is_far_behind() {
    let (mut out, mut inbound) = established();
    let held = out.seal(b"held".to_vec()).unwrap();
    let mut newest = 1;
    while newest < 129 {
        let payload = out.seal(Vec::new()).unwrap();
        inbound.open(&payload).unwrap();
        newest += 1;
        out.acknowledge(&inbound.hash().clone(), inbound.received_count());
        if newest == 128 {
            assert_eq!(inbound.clone().open(&held).unwrap(), b"held");
        }
    }
    assert_eq!(inbound.received_count(), 130);
    assert_eq!(inbound.open(&held), Err(ChannelError::UnknownTag));
    assert_eq!(inbound.expected_tags().len(), 32);
}

#[test]
fn no_two_tags_are_alike() {
    let (_, one) = opened();
    let bob = key(1);
    let opening = outbound(&bob, 2).seal(Vec::new()).unwrap();
    let (other, _) = InboundChannel::accept(&[bob], &BOB, &opening).unwrap();
    let tags: std::collections::BTreeSet<_> =
        [&one, &other].iter().flat_map(|channel| channel.tags(0, 500)).map(|(_, tag)| tag).collect();
    assert_eq!(tags.len(), 1_000);
    assert_eq!(one.tags(u64::MAX, 5).len(), 0);
}

#[test]
fn ends_survive_their_store() {
    let (mut out, mut inbound) = established();
    let _lost = out.seal(b"lost".to_vec()).unwrap();
    inbound.open(&out.seal(b"third".to_vec()).unwrap()).unwrap();
    let mut stored_out = OutboundChannel::from_bytes(&out.to_bytes()).unwrap();
    let mut stored_in = InboundChannel::from_bytes(&inbound.to_bytes()).unwrap();
    assert_eq!((&stored_out, &stored_in), (&out, &inbound));
    let payload = stored_out.seal(b"fourth".to_vec()).unwrap();
    assert_eq!(stored_in.open(&payload).unwrap(), b"fourth");
    let length = out.to_bytes().len();
    assert!(OutboundChannel::from_bytes(&out.to_bytes()[..length - 40]).is_err());
    assert!(!format!("{out:?} {inbound:?}").contains("keys"));
}

/// No honest channel gets there: a damaged record must neither stop the device nor start at index 0 again,
/// under a key that has sealed with it before.
#[test]
fn a_channel_at_its_last_index_is_renewed() {
    let (out, _) = established();
    let mut record: records::OutboundChannel = records::decode("outbound channel", &out.to_bytes()).unwrap();
    record.next = u64::MAX;
    record.acknowledged = u64::MAX;
    let mut out = OutboundChannel::from_bytes(&records::encode(&record)).unwrap();
    assert!(out.needs_renewal(NOW, key(1).public().as_bytes()));
    assert_eq!(out.seal(b"once more".to_vec()), Err(ChannelError::RenewalDue));
}

#[test]
fn content_that_does_not_fit_is_refused() {
    let (mut out, mut inbound) = established();
    let before = out.clone();
    assert_eq!(out.seal(vec![0; 64 * 1024]), Err(ChannelError::TooLarge));
    assert_eq!(out, before);
    let payload = out.seal(vec![7; 60_000]).unwrap();
    assert_eq!(inbound.open(&payload).unwrap(), vec![7; 60_000]);
}

#[test]
fn every_altered_tagged_payload_is_refused() {
    let (mut out, inbound) = established();
    let good = out.seal(b"text".to_vec()).unwrap();
    for bit in 0..good.len() * 8 {
        refused(&inbound, &flipped(&good, bit));
    }
    for length in 0..good.len() {
        refused(&inbound, &good[..length]);
    }
}

fn flipped(good: &[u8], bit: usize) -> Vec<u8> {
    let mut bad = good.to_vec();
    bad[bit / 8] ^= 1 << (bit % 8);
    bad
}

fn refused(inbound: &InboundChannel, payload: &[u8]) {
    let mut channel = inbound.clone();
    assert!(channel.open(payload).is_err());
    assert_eq!(&channel, inbound);
}

#[test]
fn public_keys_are_checked() {
    let good = key(1);
    let public = XWingPublic::from_slice(good.public().as_bytes()).unwrap();
    assert_eq!(&public, good.public());
    assert!(XWingPublic::from_slice(&good.public().as_bytes()[1..]).is_err());
    // Coefficients of ML-KEM must be below q.
    assert!(XWingPublic::from_slice(&[0xff; 1_216]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn an_altered_opening_is_refused(bit in 0usize..(1_151 + 64) * 8, cut in 0usize..(1_151 + 64)) {
        let bob = key(1);
        let mut out = outbound(&bob, 1);
        let first = out.seal(b"first".to_vec()).unwrap();
        for bad in [flipped(&first, bit), first[..cut].to_vec()] {
            prop_assert!(InboundChannel::accept(std::slice::from_ref(&bob), &BOB, &bad).is_err());
        }
        let (inbound, _) = InboundChannel::accept(&[bob], &BOB, &first).unwrap();
        let second = out.seal(b"second".to_vec()).unwrap();
        refused(&inbound, &flipped(&second, bit));
        refused(&inbound, &second[..cut]);
    }

    #[test]
    fn arbitrary_bytes_are_refused(kind in 0u8..4, bytes in prop::collection::vec(any::<u8>(), 0..1_400)) {
        let (_, inbound) = established();
        let payload = [&[1, 1, kind], &bytes[..]].concat();
        for bytes in [&bytes, &payload] {
            refused(&inbound, bytes);
            prop_assert!(InboundChannel::accept(&[key(1)], &BOB, bytes).is_err());
            prop_assert!(XWingPublic::from_slice(bytes).is_err());
            let _answer = (OutboundChannel::from_bytes(bytes), InboundChannel::from_bytes(bytes));
        }
    }

    /// Whatever order envelopes arrive in, whatever is lost and repeated: each is opened once at most,
    /// and both ends agree.
    #[test]
    fn any_order_opens_each_once(
        steps in prop::collection::vec((any::<bool>(), any::<prop::sample::Index>(), any::<bool>()), 1..120)
    ) {
        let (mut out, mut inbound) = opened();
        let mut sent: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut got = std::collections::BTreeSet::new();
        let mut next = 1u64;
        for (send, pick, acknowledge) in steps {
            if send && !out.needs_renewal(NOW, key(1).public().as_bytes()) {
                sent.push((next, out.seal(next.to_be_bytes().to_vec()).unwrap()));
                next += 1;
            } else if !sent.is_empty() {
                let (index, payload) = &sent[pick.index(sent.len())];
                let before = inbound.clone();
                match inbound.open(payload) {
                    Ok(content) => {
                        prop_assert_eq!(content, index.to_be_bytes());
                        prop_assert!(got.insert(*index));
                    }
                    Err(_) => {
                        prop_assert!(got.contains(index) || index + 128 < inbound.received_count());
                        prop_assert_eq!(&before, &inbound);
                    }
                }
            }
            if acknowledge {
                out.acknowledge(&inbound.hash().clone(), inbound.received_count());
            }
        }
    }
}
