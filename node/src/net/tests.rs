//! The network against listeners on the loopback interface.

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use tokio::sync::mpsc::Receiver;
use undertone_protocol::ids::{RelayId, Secret};
use undertone_protocol::wire::{Deliver, Frame, Ping, frame::Body};
use undertone_transport::{
    Address, CloseReason, DialError, FrameSender, GateLimits, Identity, ListenOptions, Listener, QueueLimits,
    SendError, ServerEvent, listen,
};

use super::*;
use crate::LinkId;

/// Longer than any of these tests may take; only a hang reaches it.
const HANG: Duration = Duration::from_secs(60);

struct Relay {
    id: RelayId,
    listener: Listener,
    events: Receiver<ServerEvent>,
}

impl Relay {
    async fn start(number: u8) -> Self {
        let identity = identity(number);
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
        let (listener, events) =
            listen(&identity, &["/ip4/127.0.0.1/tcp/0".parse().unwrap()], options).await.unwrap();
        Self { id: identity.relay_id(), listener, events }
    }

    const fn link(&self) -> LinkId {
        LinkId::home(self.id)
    }

    fn connect(&self) -> NetCommand {
        NetCommand::Connect { link: self.link(), addresses: self.listener.addresses().to_vec() }
    }

    async fn connected(&mut self) -> FrameSender {
        loop {
            if let ServerEvent::Connected { sender, .. } = self.next().await {
                return sender;
            }
        }
    }

    async fn next(&mut self) -> ServerEvent {
        tokio::time::timeout(HANG, self.events.recv()).await.unwrap().unwrap()
    }
}

fn identity(number: u8) -> Identity {
    Identity::from_secret(&Secret::new([number; 32]))
}

fn ping(nonce: u64) -> Frame {
    Frame { request: 0, body: Some(Body::Ping(Ping { nonce })) }
}

async fn next(events: &mut Receiver<NetEvent>) -> NetEvent {
    tokio::time::timeout(HANG, events.recv()).await.unwrap().unwrap()
}

fn start() -> (Network, Receiver<NetEvent>) {
    Network::start(
        identity(1),
        NetLimits { links_max: 2, ..NetLimits::default() },
        ChaCha20Rng::seed_from_u64(1),
    )
}

#[tokio::test]
async fn frames_go_both_ways_and_a_lost_link_can_be_dialled_anew_at_once() {
    let mut relay = Relay::start(2).await;
    let (network, mut events) = start();
    for round in 0..3 {
        network.command(relay.connect()).await.unwrap();
        assert_eq!(next(&mut events).await, NetEvent::Up { link: relay.link() });
        let sender = relay.connected().await;
        network.command(NetCommand::Send { link: relay.link(), frame: ping(round) }).await.unwrap();
        let frame = loop {
            match relay.next().await {
                ServerEvent::Frame { frame, .. } => break frame,
                ServerEvent::Disconnected { .. } | ServerEvent::Sent { .. } | ServerEvent::Found { .. } => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(frame, ping(round));
        sender.try_send(ping(round + 10)).unwrap();
        assert_eq!(next(&mut events).await, NetEvent::Frame { link: relay.link(), frame: ping(round + 10) });
        drop(sender);
        let reason = Down::Closed(CloseReason::ByPeer);
        assert_eq!(next(&mut events).await, NetEvent::Down { link: relay.link(), reason });
    }
}

#[tokio::test]
async fn a_hidden_link_comes_from_nobody_known_and_each_from_another_one() {
    let mut relay = Relay::start(2).await;
    let (network, mut events) = start();
    let (mut callers, mut senders) = (Vec::new(), Vec::new());
    // One beside that of the device's own key, and another one after it.
    for link in [relay.link(), LinkId::hidden(relay.id), LinkId::hidden(relay.id)] {
        let addresses = relay.listener.addresses().to_vec();
        network.command(NetCommand::Connect { link, addresses }).await.unwrap();
        assert_eq!(next(&mut events).await, NetEvent::Up { link });
        let caller = loop {
            if let ServerEvent::Connected { device, sender, .. } = relay.next().await {
                // Dropped, it ends the link.
                senders.push(sender);
                break device;
            }
        };
        callers.push(caller);
        if link.hidden {
            network.command(NetCommand::Disconnect { link }).await.unwrap();
            assert!(matches!(next(&mut events).await, NetEvent::Down { link: ended, .. } if ended == link));
        }
    }
    assert_eq!(callers[0], identity(1).device_id());
    assert!(callers[1] != callers[0] && callers[2] != callers[0] && callers[1] != callers[2]);
}

#[tokio::test]
async fn a_failed_dial_says_why() {
    let relay = Relay::start(2).await;
    let (network, mut events) = start();
    let other = LinkId::home(identity(3).relay_id());
    let addresses = relay.listener.addresses().to_vec();
    network.command(NetCommand::Connect { link: other, addresses }).await.unwrap();
    let NetEvent::Down { reason: Down::Dial(DialError::WrongRelayKey { got, .. }), .. } =
        next(&mut events).await
    else {
        panic!("no wrong key")
    };
    assert_eq!(got, Some(relay.id));
}

#[tokio::test]
async fn a_full_queue_drops_the_link_with_that_reason() {
    let mut relay = Relay::start(2).await;
    let (network, mut events) = start();
    network.command(relay.connect()).await.unwrap();
    assert_eq!(next(&mut events).await, NetEvent::Up { link: relay.link() });
    // The relay's events are not taken, so it stops to read, and the queue here fills.
    let sender = relay.connected().await;
    let payload = vec![0; 60_000].into();
    let frame = Frame { request: 0, body: Some(Body::Deliver(Deliver { class: 0, seq: 1, payload })) };
    let down = loop {
        network.command(NetCommand::Send { link: relay.link(), frame: frame.clone() }).await.unwrap();
        if let Ok(event) = events.try_recv() {
            break event;
        }
    };
    assert_eq!(down, NetEvent::Down { link: relay.link(), reason: Down::Send(SendError::Full) });
    drop(sender);
}

#[tokio::test]
async fn disconnecting_sends_what_was_queued_and_stops_a_dial() {
    let mut relay = Relay::start(2).await;
    let (network, mut events) = start();
    network.command(relay.connect()).await.unwrap();
    assert_eq!(next(&mut events).await, NetEvent::Up { link: relay.link() });
    network.command(NetCommand::Send { link: relay.link(), frame: ping(7) }).await.unwrap();
    network.command(NetCommand::Disconnect { link: relay.link() }).await.unwrap();
    let _sender = relay.connected().await;
    assert!(matches!(relay.next().await, ServerEvent::Frame { frame, .. } if frame == ping(7)));
    let reason = Down::Disconnected;
    assert_eq!(next(&mut events).await, NetEvent::Down { link: relay.link(), reason: reason.clone() });

    // It accepts, but never answers: the dial would go on until its time is up.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address: Address =
        format!("/ip4/127.0.0.1/tcp/{}", silent.local_addr().unwrap().port()).parse().unwrap();
    let other = LinkId::home(identity(3).relay_id());
    network.command(NetCommand::Connect { link: other, addresses: vec![address] }).await.unwrap();
    network.command(NetCommand::Disconnect { link: other }).await.unwrap();
    assert_eq!(next(&mut events).await, NetEvent::Down { link: other, reason });
}

#[tokio::test]
async fn links_are_bounded_and_shutdown_ends_them() {
    let relays = [Relay::start(2).await, Relay::start(3).await, Relay::start(4).await];
    let (network, mut events) = start();
    for relay in &relays {
        network.command(relay.connect()).await.unwrap();
    }
    let mut up = 0;
    let mut refused = 0;
    while up + refused < 3 {
        match next(&mut events).await {
            NetEvent::Up { .. } => up += 1,
            NetEvent::Down { reason: Down::TooMany(2), .. } => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((up, refused), (2, 1));
    let taken = async {
        let mut down = 0;
        while let Some(event) = events.recv().await {
            assert!(matches!(event, NetEvent::Down { reason: Down::Disconnected, .. }), "{event:?}");
            down += 1;
        }
        down
    };
    let (down, ()) = tokio::join!(taken, network.shutdown());
    assert_eq!(down, 2);
}
