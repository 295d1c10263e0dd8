use std::time::Duration;

use ed25519_dalek::SigningKey;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use undertone::engine::{Engine, Input, LoadError, NewAccount, Origin, Outputs, create_account};
use undertone::store::{MemoryStore, NodeStore, StoreError};
use undertone_protocol::crypto::{Crypto, Vodozemac};
use undertone_protocol::ids::{DeviceId, UserId};
use undertone_protocol::keys::{DeviceKey, Name, RelayAddress};
use undertone_protocol::testing::ModelCrypto;
use undertone_protocol::time::Timestamp;

use super::failed::Failed;
use super::faults::Crash;
use super::forged::{Forger, Insight};
use super::hostile::HostileCrypto;
use super::seen::Seen;

/// One device: a disk, and an engine while it lives.
pub(super) struct Node {
    pub(super) name: &'static str,
    /// Whose it is, or will be once it is linked.
    pub(super) user: UserId,
    pub(super) device: DeviceId,
    pub(super) disk: MemoryStore,
    /// Whether it was made with the account, not linked later.
    pub(super) first: bool,
    /// What a new user was shown.
    pub(super) phrase: Option<String>,
    pub(super) engine: Option<Engine>,
    pub(super) rng: ChaCha20Rng,
    real_crypto: bool,
    /// How it cheats, if it does.
    pub(super) cheat: Option<Cheat>,
    /// What its cryptography sees of the group, where it cheats.
    insight: Insight,
    /// How far its clock is off.
    pub(super) skew: Skew,
    /// How far it is off when it is not wrong altogether.
    right: Option<Skew>,
    /// Whether its clock ever jumped ahead.
    pub(super) jumped: bool,
    /// Its user switched it off.
    pub(super) away: bool,
    /// What was seen of it while it ran.
    pub(super) seen: Seen,
    /// When the engine is to be woken next, by the world's clock.
    pub(super) tick_at: Option<Timestamp>,
}

/// How a hostile device cheats.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cheat {
    /// Decides what kind of cheat it is.
    pub(super) seed: u64,
    /// How often, in thousandths.
    pub(super) often: u32,
}

/// How far a clock is off.
#[derive(Debug, Clone, Copy)]
pub(super) enum Skew {
    Ahead(Duration),
    Behind(Duration),
}

impl Skew {
    pub(super) const NONE: Self = Self::Ahead(Duration::ZERO);

    /// What the clock shows at a moment.
    fn shown(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ahead(by) => now.after(by),
            Self::Behind(by) => now.before(by),
        }
    }

    /// The moment at which the clock shows this.
    fn real(self, shown: Timestamp) -> Timestamp {
        match self {
            Self::Ahead(by) => shown.before(by),
            Self::Behind(by) => shown.after(by),
        }
    }
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
        relays: Vec<RelayAddress>,
        mut rng: ChaCha20Rng,
        real_crypto: bool,
        skew: Skew,
        now: Timestamp,
    ) -> Result<Self, Failed> {
        let now = skew.shown(now);
        let mut disk = MemoryStore::default();
        let mut crypto = crypto(&mut rng, real_crypto);
        let first = !matches!(origin, Origin::Link);
        let named = |name: &str| Name::new(name).map_err(|error| Failed::new(error.to_string()));
        let new = NewAccount {
            name: named(name)?,
            device_name: named(if first { "desktop" } else { name })?,
            relays,
            invitations: std::collections::BTreeMap::new(),
            origin,
        };
        let mut account_rng = ChaCha20Rng::seed_from_u64(rng.next_u64());
        let mut made = Ok(None);
        disk.transaction(|tx| {
            made = create_account(tx, crypto.as_mut(), &mut account_rng, new, now);
            Ok(())
        })?;
        let phrase = made.map_err(|error| Failed::new(error.to_string()))?.map(|phrase| phrase.words());
        let account = disk.transaction(|tx| tx.account())?;
        let certificate = account.ok_or_else(|| Failed::new("an account was not kept"))?.certificate;
        Ok(Self {
            name,
            user: certificate.user,
            device: certificate.device,
            disk,
            first,
            phrase,
            engine: None,
            rng,
            real_crypto,
            cheat: None,
            insight: Insight::default(),
            skew,
            right: None,
            jumped: false,
            away: false,
            seen: Seen::default(),
            tick_at: None,
        })
    }

    /// Loads the engine from the disk, as at every start.
    pub(super) fn start(&mut self, now: Timestamp) -> Result<(), Failed> {
        let now = self.clock(now);
        let mut crypto = crypto(&mut self.rng, self.real_crypto);
        if let Some(cheat) = self.cheat {
            let account = self.disk.transaction(|tx| tx.account())?;
            let account = account.ok_or_else(|| Failed::new("a node lost its account"))?;
            let key = SigningKey::from_bytes(account.device_seed.expose());
            let life = self.rng.next_u64();
            let forging = DeviceKey::from_seed(&account.device_seed);
            let forger = Forger::new(forging, &account.certificate, self.insight.clone());
            crypto = Box::new(HostileCrypto::new(crypto, key, forger, (cheat.seed, life), cheat.often));
        }
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
        let now = self.clock(now);
        if self.cheat.is_some() {
            self.insight.look(&mut self.disk)?;
        }
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
        if let Some(crash) = crash {
            tracing::trace!(target: "undertone::world", node = self.name, ?crash, "dies, and that was its last step");
        }
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

    /// What its clock shows.
    pub(super) fn clock(&self, now: Timestamp) -> Timestamp {
        self.skew.shown(now)
    }

    /// When the engine wants to be woken next, by the world's clock.
    pub(super) fn wakes_at(&self) -> Option<Timestamp> {
        self.engine.as_ref().map(|engine| self.skew.real(engine.next_deadline()))
    }

    /// Its clock jumps ahead.
    pub(super) fn clock_jumps(&mut self, by: Duration) {
        self.jumped = true;
        let right = self.right.unwrap_or(self.skew);
        self.right = Some(right);
        self.skew = match right {
            Skew::Ahead(ahead) => Skew::Ahead(ahead.saturating_add(by)),
            Skew::Behind(behind) => Skew::Ahead(by.saturating_sub(behind)),
        };
    }

    /// Its clock is as it was.
    pub(super) fn clock_is_set(&mut self) {
        if let Some(right) = self.right.take() {
            self.skew = right;
        }
    }

    /// Its process ends.
    pub(super) fn stop(&mut self) {
        self.engine = None;
        self.tick_at = None;
    }

    fn die(&mut self, out: Option<Outputs>) -> Stepped {
        self.stop();
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
