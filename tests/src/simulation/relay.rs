use ed25519_dalek::SigningKey;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use undertone_protocol::ids::RelayId;
use undertone_protocol::keys::RelayAddress;
use undertone_protocol::time::Timestamp;
use undertone_relay::core::{Input, Output, Relay};
use undertone_relay::limits::{Limits, Registration};
use undertone_relay::restored::restored;
use undertone_relay::store::{MemoryStore, Overlay, Store};

use super::failed::Failed;
use super::faults::Crash;

/// Where every relay is: they are told apart by their keys.
pub(super) const ADDRESS: &str = "/ip4/127.0.0.1/tcp/1";

/// The relay: a disk, and a machine while it lives.
pub(super) struct SimRelay {
    pub(super) disk: MemoryStore,
    pub(super) machine: Option<Relay>,
    key: SigningKey,
    pub(super) limits: Limits,
    rng: ChaCha20Rng,
    pub(super) tick_at: Option<Timestamp>,
    /// Whether it is gone for ever, with its disk.
    pub(super) is_lost: bool,
    /// Whether it lost its disk, or what came since an old copy of it.
    pub(super) has_forgotten: bool,
    /// A copy of its disk.
    backup: Option<MemoryStore>,
    /// How often a mailbox was full, while the machines before this one lived.
    full: u64,
}

impl SimRelay {
    pub(super) fn new(limits: Limits, mut rng: ChaCha20Rng) -> Self {
        let mut seed = [0; 32];
        rng.fill_bytes(&mut seed);
        let key = SigningKey::from_bytes(&seed);
        Self {
            disk: MemoryStore::new(),
            machine: None,
            key,
            limits,
            rng,
            tick_at: None,
            is_lost: false,
            has_forgotten: false,
            backup: None,
            full: 0,
        }
    }

    /// How often a mailbox was full.
    pub(super) fn full(&self) -> u64 {
        let now = self.machine.as_ref().map(|machine| machine.metrics().results_full);
        self.full + now.unwrap_or(0)
    }

    pub(super) fn address(&self) -> RelayAddress {
        RelayAddress {
            relay: RelayId::new(self.key.verifying_key().to_bytes()),
            addresses: vec![ADDRESS.to_owned()],
        }
    }

    pub(super) fn start(&mut self) {
        let rng = ChaCha20Rng::seed_from_u64(self.rng.next_u64());
        self.machine =
            Some(Relay::new(self.limits.clone(), Registration::Open, self.key.clone(), Box::new(rng)));
    }

    /// Its process ends.
    pub(super) fn stop(&mut self) {
        self.full = self.full();
        self.machine = None;
        self.tick_at = None;
    }

    /// Its process ends, and it loses its disk.
    pub(super) fn forget(&mut self) {
        self.stop();
        self.disk = MemoryStore::new();
        self.has_forgotten = true;
    }

    /// Its operator makes a copy of its disk, and no other later.
    pub(super) fn back_up(&mut self) {
        self.backup = Some(self.disk.clone());
    }

    pub(super) const fn has_backup(&self) -> bool {
        self.backup.is_some()
    }

    /// Its process ends, and its operator puts the old copy of its disk back, if there is one, and says so.
    pub(super) fn put_back(&mut self) -> Result<bool, Failed> {
        self.forget();
        let Some(backup) = self.backup.take() else { return Ok(false) };
        self.disk = backup;
        restored(&mut self.disk, &mut self.rng).map_err(|error| Failed::new(format!("relay: {error}")))?;
        Ok(true)
    }

    /// One group commit. A crash takes what was not committed; `None`: it died before it sent.
    pub(super) fn step(
        &mut self,
        inputs: Vec<Input>,
        now: Timestamp,
        crash: Option<Crash>,
    ) -> Result<Option<Vec<Output>>, Failed> {
        let Some(machine) = &mut self.machine else { return Ok(None) };
        let mut overlay = Overlay::new(&self.disk);
        let mut out = Vec::new();
        for input in inputs {
            machine
                .handle(input, now, &mut overlay, &mut out)
                .map_err(|error| Failed::new(format!("relay: {error}")))?;
        }
        let batch = overlay.into_batch();
        if crash.is_some() {
            self.stop();
        }
        if crash == Some(Crash::BeforeCommit) {
            return Ok(None);
        }
        self.disk.commit(batch).map_err(|error| Failed::new(format!("relay: {error}")))?;
        Ok((crash != Some(Crash::BeforeSending)).then_some(out))
    }
}
