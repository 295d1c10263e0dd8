//! The runtime over a store in memory, with real connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use undertone_protocol::crypto::Vodozemac;
use undertone_protocol::ids::Secret;
use undertone_protocol::keys::{Name, RelayAddress};
use undertone_protocol::time::Clock;
use undertone_protocol::wire::frame::Body;
use undertone_transport::{GateLimits, Identity, ListenOptions, Listener, QueueLimits, ServerEvent, listen};

use super::*;
use crate::command::{Command, ErrorKind, Response};
use crate::engine::{self, NewAccount, Origin};
use crate::store::{MemoryStore, NodeStore, NodeTx, StoreError};

/// Longer than any of these tests may take; only a hang reaches it.
const HANG: Duration = Duration::from_secs(60);

/// A store with an account that knows these relays.
pub(crate) fn account(relays: Vec<RelayAddress>) -> MemoryStore {
    let mut store = MemoryStore::default();
    let mut rng = fresh_rng().unwrap();
    let name = |name| Name::new(name).unwrap();
    let invitations = std::collections::BTreeMap::new();
    let new = NewAccount {
        name: name("Alice"),
        device_name: name("desktop"),
        relays,
        invitations,
        origin: Origin::New,
    };
    let now = SystemClock.now();
    store
        .transaction(|tx| {
            engine::create_account(tx, &mut Vodozemac, &mut rng, new, now).unwrap();
            Ok(())
        })
        .unwrap();
    store
}

/// A relay where nobody listens: port 1 of the loopback interface.
pub(crate) fn nobody() -> RelayAddress {
    let relay = Identity::from_secret(&Secret::new([8; 32])).relay_id();
    RelayAddress { relay, addresses: vec!["/ip4/127.0.0.1/tcp/1".to_owned()] }
}

/// Fails every commit beyond the first `good`, while it is broken.
struct Breaking {
    inner: MemoryStore,
    good: usize,
    commits: Arc<AtomicUsize>,
    broken: Arc<AtomicBool>,
}

impl Breaking {
    fn new(inner: MemoryStore, good: usize) -> Self {
        Self { inner, good, commits: Arc::default(), broken: Arc::new(AtomicBool::new(true)) }
    }
}

impl NodeStore for Breaking {
    fn transaction<R>(
        &mut self,
        work: impl FnOnce(&mut dyn NodeTx) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let before = self.commits.fetch_add(1, Ordering::SeqCst);
        let breaks = before >= self.good && self.broken.load(Ordering::SeqCst);
        self.inner.transaction(|tx| {
            let result = work(tx)?;
            if breaks { Err(StoreError::Database("no space left".to_owned())) } else { Ok(result) }
        })
    }
}

struct Relay {
    listener: Listener,
    events: Receiver<ServerEvent>,
    address: RelayAddress,
}

impl Relay {
    async fn start() -> Self {
        let identity = Identity::from_secret(&Secret::new([9; 32]));
        let options = ListenOptions {
            gate: GateLimits { connections_max: 9, pending_max: 9, per_ip_max: 9, per_device_max: 9 },
            handshake: Duration::from_secs(10),
            queue: QueueLimits { frames_max: 100, bytes_max: 1 << 20 },
            events_max: 16,
            event_bytes_max: 1 << 20,
            listen_backlog: 16,
            certificate: None,
            finder: None,
        };
        let at = ["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
        let (listener, events) = listen(&identity, &at, options).await.unwrap();
        let addresses = listener.addresses().iter().map(ToString::to_string).collect();
        Self { address: RelayAddress { relay: identity.relay_id(), addresses }, listener, events }
    }

    async fn next(&mut self) -> ServerEvent {
        tokio::time::timeout(HANG, self.events.recv()).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_node_answers_and_stops() {
    let node = Node::start(account(vec![]), SystemClock).unwrap();
    let Response::Id(id) = node.ask(Command::Id {}, Duration::ZERO).await.unwrap() else { panic!() };
    assert_eq!(id.name, "Alice");
    let unknown = Command::Send { name: "Nobody".to_owned(), text: "hello".to_owned() };
    let error = node.ask(unknown, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unknown);

    let (handle, mut events) = (node.handle(), node.events());
    node.stop().await.unwrap();
    assert_eq!(events.next().await, None);
    let error = handle.ask(Command::Id {}, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Internal);
    assert_eq!(handle.events().next().await, None);
}

#[tokio::test]
async fn a_store_without_an_account_is_refused() {
    let error = Node::start(MemoryStore::default(), SystemClock).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("undertone init"), "{error}");
}

#[tokio::test]
async fn what_a_failed_commit_would_send_is_not_sent_and_the_node_loads_anew() {
    let mut relay = Relay::start().await;
    // The load, and the turn that connects, are durable; the one that greets is not.
    let store = Breaking::new(account(vec![relay.address.clone()]), 2);
    let broken = Arc::clone(&store.broken);
    let node = Node::start(store, SystemClock).unwrap();
    let mut senders = Vec::new();
    loop {
        match relay.next().await {
            ServerEvent::Connected { sender, .. } => senders.push(sender),
            ServerEvent::Frame { frame, .. } => panic!("sent, though nothing is durable: {frame:?}"),
            ServerEvent::Disconnected { .. } => break,
            ServerEvent::Sent { .. } | ServerEvent::Found { .. } => {}
        }
    }
    broken.store(false, Ordering::SeqCst);
    let frame = loop {
        match relay.next().await {
            ServerEvent::Frame { frame, .. } => break frame,
            ServerEvent::Connected { sender, .. } => senders.push(sender),
            _ => {}
        }
    };
    assert!(matches!(frame.body, Some(Body::Hello(_))), "{frame:?}");
    node.stop().await.unwrap();
    relay.listener.stop(Duration::ZERO).await;
}

#[tokio::test]
async fn whoever_waits_when_the_store_fails_is_told_and_can_ask_again() {
    let store = Breaking::new(account(vec![nobody()]), 2);
    let broken = Arc::clone(&store.broken);
    let node = Node::start(store, SystemClock).unwrap();
    let invite = Command::Invite { uses: 1, life: Duration::from_secs(3_600) };
    // The commits so far may have been the first two or less: one of these fails, or comes while the node loads anew.
    let error = loop {
        if let Err(error) = node.ask(invite.clone(), Duration::ZERO).await {
            break error;
        }
    };
    assert_eq!(error.kind, ErrorKind::Internal);
    assert!(error.message.contains("no space left"), "{error}");
    broken.store(false, Ordering::SeqCst);
    // It may be loading anew still.
    while let Err(error) = node.ask(invite.clone(), Duration::ZERO).await {
        assert!(error.message.contains("ask again"), "{error}");
    }
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_store_that_goes_on_failing_ends_the_node() {
    let store = Breaking::new(account(vec![]), 1);
    let commits = Arc::clone(&store.commits);
    let mut node = Node::start(store, SystemClock).unwrap();
    let error = node.ended().await;
    assert!(matches!(error, NodeError::Store { .. }), "{error}");
    // The load, one turn, and as many attempts to load anew as there are delays.
    assert!(commits.load(Ordering::SeqCst) <= 8, "{commits:?}");
    node.stop().await.unwrap();
}
