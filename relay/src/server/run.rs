//! Puts the parts together, and takes them down in order.

use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use rand_core::UnwrapErr;
use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use undertone_protocol::ids::Secret;
use undertone_protocol::limits::{FRAME_BYTES_MAX, RELAY_ADDRESSES_MAX};
use undertone_protocol::time::Clock;
use undertone_transport::{
    Address, Certificate, FinderOptions, GateLimits, Identity, ListenOptions, Listener, QueueLimits,
    RelayAddress, listen,
};

use super::clock::SystemClock;
use super::driver::Driver;
use super::inlets::Inlets;
use crate::admin::{self, Question};
use crate::config::{Backend, Config};
use crate::core::Relay;
use crate::data_dir::DataDir;
use crate::gateway::Dialler;
use crate::key;
use crate::migration::migrate;
use crate::store::{FjallOptions, FjallStore, MemoryStore, Store, StoreError};

/// Frames that may wait to be written to one connection; the machine bounds their bytes.
const LINK_FRAMES_MAX: usize = 65_536;
/// Connections that are taken beyond the limit, so that the machine can tell them so.
const OVERFLOW_CONNECTIONS: usize = 64;
/// How long a stop may take until connections are cut.
const STOP_WAIT: Duration = Duration::from_secs(8);
/// Questions of operators that may wait.
const QUESTIONS_MAX: usize = 16;

/// Runs a relay until it is told to stop, or its store fails.
pub(crate) async fn run(config: Config) -> anyhow::Result<()> {
    let dir = DataDir::new(&config.data_dir);
    let secret = key::load(&dir.key())?;
    // Before anybody is told that it runs: from then on it may be asked to stop.
    let mut signals = Signals::listen()?;
    let _lock = dir.lock()?;
    dir.clear()?;
    let store = open_store(config.store, &dir)?;
    let mut running = Running::start(&config, &secret, store).await?;
    dir.publish(&running.addresses)?;
    announce(&running.addresses)?;
    let admin = admin::serve(dir.socket(), running.questions.clone(), running.addresses.clone())?;

    let failure = running.until_end(&mut signals).await?;
    admin.abort();
    dir.clear()?;
    match failure {
        None => running.stop().await,
        Some(failure) => {
            tracing::error!(%failure, "the store failed; the relay ends");
            running.listener.stop(STOP_WAIT).await;
            Err(anyhow!(failure).context("the store failed: start the relay again once the cause is gone"))
        }
    }
}

pub(crate) fn open_store(backend: Backend, dir: &DataDir) -> anyhow::Result<Box<dyn Store>> {
    match backend {
        Backend::Fjall => {
            let store = FjallStore::open(&dir.store(), FjallOptions::default());
            let mut store = store.with_context(|| format!("can't open {}", dir.store().display()))?;
            migrate(&mut store).with_context(|| format!("can't migrate {}", dir.store().display()))?;
            Ok(Box::new(store))
        }
        Backend::Memory => {
            tracing::warn!("the store is in memory: envelopes are lost when the relay stops");
            Ok(Box::new(MemoryStore::new()))
        }
    }
}

fn announce(addresses: &[String]) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for address in addresses {
        writeln!(out, "listening on {address}")?;
    }
    Ok(out.flush()?)
}

/// What runs.
struct Running {
    addresses: Vec<String>,
    listener: Listener,
    certificate: Option<Certificate>,
    questions: mpsc::Sender<Question>,
    stop: oneshot::Sender<()>,
    ended: oneshot::Receiver<Result<(), StoreError>>,
}

impl Running {
    async fn start(config: &Config, secret: &Secret, store: Box<dyn Store>) -> anyhow::Result<Self> {
        let identity = key::identity(secret);
        let listen_on: Result<Vec<Address>, _> = config.listen.iter().map(|text| text.parse()).collect();
        let listen_on = listen_on?;
        let certificate = certificate(config)?;
        let options = listen_options(config, certificate.clone());
        let (listener, events) = listen(&identity, &listen_on, options).await?;
        let addresses = with_key(&identity, &listener);
        let rng = Box::new(UnwrapErr(getrandom::SysRng));
        let relay =
            Relay::new(config.limits.clone(), config.registration.policy, key::signing_key(secret), rng)
                .with_policy(config.federation.policy()?)
                .with_peers(config.federation.peers()?)
                .with_addresses(announced(config, &listen_on, listener.addresses()));
        let handshake = Duration::from_millis(config.network.handshake_ms_max);
        let (dialler, dials) = Dialler::new(Handle::current(), identity, handshake);
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        let (stop, stopped) = oneshot::channel();
        let finder = listener.finder();
        let relay = if finder.is_some() { relay.with_finder() } else { relay };
        let inlets = Inlets::new(events, dials, asked, stopped);
        let drain = config.network.drain_events_max;
        let ended = spawn(move || Driver::new(relay, store, (dialler, finder), inlets, drain))?;
        Ok(Self { addresses, listener, certificate, questions, stop, ended })
    }

    /// Waits for a signal, or for the thread to fail: then says how.
    async fn until_end(&mut self, signals: &mut Signals) -> anyhow::Result<Option<StoreError>> {
        loop {
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::Stop => return Ok(None),
                    Asked::Reload => self.reload(),
                },
                ended = &mut self.ended => return match ended {
                    Ok(Err(failure)) => Ok(Some(failure)),
                    Ok(Ok(())) => Err(anyhow!("the listener ended by itself")),
                    Err(_) => Err(anyhow!("the relay's thread ended by a fault of its own")),
                },
            }
        }
    }

    /// Takes up a renewed certificate. The files are small, and local: no task of its own for them.
    fn reload(&self) {
        match self.certificate.as_ref().map(Certificate::reload) {
            None => tracing::info!("there is no certificate to read again"),
            Some(Ok(())) => tracing::info!("the certificate was read again"),
            Some(Err(error)) => tracing::warn!(%error, "the certificate stays what it was"),
        }
    }

    /// Goodbye to everybody; all that came before is still handled and stored.
    async fn stop(self) -> anyhow::Result<()> {
        tracing::info!("stopping");
        // An error says that the thread is over; that shows below.
        let _ = self.stop.send(());
        self.listener.stop(STOP_WAIT).await;
        match tokio::time::timeout(STOP_WAIT, self.ended).await {
            Ok(Ok(ended)) => Ok(ended.context("the store failed while the relay stopped")?),
            Ok(Err(_)) => Err(anyhow!("the relay's thread ended by a fault of its own")),
            Err(_) => Err(anyhow!("the relay's thread did not end in time")),
        }
    }
}

/// What a signal asks for.
enum Asked {
    Stop,
    Reload,
}

/// What asks the relay to stop, or to read its certificate again.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// From here on they don't end the process.
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }
}

/// Runs a driver on a thread of its own, with timers but without a share in the other tasks.
fn spawn(
    driver: impl FnOnce() -> Driver + Send + 'static,
) -> anyhow::Result<oneshot::Receiver<Result<(), StoreError>>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (report, ended) = oneshot::channel();
    thread::Builder::new().name("relay-core".to_owned()).spawn(move || {
        // An error says that the process is ending already.
        let _ = report.send(runtime.block_on(driver().run()));
    })?;
    Ok(ended)
}

fn certificate(config: &Config) -> anyhow::Result<Option<Certificate>> {
    let load = |(chain, key): (&Path, &Path)| Certificate::load(chain, key);
    config.tls.files().map(load).transpose().context("[tls]")
}

fn listen_options(config: &Config, certificate: Option<Certificate>) -> ListenOptions {
    let network = &config.network;
    let backlog = usize::try_from(config.limits.backlog_bytes_max).unwrap_or(usize::MAX);
    ListenOptions {
        gate: GateLimits {
            connections_max: config.limits.connections_max.saturating_add(OVERFLOW_CONNECTIONS),
            pending_max: network.handshakes_max,
            per_ip_max: network.connections_per_ip_max,
            per_device_max: network.connections_per_device_max,
        },
        handshake: Duration::from_millis(network.handshake_ms_max),
        // The machine closes a connection at its limit; this one only holds if it did not.
        queue: QueueLimits {
            frames_max: LINK_FRAMES_MAX,
            bytes_max: backlog.saturating_add(2 * FRAME_BYTES_MAX),
        },
        events_max: network.waiting_events_max,
        event_bytes_max: network.waiting_bytes_max,
        listen_backlog: network.listen_backlog_max,
        certificate,
        finder: config.federation.kademlia.then_some(FinderOptions { now: || SystemClock.now() }),
    }
}

/// Where others reach this relay: as it is told, or else where it listens, port 0 resolved. All addresses of a machine are too
/// many and too private to be told, and what listens for a proxy is reached by that alone.
fn announced(config: &Config, listen_on: &[Address], bound: &[Address]) -> Vec<String> {
    if !config.addresses.is_empty() {
        return config.addresses.clone();
    }
    let is_named = |address: &&Address| {
        listen_on.iter().any(|named| named.is_on_same_host(address)) && !address.is_behind_proxy()
    };
    let is_here = |address: &Address| address.is_local() && !address.is_wildcard();
    let is_far = |address: &&Address| !address.is_local();
    // One that this machine alone reaches is told by a relay for this machine alone.
    let only_here = listen_on.iter().all(is_here);
    let told = bound.iter().filter(is_named).filter(|address| only_here || is_far(address));
    told.take(RELAY_ADDRESSES_MAX).map(Address::to_string).collect()
}

fn with_key(identity: &Identity, listener: &Listener) -> Vec<String> {
    let relay = identity.relay_id();
    let text = |address: &Address| RelayAddress { relay, address: address.clone() }.to_string();
    listener.addresses().iter().map(text).collect()
}
