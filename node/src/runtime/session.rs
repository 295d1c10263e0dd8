use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use tokio::sync::mpsc;
use undertone_protocol::crypto::Vodozemac;
use undertone_protocol::ids::Secret;
use undertone_protocol::time::Timestamp;
use undertone_transport::{DialOptions, Identity, Roots};

use super::NodeError;
use crate::engine::{DownReason, Engine, Input, LINKS_MAX, LoadError, NetOutput, Outputs};
use crate::net::{NetCommand, NetEvent, NetLimits, NetStopped, Network};
use crate::store::{NodeStore, StoreError};

/// What is lost when the store fails: the engine's memory and all connections.
pub(super) struct Session {
    engine: Engine,
    network: Network,
    /// Of this session's network alone: a connection of an earlier session is never heard here.
    links: mpsc::Receiver<NetEvent>,
}

impl Session {
    /// Loads the engine from what is durable; no connection is there yet. Needs a Tokio runtime.
    pub(super) fn load(
        store: &mut impl NodeStore,
        mut rng: ChaCha20Rng,
        now: Timestamp,
        roots: Roots,
    ) -> Result<Self, NodeError> {
        let keys = ChaCha20Rng::from_seed(*Secret::random(&mut rng).expose());
        let loaded = store.transaction(|tx| match Engine::load(tx, Box::new(Vodozemac), rng, now) {
            Ok(engine) => Ok(Some(engine)),
            Err(LoadError::NoAccount) => Ok(None),
            Err(LoadError::Store(error)) => Err(error),
        })?;
        let engine = loaded.ok_or(LoadError::NoAccount)?;
        let identity = Identity::from_secret(&engine.me().account.device_seed);
        // Twice the engine's links: one that ends goes on for a moment beside the one in its place.
        let dial = DialOptions { roots, ..DialOptions::default() };
        let limits = NetLimits { links_max: 2 * LINKS_MAX, dial, ..NetLimits::default() };
        let (network, links) = Network::start(identity, limits, keys);
        Ok(Self { engine, network, links })
    }

    /// When it wants to be given the time at the latest.
    pub(super) fn next_deadline(&self) -> Timestamp {
        self.engine.next_deadline()
    }

    /// The next thing that comes from the network; `None` when the network is gone.
    pub(super) async fn next(&mut self) -> Option<Input> {
        self.links.recv().await.map(input)
    }

    /// The same, if it is there already.
    pub(super) fn try_next(&mut self) -> Option<Input> {
        self.links.try_recv().ok().map(input)
    }

    /// Handles inputs in one transaction. When this fails, so has the session.
    pub(super) fn handle(
        &mut self,
        store: &mut impl NodeStore,
        inputs: Vec<Input>,
        now: Timestamp,
    ) -> Result<Outputs, StoreError> {
        let mut outputs = Outputs::default();
        let engine = &mut self.engine;
        store.transaction(|tx| {
            for input in inputs {
                engine.handle(input, now, tx, &mut outputs)?;
            }
            engine.settle(now, tx, &mut outputs)
        })?;
        Ok(outputs)
    }

    /// Carries out what a durable transaction gave.
    pub(super) async fn release(&self, outputs: Vec<NetOutput>) -> Result<(), NetStopped> {
        for output in outputs {
            self.network.command(command(output)).await?;
        }
        Ok(())
    }

    /// Ends all connections, after what was given to them.
    pub(super) async fn end(self) {
        let Self { network, mut links, .. } = self;
        // What still comes is not acknowledged, so it comes again.
        let drain = async { while links.recv().await.is_some() {} };
        tokio::join!(drain, network.shutdown());
    }
}

fn input(event: NetEvent) -> Input {
    match event {
        NetEvent::Up { link } => Input::LinkUp { link },
        NetEvent::Frame { link, frame } => Input::Frame { link, frame },
        NetEvent::Down { link, reason } => Input::LinkDown { link, reason: DownReason(reason.to_string()) },
    }
}

fn command(output: NetOutput) -> NetCommand {
    match output {
        // An address of a kind that this build can't dial is left out; where none is left, dialling says so.
        NetOutput::Connect { link, addresses } => NetCommand::Connect {
            link,
            addresses: addresses.iter().filter_map(|text| text.parse().ok()).collect(),
        },
        NetOutput::Send { link, frame } => NetCommand::Send { link, frame },
        NetOutput::Disconnect(link) => NetCommand::Disconnect { link },
    }
}
