use std::collections::{BTreeMap, BTreeSet};

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use undertone::engine::{Engine, Input, LoadError, NewAccount, Origin, Outputs, create_account};
use undertone::store::{MemoryStore, NodeStore, StoreError};
use undertone_protocol::crypto::{Crypto, Vodozemac};
use undertone_protocol::ids::DeviceId;
use undertone_protocol::keys::{Name, RelayAddress};
use undertone_protocol::receipts::Tick;
use undertone_protocol::testing::ModelCrypto;
use undertone_protocol::time::Timestamp;

use super::failed::Failed;
use super::faults::Crash;

/// A device: a disk, and an engine while it lives.
pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) disk: MemoryStore,
    /// What a new user was shown.
    pub(super) phrase: Option<String>,
    pub(super) engine: Option<Engine>,
    pub(super) rng: ChaCha20Rng,
    real_crypto: bool,
    /// How far each message was seen to have come: it may not go back.
    pub(super) ticks: BTreeMap<String, Tick>,
    /// Who was blocked after the last step.
    pub(super) blocked: BTreeSet<String>,
    /// When the engine is to be woken next.
    pub(super) tick_at: Option<Timestamp>,
}

/// What a step of a node gave.
pub(super) enum Stepped {
    /// Outputs, to be sent.
    Alive(Outputs),
    /// It died in the step; what it had to send, if it got that far.
    Died(Option<Outputs>),
}

impl Node {
    pub(super) fn create(
        name: &'static str,
        origin: Origin,
        relay: RelayAddress,
        mut rng: ChaCha20Rng,
        real_crypto: bool,
        now: Timestamp,
    ) -> Result<Self, Failed> {
        let mut disk = MemoryStore::default();
        let mut crypto = crypto(&mut rng, real_crypto);
        let named = |name: &str| Name::new(name).map_err(|error| Failed::new(error.to_string()));
        let new = NewAccount {
            name: named(name)?,
            device_name: named(if matches!(origin, Origin::Link) { name } else { "desktop" })?,
            relays: vec![relay],
            origin,
        };
        let mut account_rng = ChaCha20Rng::seed_from_u64(rng.next_u64());
        let mut made = Ok(None);
        disk.transaction(|tx| {
            made = create_account(tx, crypto.as_mut(), &mut account_rng, new, now);
            Ok(())
        })?;
        let phrase = made.map_err(|error| Failed::new(error.to_string()))?.map(|phrase| phrase.words());
        Ok(Self {
            name,
            disk,
            phrase,
            engine: None,
            rng,
            real_crypto,
            ticks: BTreeMap::new(),
            blocked: BTreeSet::new(),
            tick_at: None,
        })
    }

    /// Loads the engine from the disk, as at every start.
    pub(super) fn start(&mut self, now: Timestamp) -> Result<(), Failed> {
        let crypto = crypto(&mut self.rng, self.real_crypto);
        let rng = ChaCha20Rng::seed_from_u64(self.rng.next_u64());
        let mut loaded = None;
        self.disk
            .transaction(|tx| match Engine::load(tx, crypto, rng, now) {
                Ok(engine) => {
                    loaded = Some(engine);
                    Ok(())
                }
                Err(LoadError::Store(error)) => Err(error),
                Err(LoadError::NoAccount) => Ok(()),
            })
            .map_err(|error| Failed::new(error.to_string()))?;
        self.engine = Some(loaded.ok_or_else(|| Failed::new("a node lost its account"))?);
        Ok(())
    }

    /// Whether it waits to be added by another device of its user.
    pub(super) fn is_linking(&mut self) -> Result<bool, Failed> {
        Ok(self.disk.transaction(|tx| Ok(tx.account()?.is_some_and(|account| account.linking.is_some())))?)
    }

    /// The device; `None` before there is an account.
    pub(super) fn device(&mut self) -> Result<Option<DeviceId>, Failed> {
        Ok(self.disk.transaction(|tx| Ok(tx.account()?.map(|account| account.certificate.device)))?)
    }

    /// The devices that this one's user revoked, as it knows.
    pub(super) fn revoked(&mut self) -> Result<Vec<DeviceId>, Failed> {
        let account = self.disk.transaction(|tx| tx.account())?;
        let devices = account.into_iter().flat_map(|account| account.device_list.devices);
        Ok(devices.filter(|listed| listed.revoked).map(|listed| listed.certificate.device).collect())
    }

    /// One transaction: inputs, settle, commit. A crash takes what was not committed.
    pub(super) fn step(
        &mut self,
        inputs: Vec<Input>,
        now: Timestamp,
        crash: Option<Crash>,
    ) -> Result<Stepped, Failed> {
        let Some(engine) = &mut self.engine else { return Ok(Stepped::Died(None)) };
        let mut out = Outputs::default();
        let result = self.disk.transaction(|tx| {
            for input in inputs {
                engine.handle(input, now, tx, &mut out)?;
            }
            engine.settle(now, tx, &mut out)?;
            match crash {
                Some(Crash::BeforeCommit) => Err(StoreError::Database("crash".to_owned())),
                _ => Ok(()),
            }
        });
        match (result, crash) {
            (Ok(()), None) => Ok(Stepped::Alive(out)),
            (Ok(()), Some(Crash::AfterSending)) => Ok(self.die(Some(out))),
            (_, Some(_)) => Ok(self.die(None)),
            (Err(error), None) => Err(Failed::new(format!("{}: {error}", self.name))),
        }
    }

    /// Loses all Olm sessions: what the peers send in them can't be read any more.
    pub(super) fn lose_sessions(&mut self) -> Result<(), Failed> {
        Ok(self.disk.transaction(|tx| {
            for contact in tx.contacts()? {
                for certificate in contact.device_list.iter().flat_map(|list| list.active()) {
                    for session in tx.olm_sessions(&certificate.device)? {
                        tx.delete_olm_session(&certificate.device, &session.id)?;
                    }
                }
            }
            Ok(())
        })?)
    }

    fn die(&mut self, out: Option<Outputs>) -> Stepped {
        self.engine = None;
        self.tick_at = None;
        Stepped::Died(out)
    }
}

fn crypto(rng: &mut ChaCha20Rng, real: bool) -> Box<dyn Crypto> {
    if real {
        return Box::new(Vodozemac);
    }
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    Box::new(ModelCrypto::new(seed))
}
