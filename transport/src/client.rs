//! The dialling side: one link to one relay.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures::StreamExt;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, Stream, StreamUpgradeError, Swarm, SwarmEvent};
use libp2p::{PeerId, swarm};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use undertone_protocol::ids::RelayId;
use undertone_protocol::limits::RELAY_ADDRESSES_MAX;
use undertone_protocol::wire::Frame;

use crate::address::Address;
use crate::behaviour::{Behaviour, Event};
use crate::budget::{Budget, Weight};
use crate::frame::Received;
use crate::identity::{ForeignKey, Identity, relay_of, relay_peer};
use crate::protocol::Protocol;
use crate::pump::{CloseReason, Owner, pump};
use crate::queue::{FrameQueue, FrameSender, QueueLimits, queue};
use crate::swarm::{Setup, SetupError, build, root_cause};
use crate::tls::Roots;

/// How long a closed connection may take to say so to its peer.
const GOODBYE_WAIT: Duration = Duration::from_secs(1);
/// Bytes of the frames that may wait for an owner who says nothing else.
const INBOX_BYTES: usize = 8 * 1024 * 1024;

/// How a link is opened, and what it may hold.
#[derive(Debug, Clone)]
pub struct DialOptions {
    /// What is to be spoken.
    pub protocol: Protocol,
    /// All from TCP to yamux must be done within this time, and then once more the protocol.
    pub handshake: Duration,
    /// What may wait to be sent.
    pub queue: QueueLimits,
    /// Frames that may wait to be taken by the owner; while they do, the relay has to wait.
    pub inbox_frames_max: usize,
    /// Bytes of these frames, shared by all links that were given a clone; one largest frame always may wait.
    pub inbox: Budget,
    /// Whose TLS certificates are taken, where an address asks for TLS.
    pub roots: Roots,
}

impl Default for DialOptions {
    fn default() -> Self {
        Self {
            protocol: Protocol::Device,
            handshake: Duration::from_secs(10),
            queue: QueueLimits { frames_max: 1024, bytes_max: 4 * 1024 * 1024 },
            inbox_frames_max: 32,
            inbox: Budget::new(INBOX_BYTES),
            roots: Roots::default(),
        }
    }
}

/// Why there is no link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// No address was given, or more than [`RELAY_ADDRESSES_MAX`]. The caller's fault.
    #[error("a relay has 1 to {RELAY_ADDRESSES_MAX} addresses, not {0}")]
    Addresses(usize),
    /// The relay's id is no key. The fault of whoever gave it out.
    #[error("relay {}: {ForeignKey}", .0.short())]
    NoKey(RelayId),
    /// This machine can't dial.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// No address answers.
    #[error("relay {} can't be reached: {}", .relay.short(), Listed(.failures))]
    Unreachable {
        /// The relay.
        relay: RelayId,
        /// Each address, and why it did not work.
        failures: Vec<(Address, String)>,
    },
    /// An address answers with another key: it is not the relay that it was said to be.
    #[error("{address} answers with the key {}, but the relay's is {}", key(.got.as_ref()), key(Some(.expected)))]
    WrongRelayKey {
        /// The address.
        address: Address,
        /// The relay that was dialled.
        expected: RelayId,
        /// Who answered; `None` if it has no Ed25519 key.
        got: Option<RelayId>,
    },
    /// The relay answers, but does not speak this protocol.
    #[error("{address} does not speak the protocol of Undertone relays")]
    Unsupported {
        /// The address.
        address: Address,
    },
}

struct Listed<'a>(&'a [(Address, String)]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (address, why)) in self.0.iter().enumerate() {
            let separator = if number == 0 { "" } else { "; " };
            write!(f, "{separator}{address}: {why}")?;
        }
        Ok(())
    }
}

/// A key as it stands in addresses.
fn key(relay: Option<&RelayId>) -> String {
    match relay.map(|relay| (relay, relay_peer(relay))) {
        Some((_, Ok(peer))) => peer.to_string(),
        Some((relay, Err(ForeignKey))) => relay.to_hex(),
        None => "of another kind".to_owned(),
    }
}

/// The receiving end of a link.
#[derive(Debug)]
pub struct LinkReceiver {
    frames: mpsc::Receiver<(Frame, Weight)>,
    reason: oneshot::Receiver<CloseReason>,
}

impl LinkReceiver {
    /// The next frame, or why there is none any more. Cancel-safe while frames come; after the first
    /// error the link is over.
    pub async fn next(&mut self) -> Result<Frame, CloseReason> {
        self.next_weighed().await.map(|(frame, _)| frame)
    }

    /// Like [`Self::next`], with the frame's share of [`DialOptions::inbox`]: it counts as waiting until that is dropped.
    pub async fn next_weighed(&mut self) -> Result<(Frame, Weight), CloseReason> {
        match self.frames.recv().await {
            Some(weighed) => Ok(weighed),
            None => Err((&mut self.reason).await.unwrap_or(CloseReason::ByUs)),
        }
    }
}

/// Connects to a relay, on all its addresses at once; the first that works is kept.
///
/// Needs a Tokio runtime. Dropping both ends ends the link.
pub async fn dial(
    identity: &Identity,
    relay: RelayId,
    addresses: &[Address],
    options: DialOptions,
) -> Result<(FrameSender, LinkReceiver), DialError> {
    if addresses.is_empty() || addresses.len() > RELAY_ADDRESSES_MAX {
        return Err(DialError::Addresses(addresses.len()));
    }
    let peer = relay_peer(&relay).map_err(|_| DialError::NoKey(relay))?;
    let mut dialling = Dialling::new(identity, relay, addresses, &options)?;
    for address in addresses {
        dialling.start(peer, address.clone());
    }
    let (connection, stream) = dialling.first_stream().await?;
    dialling.keep_only(connection);
    Ok(spawn_link(dialling.swarm, stream, &options))
}

/// Attempts to reach one relay.
struct Dialling {
    relay: RelayId,
    swarm: Swarm<Behaviour>,
    open: BTreeMap<ConnectionId, Address>,
    failures: Vec<(Address, Failure)>,
}

enum Failure {
    Unreachable(String),
    WrongKey(Option<RelayId>),
    Unsupported,
}

impl Dialling {
    fn new(
        identity: &Identity,
        relay: RelayId,
        addresses: &[Address],
        options: &DialOptions,
    ) -> Result<Self, SetupError> {
        let swarm = build(Setup {
            identity,
            behaviour: Behaviour::dialler(options.protocol, options.handshake),
            dns: addresses.iter().any(Address::needs_dns),
            handshake: options.handshake,
            listen_backlog: 0,
            certificate: None,
            roots: options.roots.clone(),
        })?;
        Ok(Self { relay, swarm, open: BTreeMap::new(), failures: Vec::new() })
    }

    fn start(&mut self, peer: PeerId, address: Address) {
        let opts = DialOpts::peer_id(peer)
            .condition(PeerCondition::Always)
            .addresses(vec![address.multiaddr().clone()])
            .allocate_new_port()
            .build();
        let connection = opts.connection_id();
        match self.swarm.dial(opts) {
            Ok(()) => {
                self.open.insert(connection, address);
            }
            Err(error) => self.failures.push((address, dial_failure(&error))),
        }
    }

    async fn first_stream(&mut self) -> Result<(ConnectionId, Stream), DialError> {
        while !self.open.is_empty() {
            match self.swarm.select_next_some().await {
                SwarmEvent::Behaviour(Event::Opened { connection, stream, .. }) => {
                    return Ok((connection, stream));
                }
                SwarmEvent::Behaviour(Event::Refused { connection, error }) => {
                    self.fail(connection, stream_failure(&error));
                    self.swarm.close_connection(connection);
                }
                SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                    self.fail(connection_id, dial_failure(&error));
                }
                SwarmEvent::ConnectionClosed { connection_id, cause, .. } => {
                    let why = cause.map_or_else(|| "closed by the peer".to_owned(), |c| root_cause(&c));
                    self.fail(connection_id, Failure::Unreachable(why));
                }
                _ => {}
            }
        }
        Err(self.error())
    }

    fn fail(&mut self, connection: ConnectionId, failure: Failure) {
        if let Some(address) = self.open.remove(&connection) {
            self.failures.push((address, failure));
        }
    }

    /// What the user should hear about first: a wrong key, then a wrong protocol, then silence.
    fn error(&mut self) -> DialError {
        let relay = self.relay;
        let mut failures = Vec::new();
        let mut unsupported = None;
        for (address, failure) in std::mem::take(&mut self.failures) {
            match failure {
                Failure::WrongKey(got) => {
                    return DialError::WrongRelayKey { address, expected: relay, got };
                }
                Failure::Unsupported => unsupported = Some(address),
                Failure::Unreachable(why) => failures.push((address, why)),
            }
        }
        match unsupported {
            Some(address) => DialError::Unsupported { address },
            None => DialError::Unreachable { relay, failures },
        }
    }

    fn keep_only(&mut self, connection: ConnectionId) {
        for other in self.open.keys().filter(|open| **open != connection) {
            self.swarm.close_connection(*other);
        }
    }
}

fn dial_failure(error: &swarm::DialError) -> Failure {
    match error {
        swarm::DialError::WrongPeerId { obtained, .. } => Failure::WrongKey(relay_of(obtained).ok()),
        swarm::DialError::LocalPeerId { .. } => {
            Failure::Unreachable("it answers with this side's own key".to_owned())
        }
        swarm::DialError::Transport(errors) => {
            let why = errors.first().map_or_else(|| "no answer".to_owned(), |(_, e)| root_cause(e));
            Failure::Unreachable(why)
        }
        other => Failure::Unreachable(root_cause(other)),
    }
}

fn stream_failure<E: std::error::Error + 'static>(error: &StreamUpgradeError<E>) -> Failure {
    match error {
        StreamUpgradeError::NegotiationFailed => Failure::Unsupported,
        other => Failure::Unreachable(root_cause(other)),
    }
}

fn spawn_link(swarm: Swarm<Behaviour>, stream: Stream, options: &DialOptions) -> (FrameSender, LinkReceiver) {
    let (sender, outgoing) = queue(options.queue);
    let (inbox, frames) = mpsc::channel(options.inbox_frames_max.max(1));
    let (report, reason) = oneshot::channel();
    let inbox = Inbox { frames: inbox, budget: options.inbox.clone() };
    tokio::spawn(run_link(swarm, stream, outgoing, inbox, report));
    (sender, LinkReceiver { frames, reason })
}

struct Inbox {
    frames: mpsc::Sender<(Frame, Weight)>,
    budget: Budget,
}

impl Owner for Inbox {
    async fn received(&self, Received { frame, bytes }: Received) -> bool {
        let Some(weight) = self.budget.take(bytes).await else { return false };
        self.frames.send((frame, weight)).await.is_ok()
    }

    async fn sent(&self, _: usize) {}
}

async fn run_link(
    mut swarm: Swarm<Behaviour>,
    stream: Stream,
    outgoing: FrameQueue,
    inbox: Inbox,
    report: oneshot::Sender<CloseReason>,
) {
    let reason = {
        let mut pumping = std::pin::pin!(pump(stream, outgoing, inbox));
        loop {
            tokio::select! {
                reason = &mut pumping => break reason,
                _ = swarm.select_next_some() => {}
            }
        }
    };
    // The owner may be gone.
    let _ = report.send(reason);
    let peers: Vec<PeerId> = swarm.connected_peers().copied().collect();
    for peer in peers {
        // An error says that it is disconnected already.
        let _ = swarm.disconnect_peer_id(peer);
    }
    let closed = async {
        while swarm.connected_peers().next().is_some() {
            swarm.select_next_some().await;
        }
    };
    // Elapsed: the peer does not answer, and the drop of the swarm ends it.
    let _ = timeout(GOODBYE_WAIT, closed).await;
}
