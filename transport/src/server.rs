//! The listening side: every device's link, as one sequence of events.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use libp2p::PeerId;
use libp2p::core::transport::ListenerId;
use libp2p::kad;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::swarm::{ConnectionId, NetworkBehaviour, Stream, Swarm, SwarmEvent};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use undertone_protocol::ids::DeviceId;
use undertone_protocol::wire::{self, Frame};

use crate::address::Address;
use crate::behaviour::{Behaviour, Event};
use crate::budget::{Budget, Weight};
use crate::finder::{Find, Finder, FinderOptions, Kademlia, kademlia};
use crate::frame::Received;
use crate::gate::GateLimits;
use crate::identity::{Identity, device_of};
use crate::protocol::Protocol;
use crate::pump::{CloseReason, Owner, pump};
use crate::queue::{FrameQueue, FrameSender, QueueLimits, queue};
use crate::swarm::{Setup, SetupError, build, root_cause};
use crate::tls::{Certificate, Roots};

/// How long the system may take to say that it listens.
const LISTEN_WAIT: Duration = Duration::from_secs(10);

/// What a listener may be told of other relays before it takes it up.
const FINDS_MAX: usize = 256;

/// What a listener allows.
#[derive(Debug, Clone)]
pub struct ListenOptions {
    /// Who is let in.
    pub gate: GateLimits,
    /// All from TCP to yamux must be done within this time, and then once more the protocol.
    pub handshake: Duration,
    /// What may wait to be sent on one link.
    pub queue: QueueLimits,
    /// Events that may wait to be taken by the owner; while they do, no link is read.
    pub events_max: usize,
    /// Bytes of the frames in these events; at least one largest frame is allowed.
    pub event_bytes_max: usize,
    /// Connections that the system holds until they are accepted.
    pub listen_backlog: u32,
    /// What is shown by TLS; needed where an address asks for TLS.
    pub certificate: Option<Certificate>,
    /// Whether it takes part in finding relays, and dials others for that.
    pub finder: Option<FinderOptions>,
}

/// A link, as this listener numbers it; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// What happens on the links. For each link: one `Connected`, then frames, then one `Disconnected`.
#[derive(Debug)]
pub enum ServerEvent {
    /// A device has opened its stream.
    Connected {
        /// The link.
        link: LinkId,
        /// Whom noise proved at the other end.
        device: DeviceId,
        /// What is spoken: devices and relays alike prove a key.
        protocol: Protocol,
        /// What sends to it. Dropped, it closes the link.
        sender: FrameSender,
    },
    /// A frame came.
    Frame {
        /// On which link.
        link: LinkId,
        /// The frame.
        frame: Frame,
        /// Counts as waiting until it is dropped.
        weight: Weight,
    },
    /// The transport took frames.
    Sent {
        /// On which link.
        link: LinkId,
        /// Their encoded lengths, length prefixes left out.
        bytes: u64,
    },
    /// A relay's record was found, signed and unchecked.
    Found {
        /// Of a relay that was sought, if nobody lies.
        record: wire::Signed,
    },
    /// The link is over.
    Disconnected {
        /// Which.
        link: LinkId,
        /// Why.
        reason: CloseReason,
    },
}

/// Why nothing listens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// This machine can't listen.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// One address can't be listened on: the operator's fault, or the port is in use.
    #[error("can't listen on {address}: {why}")]
    Address {
        /// The address.
        address: Address,
        /// What the system says.
        why: String,
    },
    /// No address was given: the operator's fault.
    #[error("no address to listen on")]
    NoAddress,
}

/// A running listener.
#[derive(Debug)]
pub struct Listener {
    addresses: Vec<Address>,
    finder: Option<mpsc::Sender<Find>>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Where it listens: the real ports, and one address for each of the machine's own if it was told
    /// to listen on all of them.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// What tells it of other relays, if it takes part in finding them. What does not fit in may be dropped: it is told again.
    pub fn finder(&self) -> Option<mpsc::Sender<Find>> {
        self.finder.clone()
    }

    /// Takes no more connections and waits until the links are over, but no longer than `wait`. The
    /// owner closes them, and goes on taking events meanwhile.
    pub async fn stop(mut self, wait: Duration) {
        // An error says that the task is over already.
        let _ = self.stop.send(());
        if timeout(wait, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// Listens on all the addresses; needs a Tokio runtime.
pub async fn listen(
    identity: &Identity,
    addresses: &[Address],
    options: ListenOptions,
) -> Result<(Listener, mpsc::Receiver<ServerEvent>), ListenError> {
    let setup = |dns| Setup {
        identity,
        behaviour: Whole {
            links: Behaviour::listener(options.gate, options.handshake),
            finder: options.finder.map(|options| kademlia(identity, options)).into(),
        },
        dns,
        handshake: options.handshake,
        listen_backlog: options.listen_backlog,
        certificate: options.certificate.clone(),
        roots: Roots::default(),
    };
    // A machine that can't look names up still listens.
    let with_names = options.finder.and_then(|_| build(setup(true)).ok());
    let mut swarm = with_names.map_or_else(|| build(setup(false)), Ok)?;
    let (bound, early) = bind(&mut swarm, addresses).await?;
    let (events, receiver) = mpsc::channel(options.events_max.max(1));
    let (stop, stopped) = oneshot::channel();
    let (finder, finds) = mpsc::channel(FINDS_MAX);
    let finder = options.finder.map(|_| finder);
    let mut serving = Serving {
        swarm,
        links: JoinSet::new(),
        next_link: 0,
        queue: options.queue,
        hub: Hub { events, budget: Budget::new(options.event_bytes_max) },
        finder: Finder::default(),
        finds,
    };
    for event in early {
        serving.on_event(SwarmEvent::Behaviour(Happened::Link(event)), false);
    }
    let task = tokio::spawn(serving.run(stopped));
    Ok((Listener { addresses: bound, finder, stop, task }, receiver))
}

/// Where it listens, and what happened there before it did everywhere.
async fn bind(
    swarm: &mut Swarm<Whole>,
    addresses: &[Address],
) -> Result<(Vec<Address>, Vec<Event>), ListenError> {
    let mut bound = Vec::new();
    let mut early = Vec::new();
    for address in addresses {
        let failed = |why| ListenError::Address { address: address.clone(), why };
        let listener =
            swarm.listen_on(address.multiaddr().clone()).map_err(|error| failed(root_cause(&error)))?;
        let first = timeout(LISTEN_WAIT, first_address(swarm, listener, &mut early)).await;
        bound.push(first.map_err(|_| failed("the system does not answer".to_owned()))?.map_err(failed)?);
        while let Some(event) = swarm.next().now_or_never().flatten() {
            match event {
                SwarmEvent::NewListenAddr { address, .. } => bound.extend(Address::from_multiaddr(address)),
                SwarmEvent::Behaviour(Happened::Link(event)) => early.push(event),
                _ => {}
            }
        }
    }
    if bound.is_empty() { Err(ListenError::NoAddress) } else { Ok((bound, early)) }
}

async fn first_address(
    swarm: &mut Swarm<Whole>,
    listener: ListenerId,
    early: &mut Vec<Event>,
) -> Result<Address, String> {
    loop {
        match swarm.select_next_some().await {
            SwarmEvent::NewListenAddr { listener_id, address } if listener_id == listener => {
                return Address::from_multiaddr(address).map_err(|error| error.to_string());
            }
            SwarmEvent::ListenerClosed { listener_id, reason, .. } if listener_id == listener => {
                return Err(reason.map_or_else(|error| root_cause(&error), |()| "closed".to_owned()));
            }
            SwarmEvent::Behaviour(Happened::Link(event)) => early.push(event),
            _ => {}
        }
    }
}

/// The listener's task.
struct Serving {
    swarm: Swarm<Whole>,
    /// One task for each link; the gate bounds them.
    links: JoinSet<ConnectionId>,
    next_link: u64,
    queue: QueueLimits,
    hub: Hub,
    finder: Finder,
    finds: mpsc::Receiver<Find>,
}

/// What a listener's swarm does: links, and finding relays.
#[derive(NetworkBehaviour)]
#[behaviour(to_swarm = "Happened", prelude = "libp2p::swarm::derive_prelude")]
struct Whole {
    links: Behaviour,
    finder: Toggle<Kademlia>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "each is taken at once")]
enum Happened {
    Link(Event),
    Finder(kad::Event),
}

impl From<Event> for Happened {
    fn from(event: Event) -> Self {
        Self::Link(event)
    }
}

impl From<kad::Event> for Happened {
    fn from(event: kad::Event) -> Self {
        Self::Finder(event)
    }
}

impl Serving {
    async fn run(mut self, stopped: oneshot::Receiver<()>) {
        let mut stopped = stopped.fuse();
        let mut stopping = false;
        while !(stopping && self.links.is_empty()) {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event, stopping),
                Some(find) = self.finds.recv(), if !stopping => self.find(find),
                Some(over) = self.links.join_next() => self.on_link_over(over),
                _ = &mut stopped, if !stopping => stopping = true,
            }
        }
    }

    fn on_event(&mut self, event: SwarmEvent<Happened>, stopping: bool) {
        match event {
            SwarmEvent::Behaviour(Happened::Link(Event::Opened { connection, .. })) if stopping => {
                self.swarm.close_connection(connection);
            }
            SwarmEvent::Behaviour(Happened::Link(Event::Opened { peer, connection, protocol, stream })) => {
                self.open(peer, connection, protocol, stream);
            }
            SwarmEvent::Behaviour(Happened::Finder(event)) => self.found(event),
            SwarmEvent::IncomingConnectionError { error, .. } => {
                tracing::debug!(error = %root_cause(&error), "a connection was not taken");
            }
            SwarmEvent::ListenerError { error, .. } => {
                tracing::warn!(%error, "a connection could not be accepted");
            }
            SwarmEvent::ListenerClosed { addresses, reason: Err(error), .. } => {
                tracing::error!(?addresses, %error, "a listener failed");
            }
            _ => {}
        }
    }

    fn find(&mut self, find: Find) {
        if let Some(kademlia) = self.swarm.behaviour_mut().finder.as_mut() {
            self.finder.find(find, kademlia);
        }
    }

    fn found(&mut self, event: kad::Event) {
        let Some(kademlia) = self.swarm.behaviour_mut().finder.as_mut() else { return };
        if let Some(record) = self.finder.happened(event, kademlia) {
            // Where the owner is behind, it looks again.
            let _ = self.hub.events.try_send(ServerEvent::Found { record });
        }
    }

    fn open(&mut self, peer: PeerId, connection: ConnectionId, protocol: Protocol, stream: Stream) {
        let Ok(device) = device_of(&peer) else {
            self.swarm.close_connection(connection);
            return;
        };
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let (sender, outgoing) = queue(self.queue);
        let owner = LinkOwner { link, hub: self.hub.clone() };
        self.links.spawn(async move {
            serve(owner, (device, protocol), stream, sender, outgoing).await;
            connection
        });
    }

    fn on_link_over(&mut self, over: Result<ConnectionId, tokio::task::JoinError>) {
        match over {
            Ok(connection) => {
                self.swarm.close_connection(connection);
            }
            Err(error) => tracing::error!(%error, "a link's task failed"),
        }
    }
}

async fn serve(
    owner: LinkOwner,
    (device, protocol): (DeviceId, Protocol),
    stream: Stream,
    sender: FrameSender,
    outgoing: FrameQueue,
) {
    let LinkOwner { link, hub } = owner.clone();
    if hub.events.send(ServerEvent::Connected { link, device, protocol, sender }).await.is_err() {
        return;
    }
    let reason = pump(stream, outgoing, owner).await;
    // An error says that nobody listens any more.
    let _ = hub.events.send(ServerEvent::Disconnected { link, reason }).await;
}

/// Where all links' events meet, bounded in number and in bytes.
#[derive(Clone)]
struct Hub {
    events: mpsc::Sender<ServerEvent>,
    budget: Budget,
}

#[derive(Clone)]
struct LinkOwner {
    link: LinkId,
    hub: Hub,
}

impl Owner for LinkOwner {
    async fn received(&self, Received { frame, bytes }: Received) -> bool {
        let Some(weight) = self.hub.budget.take(bytes).await else { return false };
        let event = ServerEvent::Frame { link: self.link, frame, weight };
        self.hub.events.send(event).await.is_ok()
    }

    async fn sent(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        // An error says that nobody listens any more; the reader will find out too.
        let _ = self.hub.events.send(ServerEvent::Sent { link: self.link, bytes }).await;
    }
}
