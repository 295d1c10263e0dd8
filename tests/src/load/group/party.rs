//! A real device: a store, and an engine that is loaded from it.

use std::collections::{BTreeMap, VecDeque};

use anyhow::Context;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use tempfile::TempDir;
use undertone::LinkId;
use undertone::engine::{Engine, Input, LoadError, NewAccount, Origin, Outputs, create_account};
use undertone::store::{MemoryStore, NodeStore, NodeTx, SqliteStore, StoreError};
use undertone_protocol::crypto::Vodozemac;
use undertone_protocol::ids::{DeviceId, Secret, UserId};
use undertone_protocol::keys::{Name, RelayAddress};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::frame::Body;
use undertone_relay::core::ConnId;

use super::meter::{Began, Meter};

/// Where a device keeps what it knows.
pub(super) enum Disk {
    Memory(Box<MemoryStore>),
    /// On disk, with the directory that holds it.
    Sqlite(Box<SqliteStore>, #[expect(dead_code, reason = "dropped, it is removed")] TempDir),
}

impl Disk {
    pub(super) fn new(sqlite: bool) -> anyhow::Result<Self> {
        if !sqlite {
            return Ok(Self::Memory(Box::default()));
        }
        let dir = tempfile::Builder::new().prefix("undertone-load-").tempdir()?;
        let store = SqliteStore::open(&dir.path().join("node.db"), &Secret::new([7; 32]))?;
        Ok(Self::Sqlite(Box::new(store), dir))
    }
}

impl NodeStore for Disk {
    fn transaction<R>(
        &mut self,
        work: impl FnOnce(&mut dyn NodeTx) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        match self {
            Self::Memory(store) => store.transaction(work),
            Self::Sqlite(store, _) => store.transaction(work),
        }
    }
}

pub(super) struct Party {
    pub(super) name: &'static str,
    pub(super) user: UserId,
    pub(super) device: DeviceId,
    pub(super) disk: Disk,
    engine: Option<Engine>,
    rng: ChaCha20Rng,
    pub(super) conns: BTreeMap<LinkId, ConnId>,
    pub(super) meter: Meter,
    /// What it is to be given, in order.
    pub(super) inputs: VecDeque<Input>,
}

impl Party {
    pub(super) fn new(
        name: &'static str,
        relay: RelayAddress,
        sqlite: bool,
        mut rng: ChaCha20Rng,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let mut disk = Disk::new(sqlite)?;
        let new = NewAccount {
            name: Name::new(name)?,
            device_name: Name::new("desktop")?,
            relays: vec![relay],
            invitations: BTreeMap::new(),
            origin: Origin::New,
        };
        let mut made = Ok(None);
        let account = disk.transaction(|tx| {
            made = create_account(tx, &mut Vodozemac, &mut rng, new, now);
            tx.account()
        })?;
        made?;
        let certificate = account.context("an account was not kept")?.certificate;
        let mut party = Self {
            name,
            user: certificate.user,
            device: certificate.device,
            disk,
            engine: None,
            rng,
            conns: BTreeMap::new(),
            meter: Meter::default(),
            inputs: VecDeque::new(),
        };
        party.start(now)?;
        Ok(party)
    }

    /// Loads the engine from the store.
    pub(super) fn start(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let rng = ChaCha20Rng::seed_from_u64(self.rng.next_u64());
        let began = Began::now();
        let engine = self.disk.transaction(|tx| match Engine::load(tx, Box::new(Vodozemac), rng, now) {
            Ok(engine) => Ok(Some(engine)),
            Err(LoadError::Store(error)) => Err(error),
            Err(LoadError::NoAccount) => Ok(None),
        })?;
        self.meter.step("start", &began);
        self.engine = Some(engine.context("a store without an account")?);
        self.inputs.clear();
        self.inputs.push_back(Input::Tick);
        Ok(())
    }

    /// Works on what it keeps.
    pub(super) fn put<R>(
        &mut self,
        work: impl FnOnce(&mut dyn NodeTx) -> anyhow::Result<R>,
    ) -> anyhow::Result<R> {
        let mut done = None;
        self.disk.transaction(|tx| {
            done = Some(work(tx));
            Ok(())
        })?;
        done.context("nothing was done")?
    }

    /// When it wants to be woken.
    pub(super) fn wakes_at(&self) -> Option<Timestamp> {
        if !self.inputs.is_empty() {
            return Some(Timestamp::ZERO);
        }
        self.engine.as_ref().map(Engine::next_deadline)
    }

    /// One transaction, with what is to be given first, or what that time passed.
    pub(super) fn step(&mut self, now: Timestamp) -> anyhow::Result<Outputs> {
        let input = self.inputs.pop_front().unwrap_or(Input::Tick);
        let what = name_of(&input);
        let Some(engine) = &mut self.engine else { return Ok(Outputs::default()) };
        let mut out = Outputs::default();
        let began = Began::now();
        self.disk
            .transaction(|tx| {
                engine.handle(input, now, tx, &mut out)?;
                engine.settle(now, tx, &mut out)
            })
            .with_context(|| self.name)?;
        self.meter.step(what, &began);
        Ok(out)
    }
}

fn name_of(input: &Input) -> &'static str {
    match input {
        Input::Ask(_) => "command",
        Input::LinkUp { .. } | Input::LinkDown { .. } => "link",
        Input::Tick => "tick",
        Input::Frame { frame, .. } => match &frame.body {
            Some(Body::Deliver(deliver)) if deliver.class == 1 => "acknowledgement",
            Some(Body::Deliver(_)) => "delivery",
            Some(Body::Published(_)) => "receipt",
            Some(Body::Bundle(_)) => "bundle",
            _ => "frame",
        },
    }
}
