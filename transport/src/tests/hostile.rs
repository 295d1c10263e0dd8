//! Peers that do to the layers below noise what they should not.

use std::net::SocketAddr;

use futures::SinkExt;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use undertone_protocol::limits::WEBSOCKET_MESSAGE_BYTES_MAX;

use super::*;

const HANDSHAKE: Duration = Duration::from_millis(700);

fn socket_address(address: &Address) -> SocketAddr {
    address.authority().parse().unwrap()
}

async fn start(options: ListenOptions) -> Relay {
    let identity = identity(1);
    let (listener, events) =
        listen(&identity, &["/ip4/127.0.0.1/tcp/0/ws".parse().unwrap()], options).await.unwrap();
    Relay { id: identity.relay_id(), listener, events }
}

impl Relay {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(socket_address(&self.listener.addresses()[0])).await.unwrap()
    }
}

/// Waits until somebody is let in: the room of whoever went is free a moment after they see that they have to go.
async fn lets_in(relay: &Relay, number: u8) {
    let end = Instant::now() + HANG;
    while let Err(error) = relay.dial(number).await {
        assert!(Instant::now() < end, "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Bytes until the other side closes.
async fn until_closed(peer: &mut TcpStream) -> Vec<u8> {
    let mut got = Vec::new();
    // Reset is an end, too.
    let _ = timeout(HANG, peer.read_to_end(&mut got)).await.expect("it stays open");
    got
}

#[tokio::test]
async fn garbage_before_the_handshake_hurts_nobody_else() {
    let gate = GateLimits { pending_max: 3, ..OPTIONS.gate };
    let mut relay = start(ListenOptions { gate, ..OPTIONS }).await;
    let (to_relay, _from_relay) = relay.dial(2).await.unwrap();
    let (_, _sender) = relay.connected().await;
    let noise = vec![0x16; 100_000];
    let endless = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &vec![b'x'; 100_000]].concat();
    let http = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec();
    for bytes in [noise, endless, http] {
        let mut peer = relay.connect().await;
        // It may have been closed already.
        let _ = peer.write_all(&bytes).await;
        let answer = until_closed(&mut peer).await;
        assert!(!answer.starts_with(b"HTTP/1.1 101"));
    }
    to_relay.try_send(ping(5)).unwrap();
    assert!(matches!(relay.next_unsent().await, ServerEvent::Frame { frame, .. } if frame == ping(5)));
    lets_in(&relay, 3).await;
}

#[tokio::test]
async fn a_slow_handshake_is_cut_and_counts_until_then() {
    let gate = GateLimits { pending_max: 1, ..OPTIONS.gate };
    let relay = start(ListenOptions { gate, handshake: HANDSHAKE, ..OPTIONS }).await;
    let begun = Instant::now();
    let mut slow = relay.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await.unwrap();
    tokio::time::sleep(HANDSHAKE / 4).await;
    assert!(matches!(relay.dial(2).await, Err(DialError::Unreachable { .. })), "a pending one too many");
    assert!(begun.elapsed() < HANDSHAKE, "this test was too slow to tell");
    assert_eq!(until_closed(&mut slow).await, b"");
    assert!(begun.elapsed() < 10 * HANDSHAKE);
    lets_in(&relay, 3).await;
}

#[tokio::test]
async fn one_address_has_so_many_connections_by_websocket_too() {
    let gate = GateLimits { per_ip_max: 1, ..OPTIONS.gate };
    let mut relay = start(ListenOptions { gate, ..OPTIONS }).await;
    let _first = relay.dial(2).await.unwrap();
    let (_, _sender) = relay.connected().await;
    assert!(matches!(relay.dial(3).await, Err(DialError::Unreachable { .. })));
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_its_connection_alone() {
    let mut relay = start(OPTIONS).await;
    let (to_relay, _from_relay) = relay.dial(2).await.unwrap();
    let (_, _sender) = relay.connected().await;
    let url = format!("ws://{}/", relay.listener.addresses()[0].authority());
    for whole in [true, false] {
        let peer = relay.connect().await;
        // What is announced is not waited for: the relay ends it on the header alone.
        let (mut peer, _) = tokio_tungstenite::client_async(&url, peer).await.unwrap();
        if whole {
            let _ = peer.send(Message::Binary(vec![0; WEBSOCKET_MESSAGE_BYTES_MAX + 1].into())).await;
        } else {
            let header = [&[0x82, 0xff][..], &(1u64 << 40).to_be_bytes(), &[0; 4]].concat();
            peer.get_mut().write_all(&header).await.unwrap();
        }
        until_closed(peer.get_mut()).await;
    }
    to_relay.try_send(ping(5)).unwrap();
    assert!(matches!(relay.next_unsent().await, ServerEvent::Frame { frame, .. } if frame == ping(5)));
}

/// Dials one that accepts, and then does as it likes.
async fn dial_rogue<F: Future<Output = ()> + Send + 'static>(
    rogue: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> (String, Duration) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    tokio::spawn(async move { rogue(socket.accept().await.unwrap().0).await });
    let addresses = [format!("/ip4/127.0.0.1/tcp/{port}/ws").parse().unwrap()];
    let begun = Instant::now();
    let dialled = dial(&identity(2), identity(1).relay_id(), &addresses, DialOptions::default()).await;
    (dialled.unwrap_err().to_string(), begun.elapsed())
}

#[tokio::test]
async fn a_dialler_takes_no_endless_answer_nor_message() {
    let (error, after) = dial_rogue(|mut peer| async move {
        peer.write_all(b"HTTP/1.1 101 Switching\r\nX: ").await.unwrap();
        while peer.write_all(&[b'x'; 8192]).await.is_ok() {}
    })
    .await;
    assert!(error.contains("no WebSocket") && after < Duration::from_secs(5), "{error}, {after:?}");
    let (error, after) = dial_rogue(|peer| async move {
        let config = WebSocketConfig::default().max_message_size(None);
        let mut peer = tokio_tungstenite::accept_async_with_config(peer, Some(config)).await.unwrap();
        let header = [&[0x82, 0x7f][..], &(200u64 << 20).to_be_bytes()].concat();
        peer.get_mut().write_all(&header).await.unwrap();
        until_closed(peer.get_mut()).await;
    })
    .await;
    assert!(error.contains("too long") && after < Duration::from_secs(5), "{error}, {after:?}");
    let (error, _) = dial_rogue(|mut peer| async move {
        peer.write_all(b"HTTP/1.1 502 Bad Gateway\r\n\r\n").await.unwrap();
        until_closed(&mut peer).await;
    })
    .await;
    assert!(error.contains("it answers HTTP 502"), "{error}");
}
