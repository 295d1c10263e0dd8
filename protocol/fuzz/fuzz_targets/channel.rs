//! Both ends of a pairwise channel: contents in any order, repeated, altered, lost, after restarts. A content
//! comes out once, as it went in, and nothing else comes out.
#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use undertone_fuzz::{Steps, device_id};
use undertone_protocol::crypto::{InboundChannel, OutboundChannel, XWingKey};
use undertone_protocol::ids::Secret;
use undertone_protocol::limits::CHANNEL_UNACKNOWLEDGED_MAX;
use undertone_protocol::time::Timestamp;

/// Sending end, receiving end, and the opening envelope that made it. Set up once: X-Wing is slow.
static CHANNEL: LazyLock<Ends> = LazyLock::new(|| {
    let key = XWingKey::from_seed(Secret::new([4; 32]));
    let mut rng = ChaCha20Rng::from_seed([5; 32]);
    let mut sender = OutboundChannel::open(&mut rng, device_id(12), key.public(), Timestamp::ZERO).unwrap();
    let first = sender.seal(b"first".to_vec()).unwrap();
    let (receiver, _) = InboundChannel::accept(&[key], &device_id(12), &first).unwrap();
    Ends { sender, receiver, sent: vec![(b"first".to_vec(), first)], opened: BTreeSet::from([0]) }
});

/// More is enough for any window.
const STEPS_MAX: usize = 400;

#[derive(Clone)]
struct Ends {
    sender: OutboundChannel,
    receiver: InboundChannel,
    /// Content and payload.
    sent: Vec<(Vec<u8>, Vec<u8>)>,
    opened: BTreeSet<usize>,
}

fuzz_target!(|data: &[u8]| {
    let mut ends = CHANNEL.clone();
    let mut steps = Steps(data);
    for _ in 0..STEPS_MAX {
        if ends.step(&mut steps).is_none() {
            break;
        }
    }
    ends.check();
});

impl Ends {
    fn step(&mut self, steps: &mut Steps<'_>) -> Option<()> {
        match steps.byte()? % 6 {
            0 => self.seal(steps.chunk()?.to_vec()),
            1 => self.deliver(steps.choice(self.sent.len())?),
            2 => self.alter(steps.choice(self.sent.len())?, steps.byte()?, steps.byte()?),
            3 => {
                let count = self.receiver.received_count();
                self.sender.acknowledge(self.receiver.hash(), count);
            }
            4 => self.strange(steps.chunk()?),
            _ => self.restart(),
        }
        Some(())
    }

    fn seal(&mut self, content: Vec<u8>) {
        let before = self.sender.unacknowledged();
        match self.sender.seal(content.clone()) {
            Ok(payload) => self.sent.push((content, payload)),
            Err(_) => assert_eq!(self.sender.unacknowledged(), before),
        }
        assert!(self.sender.unacknowledged() <= CHANNEL_UNACKNOWLEDGED_MAX);
    }

    fn deliver(&mut self, at: usize) {
        let (content, payload) = &self.sent[at];
        if let Ok(opened) = self.receiver.open(payload) {
            assert_eq!(&opened, content);
            assert!(self.opened.insert(at), "{at} was opened twice");
        } else {
            // Repeats are refused, and so is what is more than a window late.
            let late = self.receiver.received_count().saturating_sub(128) > at as u64;
            assert!(late || self.opened.contains(&at), "{at} was refused");
        }
    }

    fn alter(&mut self, at: usize, byte: u8, mask: u8) {
        let mut payload = self.sent[at].1.clone();
        let byte = usize::from(byte) * payload.len() / 256;
        payload[byte] ^= mask.max(1);
        self.refuse(&payload);
    }

    fn strange(&mut self, payload: &[u8]) {
        if !self.sent.iter().any(|(_, sent)| sent == payload) {
            self.refuse(payload);
        }
    }

    fn refuse(&mut self, payload: &[u8]) {
        let before = self.receiver.clone();
        assert!(self.receiver.open(payload).is_err());
        assert!(self.receiver == before, "what is refused changes nothing");
    }

    fn restart(&mut self) {
        self.sender = OutboundChannel::from_bytes(&self.sender.to_bytes()).unwrap();
        self.receiver = InboundChannel::from_bytes(&self.receiver.to_bytes()).unwrap();
    }

    fn check(&self) {
        let tags = self.receiver.expected_tags().len() as u64;
        assert!(tags <= 128 + CHANNEL_UNACKNOWLEDGED_MAX);
    }
}
