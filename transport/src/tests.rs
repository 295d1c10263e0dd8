//! Both sides over the loopback interface.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::swarm::SwarmEvent;
use tokio::sync::mpsc::Receiver;
use undertone_protocol::ids::{RelayId, Secret};
use undertone_protocol::limits::FRAME_BYTES_MAX;
use undertone_protocol::wire::{Deliver, Frame, Ping, frame::Body};

use super::*;
use crate::identity::relay_peer;
use authority::Authority;

mod authority;
mod finding;
mod hostile;
mod kinds;

/// Longer than any of these tests may take; only a hang reaches it.
const HANG: Duration = Duration::from_secs(60);
/// So long nothing may come.
const QUIET: Duration = Duration::from_millis(300);

const OPTIONS: ListenOptions = ListenOptions {
    gate: GateLimits { connections_max: 200, pending_max: 200, per_ip_max: 200, per_device_max: 2 },
    handshake: Duration::from_secs(10),
    queue: QueueLimits { frames_max: 10_000, bytes_max: 4 << 20 },
    events_max: 16,
    event_bytes_max: 1 << 20,
    listen_backlog: 1024,
    certificate: None,
    finder: None,
};

fn identity(number: u8) -> Identity {
    Identity::from_secret(&Secret::new([number; 32]))
}

fn ping(nonce: u64) -> Frame {
    Frame { request: 0, body: Some(Body::Ping(Ping { nonce })) }
}

fn deliver(seq: u64, bytes: usize) -> Frame {
    let payload = Bytes::from(vec![seq as u8; bytes]);
    Frame { request: 0, body: Some(Body::Deliver(Deliver { class: 0, seq, payload })) }
}

struct Relay {
    id: RelayId,
    listener: Listener,
    events: Receiver<ServerEvent>,
}

impl Relay {
    async fn start(options: ListenOptions) -> Self {
        let identity = identity(1);
        let any = ["/ip4/127.0.0.1/tcp/0".parse().unwrap()];
        let (listener, events) = listen(&identity, &any, options).await.unwrap();
        Self { id: identity.relay_id(), listener, events }
    }

    async fn dial(&self, number: u8) -> Result<(FrameSender, LinkReceiver), DialError> {
        dial(&identity(number), self.id, self.listener.addresses(), DialOptions::default()).await
    }

    async fn next(&mut self) -> ServerEvent {
        tokio::time::timeout(HANG, self.events.recv()).await.unwrap().unwrap()
    }

    async fn connected(&mut self) -> (LinkId, FrameSender) {
        match self.next().await {
            ServerEvent::Connected { link, sender, .. } => (link, sender),
            other => panic!("{other:?}"),
        }
    }

    /// The next event that is no report of sent bytes.
    async fn next_unsent(&mut self) -> ServerEvent {
        loop {
            match self.next().await {
                ServerEvent::Sent { .. } | ServerEvent::Found { .. } => {}
                other => return other,
            }
        }
    }

    async fn disconnected(&mut self) -> CloseReason {
        loop {
            if let ServerEvent::Disconnected { reason, .. } = self.next().await {
                return reason;
            }
        }
    }
}

async fn receive(receiver: &mut LinkReceiver) -> Result<Frame, CloseReason> {
    tokio::time::timeout(HANG, receiver.next()).await.unwrap()
}

#[tokio::test]
async fn frames_go_both_ways_in_order() {
    let mut relay = Relay::start(OPTIONS).await;
    let (to_relay, mut from_relay) = relay.dial(2).await.unwrap();
    let (link, device) = match relay.next().await {
        ServerEvent::Connected { link, device, sender, .. } => {
            // Small and large frames, so that batches are cut at different places.
            for seq in 0..300 {
                sender.try_send(deliver(seq, (seq as usize * 97) % 9_000)).unwrap();
            }
            sender.try_send(deliver(300, FRAME_BYTES_MAX - 64)).unwrap();
            tokio::spawn(async move {
                for seq in 0..=300 {
                    let Ok(Frame { body: Some(Body::Deliver(got)), .. }) = receive(&mut from_relay).await
                    else {
                        panic!("no frame {seq}")
                    };
                    assert_eq!(got.seq, seq);
                    assert!(got.payload.iter().all(|byte| *byte == seq as u8));
                }
                to_relay.try_send(ping(1)).unwrap();
                to_relay.try_send(ping(2)).unwrap();
                to_relay.close();
                receive(&mut from_relay).await.unwrap_err()
            });
            // Keeps the link open until the device has closed it.
            let mut sent = 0;
            let mut nonces = Vec::new();
            loop {
                match relay.next().await {
                    ServerEvent::Sent { bytes, .. } => sent += bytes,
                    ServerEvent::Frame { link: from, frame, .. } => {
                        assert_eq!(from, link);
                        let Some(Body::Ping(ping)) = frame.body else { panic!("{frame:?}") };
                        nonces.push(ping.nonce);
                    }
                    ServerEvent::Disconnected { reason, .. } => {
                        assert_eq!(reason, CloseReason::ByPeer);
                        break;
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(nonces, [1, 2]);
            let expected: usize = (0..300)
                .map(|seq| deliver(seq, (seq as usize * 97) % 9_000))
                .chain([deliver(300, FRAME_BYTES_MAX - 64)])
                .map(|frame| prost::Message::encoded_len(&frame))
                .sum();
            assert_eq!(sent, expected as u64);
            (link, device)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(link, LinkId(0));
    assert_eq!(device, identity(2).device_id());
}

#[tokio::test]
async fn of_64_concurrent_dials_none_is_lost() {
    let mut relay = Relay::start(OPTIONS).await;
    let numbers = 10..74;
    let address = relay.listener.addresses().to_vec();
    let id = relay.id;
    let devices = tokio::spawn(async move {
        let links = join_all(numbers.map(|number| {
            let address = address.clone();
            async move {
                let link = dial(&identity(number), id, &address, DialOptions::default()).await.unwrap();
                link.0.try_send(ping(u64::from(number))).unwrap();
                link
            }
        }));
        let mut links = links.await;
        for (_, receiver) in &mut links {
            assert!(matches!(receive(receiver).await, Ok(Frame { body: Some(Body::Ping(_)), .. })));
        }
    });
    let mut senders = BTreeMap::new();
    let mut nonces = BTreeSet::new();
    let mut gone = 0;
    while gone < 64 {
        match relay.next_unsent().await {
            ServerEvent::Connected { link, device, sender, .. } => {
                senders.insert(link, (device, sender));
            }
            ServerEvent::Frame { link, frame, .. } => {
                let Some(Body::Ping(Ping { nonce })) = frame.body else { panic!("{frame:?}") };
                let (device, sender) = &senders[&link];
                assert_eq!(*device, identity(nonce as u8).device_id());
                nonces.insert(nonce);
                sender.try_send(frame).unwrap();
            }
            ServerEvent::Disconnected { .. } => gone += 1,
            ServerEvent::Sent { .. } | ServerEvent::Found { .. } => {}
        }
    }
    assert_eq!(nonces, (10..74).collect());
    devices.await.unwrap();
}

#[tokio::test]
async fn a_wrong_key_names_both_relays() {
    let relay = Relay::start(OPTIONS).await;
    let expected = identity(9).relay_id();
    let error = dial(&identity(2), expected, relay.listener.addresses(), DialOptions::default()).await;
    let error = error.unwrap_err();
    let DialError::WrongRelayKey { got, .. } = &error else { panic!("{error}") };
    assert_eq!(*got, Some(relay.id));
    let text = error.to_string();
    let keys = [expected, relay.id].map(|relay| relay_peer(&relay).unwrap().to_string());
    assert!(keys.iter().all(|key| text.contains(key)), "{text}");
}

#[tokio::test]
async fn a_good_address_wins_over_bad_ones() {
    let relay = Relay::start(OPTIONS).await;
    let other = listen(&identity(5), &["/ip4/127.0.0.1/tcp/0".parse().unwrap()], OPTIONS).await.unwrap();
    let mut addresses = vec![closed_port(), other.0.addresses()[0].clone()];
    addresses.extend_from_slice(relay.listener.addresses());
    let link = dial(&identity(2), relay.id, &addresses, DialOptions::default()).await;
    assert!(link.is_ok(), "{:?}", link.err());
}

fn closed_port() -> Address {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()
}

#[tokio::test]
async fn an_unreachable_relay_says_which_address_and_why() {
    let addresses = [closed_port(), closed_port()];
    let error = dial(&identity(2), identity(1).relay_id(), &addresses, DialOptions::default()).await;
    let error = error.unwrap_err();
    let DialError::Unreachable { failures, .. } = &error else { panic!("{error}") };
    assert_eq!(failures.len(), 2);
    let text = error.to_string();
    assert!(text.contains(&addresses[0].to_string()) && text.contains("refused"), "{text}");
}

#[tokio::test]
async fn something_else_on_the_port_is_an_error_within_the_handshake_time() {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut peer, _) = socket.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut peer, b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        tokio::io::AsyncReadExt::read_to_end(&mut peer, &mut Vec::new()).await.unwrap();
    });
    let addresses = [format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()];
    let options = DialOptions { handshake: Duration::from_millis(500), ..DialOptions::default() };
    let error = dial(&identity(2), identity(1).relay_id(), &addresses, options).await;
    assert!(matches!(error, Err(DialError::Unreachable { .. })), "{error:?}");
}

#[tokio::test]
async fn a_dead_peer_is_given_up_after_the_handshake_time() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let addresses = [format!("/ip4/127.0.0.1/tcp/{}", socket.local_addr().unwrap().port()).parse().unwrap()];
    let options = DialOptions { handshake: Duration::from_millis(200), ..DialOptions::default() };
    let error = dial(&identity(2), identity(1).relay_id(), &addresses, options).await;
    assert!(matches!(error, Err(DialError::Unreachable { .. })), "{error:?}");
}

#[tokio::test]
async fn either_side_sees_the_other_go() {
    let mut relay = Relay::start(OPTIONS).await;
    let link = relay.dial(2).await.unwrap();
    let (_, _sender) = relay.connected().await;
    drop(link);
    assert_eq!(relay.disconnected().await, CloseReason::ByPeer);

    let (_to_relay, mut from_relay) = relay.dial(3).await.unwrap();
    let (_, sender) = relay.connected().await;
    sender.try_send(ping(7)).unwrap();
    drop(sender);
    assert_eq!(receive(&mut from_relay).await, Ok(ping(7)));
    assert_eq!(receive(&mut from_relay).await, Err(CloseReason::ByPeer));
    assert_eq!(relay.disconnected().await, CloseReason::ByUs);
}

#[tokio::test]
async fn an_aborted_link_ends_though_the_peer_reads_nothing() {
    let mut relay = Relay::start(OPTIONS).await;
    let (_to_relay, mut from_relay) = relay.dial(2).await.unwrap();
    let (_, sender) = relay.connected().await;
    let mut seq = 0;
    let refused = loop {
        match sender.try_send(deliver(seq, 60_000)) {
            Ok(()) => seq += 1,
            Err(error) => break error,
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(refused, SendError::Full);
    sender.abort();
    assert_eq!(relay.disconnected().await, CloseReason::ByUs);
    loop {
        match receive(&mut from_relay).await {
            Ok(_) => {}
            Err(reason) => break assert!(!matches!(reason, CloseReason::ByUs), "{reason}"),
        }
    }
}

/// What waits for the owner of dialled links is bounded in bytes, for all that share a budget together.
#[tokio::test]
async fn frames_wait_for_room_in_the_inbox() {
    let mut relay = Relay::start(OPTIONS).await;
    let inbox = Budget::new(100_000);
    let mut links = Vec::new();
    for number in [2, 3] {
        let options = DialOptions { inbox: inbox.clone(), ..DialOptions::default() };
        let dialled = dial(&identity(number), relay.id, relay.listener.addresses(), options).await.unwrap();
        let (_, sender) = relay.connected().await;
        links.push((dialled, sender));
    }
    links.iter().for_each(|(_, sender)| sender.try_send(deliver(1, 90_000)).unwrap());
    let [((_, first), _), ((_, second), _)] = &mut links[..] else { panic!("two links") };
    // Whichever was read first has all the room, until its frame is done with.
    let (frame, weight, other) = tokio::select! {
        Ok((frame, weight)) = first.next_weighed() => (frame, weight, second),
        Ok((frame, weight)) = second.next_weighed() => (frame, weight, first),
    };
    assert_eq!(frame, deliver(1, 90_000));
    assert!(tokio::time::timeout(QUIET, other.next()).await.is_err(), "there is no room for it");
    drop(weight);
    assert_eq!(receive(other).await, Ok(deliver(1, 90_000)));
}

#[tokio::test]
async fn an_oversize_frame_ends_the_link() {
    let mut relay = Relay::start(OPTIONS).await;
    let device = identity(2);
    let mut dialler = swarm::build(swarm::Setup {
        identity: &device,
        behaviour: behaviour::Behaviour::dialler(Protocol::Device, HANG),
        dns: false,
        handshake: HANG,
        listen_backlog: 0,
        certificate: None,
        roots: Roots::default(),
    })
    .unwrap();
    dialler.dial(relay.listener.addresses()[0].multiaddr().clone()).unwrap();
    let mut stream = loop {
        if let SwarmEvent::Behaviour(behaviour::Event::Opened { stream, .. }) =
            dialler.select_next_some().await
        {
            break stream;
        }
    };
    let driver = tokio::spawn(async move {
        loop {
            dialler.select_next_some().await;
        }
    });
    stream.write_all(&(FRAME_BYTES_MAX as u32 + 1).to_be_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    let (_, _sender) = relay.connected().await;
    let CloseReason::Malformed(why) = relay.disconnected().await else { panic!("not malformed") };
    assert!(why.contains("262145"), "{why}");
    let mut rest = Vec::new();
    assert!(!matches!(stream.read_to_end(&mut rest).await, Ok(1..)));
    driver.abort();
}

#[tokio::test]
async fn a_full_house_turns_the_next_one_away() {
    let gate = GateLimits { connections_max: 1, ..OPTIONS.gate };
    let mut relay = Relay::start(ListenOptions { gate, ..OPTIONS }).await;
    let _first = relay.dial(2).await.unwrap();
    let (_, sender) = relay.connected().await;
    assert!(matches!(relay.dial(3).await, Err(DialError::Unreachable { .. })));
    drop(sender);
    assert_eq!(relay.disconnected().await, CloseReason::ByUs);
}

#[tokio::test]
async fn stopping_ends_when_the_links_are_over() {
    let mut relay = Relay::start(OPTIONS).await;
    let (_to_relay, mut from_relay) = relay.dial(2).await.unwrap();
    let (_, sender) = relay.connected().await;
    sender.try_send(ping(1)).unwrap();
    sender.close();
    tokio::join!(relay.listener.stop(HANG), async { while relay.events.recv().await.is_some() {} });
    assert_eq!(receive(&mut from_relay).await, Ok(ping(1)));
    assert!(receive(&mut from_relay).await.is_err());
}

#[tokio::test]
async fn a_listener_that_can_not_listen_says_why() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let addresses = [format!("/ip4/127.0.0.1/tcp/{port}").parse().unwrap()];
    let error = listen(&identity(1), &addresses, OPTIONS).await.unwrap_err();
    assert!(error.to_string().contains(&port.to_string()), "{error}");
    assert_eq!(listen(&identity(1), &[], OPTIONS).await.unwrap_err(), ListenError::NoAddress);
}
