//! One relay of a test, with its store.

use ed25519_dalek::SigningKey;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use undertone_protocol::keys::RelayAddress;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::Frame;

use super::super::super::world::as_read;
use crate::core::{ConnId, Input, Output, Relay};
use crate::federation::Policy;
use crate::limits::{Limits, Registration};
use crate::migration::count;
use crate::store::usage::usage;
use crate::store::{MemoryStore, Overlay, Store};

pub(in super::super) struct Side {
    pub(in super::super) relay: Relay,
    pub(in super::super) store: MemoryStore,
    seed: u8,
    limits: Limits,
    /// What was said to its devices.
    pub(in super::super) said: Vec<(ConnId, Frame)>,
}

impl Side {
    pub(in super::super) fn new(seed: u8, limits: Limits) -> Self {
        let relay = relay(seed, &limits, 1);
        Self { relay, store: MemoryStore::new(), seed, limits, said: Vec::new() }
    }

    pub(in super::super) fn step(&mut self, input: Input, now: Timestamp) -> Vec<Output> {
        let (mut out, mut tx) = (Vec::new(), Overlay::new(&self.store));
        let (input, read) = as_read(input);
        self.relay.handle(input, now, &mut tx, &mut out).unwrap();
        let batch = tx.into_batch();
        self.store.commit(batch).unwrap();
        assert!(read.is_unique(), "a frame is kept: {out:?}");
        out
    }

    pub(in super::super) fn with_policy(self, policy: Policy) -> Self {
        Self { relay: self.relay.with_policy(policy), ..self }
    }

    pub(in super::super) fn with_addresses(self, addresses: &[&str]) -> Self {
        let addresses = addresses.iter().copied().map(str::to_owned).collect();
        Self { relay: self.relay.with_addresses(addresses), ..self }
    }

    pub(in super::super) fn name_peers(&mut self, peers: Vec<RelayAddress>) {
        let fresh = relay(self.seed, &self.limits, 1);
        self.relay = std::mem::replace(&mut self.relay, fresh).with_peers(peers);
    }

    pub(in super::super) fn with_finder(self) -> Self {
        Self { relay: self.relay.with_finder(), ..self }
    }

    /// It is started anew, with what is on its disk.
    pub(in super::super) fn restart(&mut self) {
        self.restart_by(2);
    }

    /// The same, and it draws by another seed.
    pub(in super::super) fn restart_by(&mut self, rng: u64) {
        self.relay = relay(self.seed, &self.limits, rng);
    }

    pub(in super::super) fn bytes(&self) -> Vec<u8> {
        let pairs = self.store.range(&[], &[255], usize::MAX).unwrap();
        pairs.iter().flat_map(|(key, value)| key.iter().chain(value.iter()).copied()).collect()
    }

    /// The quota's count is that of all that is there, and never less than its bytes.
    pub(in super::super) fn assert_counted(&self) {
        let counted = usage(&Overlay::new(&self.store)).unwrap();
        assert_eq!(counted, count(&self.store).unwrap());
        let bytes = u64::try_from(self.bytes().len()).unwrap();
        assert!(bytes <= counted.disk_bytes + 64, "{bytes} bytes, {} are counted", counted.disk_bytes);
    }

    pub(in super::super) fn contains(&self, needle: &[u8]) -> bool {
        self.bytes().windows(needle.len()).any(|part| part == needle)
    }
}

fn relay(seed: u8, limits: &Limits, rng: u64) -> Relay {
    let rng = Box::new(ChaCha20Rng::seed_from_u64(rng));
    Relay::new(limits.clone(), Registration::Open, SigningKey::from_bytes(&[seed; 32]), rng)
}
