//! What noise runs on: TCP, WebSocket over TCP, or WebSocket over TLS over TCP, as the address says.
//!
//! libp2p's own WebSocket transport bounds neither the messages nor the handshake of a dialler, takes the length of a
//! message for true before it came, and can't be given another certificate while it runs.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::{AsyncRead, AsyncWrite, FutureExt};
use libp2p::core::transport::{DialOpts, ListenerId, TransportError, TransportEvent};
use libp2p::core::{Multiaddr, Transport};
use libp2p::tcp::tokio::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsStream};

use crate::address::{Address, Kind};
use crate::tls::{Roots, handshake_error, server_name};
use crate::websocket::WebSocket;

/// Why there is no connection below noise.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError<E: Error + 'static> {
    #[error(transparent)]
    Tcp(E),
    #[error("{0}")]
    Tls(String),
    #[error("no WebSocket: {0}")]
    WebSocket(String),
    #[error("{0} asks for TLS, and there is no certificate")]
    NoCertificate(Multiaddr),
}

/// All kinds of sockets over one TCP transport, with or without DNS below.
pub(crate) struct Sockets<T> {
    tcp: T,
    acceptor: Option<TlsAcceptor>,
    roots: Roots,
    /// As many as there are addresses to listen on.
    kinds: Vec<(ListenerId, Kind)>,
}

impl<T> Sockets<T> {
    /// Without an acceptor nothing listens by TLS.
    pub(crate) fn new(tcp: T, acceptor: Option<TlsAcceptor>, roots: Roots) -> Self {
        Self { tcp, acceptor, roots, kinds: Vec::new() }
    }

    fn kind(&self, listener: ListenerId) -> Kind {
        self.kinds.iter().find(|(id, _)| *id == listener).map_or(Kind::Tcp, |(_, kind)| *kind)
    }
}

type Upgrade<E> = BoxFuture<'static, Result<Socket, SocketError<E>>>;

impl<T> Transport for Sockets<T>
where
    T: Transport<Output = TcpStream> + Unpin + Send + 'static,
    T::Error: Send + Sync + 'static,
    T::Dial: Send + 'static,
    T::ListenerUpgrade: Send + 'static,
{
    type Output = Socket;
    type Error = SocketError<T::Error>;
    type ListenerUpgrade = Upgrade<T::Error>;
    type Dial = Upgrade<T::Error>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<Self::Error>> {
        let place = place(address)?;
        if place.kind() == Kind::TlsWebSocket && self.acceptor.is_none() {
            return Err(TransportError::Other(SocketError::NoCertificate(place.multiaddr().clone())));
        }
        self.tcp.listen_on(id, place.tcp()).map_err(|error| error.map(SocketError::Tcp))?;
        self.kinds.push((id, place.kind()));
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.tcp.remove_listener(id)
    }

    fn dial(
        &mut self,
        address: Multiaddr,
        opts: DialOpts,
    ) -> Result<Self::Dial, TransportError<Self::Error>> {
        let place = place(address)?;
        let dial = self.tcp.dial(place.tcp(), opts).map_err(|error| error.map(SocketError::Tcp))?;
        let roots = self.roots.clone();
        Ok(async move { connect(dial.await.map_err(SocketError::Tcp)?, &place, &roots).await }.boxed())
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut self.tcp).poll(cx).map(|event| self.event(event))
    }
}

impl<T> Sockets<T>
where
    T: Transport<Output = TcpStream>,
    T::Error: Send + Sync + 'static,
    T::ListenerUpgrade: Send + 'static,
{
    fn event(
        &mut self,
        event: TransportEvent<T::ListenerUpgrade, T::Error>,
    ) -> TransportEvent<Upgrade<T::Error>, SocketError<T::Error>> {
        match event {
            TransportEvent::NewAddress { listener_id, listen_addr } => {
                let listen_addr = self.kind(listener_id).over(listen_addr);
                TransportEvent::NewAddress { listener_id, listen_addr }
            }
            TransportEvent::AddressExpired { listener_id, listen_addr } => {
                let listen_addr = self.kind(listener_id).over(listen_addr);
                TransportEvent::AddressExpired { listener_id, listen_addr }
            }
            TransportEvent::Incoming { listener_id, upgrade, local_addr, send_back_addr } => {
                let kind = self.kind(listener_id);
                let acceptor = self.acceptor.clone();
                let upgrade =
                    async move { accept(upgrade.await.map_err(SocketError::Tcp)?, kind, acceptor).await };
                let (local_addr, send_back_addr) = (kind.over(local_addr), kind.over(send_back_addr));
                TransportEvent::Incoming { listener_id, upgrade: upgrade.boxed(), local_addr, send_back_addr }
            }
            TransportEvent::ListenerClosed { listener_id, reason } => {
                self.kinds.retain(|(id, _)| *id != listener_id);
                TransportEvent::ListenerClosed { listener_id, reason: reason.map_err(SocketError::Tcp) }
            }
            TransportEvent::ListenerError { listener_id, error } => {
                TransportEvent::ListenerError { listener_id, error: SocketError::Tcp(error) }
            }
        }
    }
}

/// libp2p dials with the key of the relay at the end.
fn place<E: Error + 'static>(address: Multiaddr) -> Result<Address, TransportError<SocketError<E>>> {
    match Address::split_key(address.clone()) {
        Ok((place, _)) => Ok(place),
        Err(_) => Err(TransportError::MultiaddrNotSupported(address)),
    }
}

async fn connect<E: Error + 'static>(
    tcp: TcpStream,
    place: &Address,
    roots: &Roots,
) -> Result<Socket, SocketError<E>> {
    let socket = match place.kind() {
        Kind::Tcp => Socket::Tcp(tcp),
        Kind::WebSocket => {
            let url = format!("ws://{}/", place.authority());
            Socket::Ws(Box::new(WebSocket::connect(tcp.0, url).await.map_err(SocketError::WebSocket)?))
        }
        Kind::TlsWebSocket => {
            let host = place.host();
            let name = server_name(&host).map_err(SocketError::Tls)?;
            let tls = roots.connector().connect(name, tcp.0).await;
            let tls = tls.map_err(|error| SocketError::Tls(handshake_error(&host, &error)))?;
            let url = format!("wss://{}/", place.authority());
            let socket = WebSocket::connect(TlsStream::from(tls), url).await;
            Socket::Wss(Box::new(socket.map_err(SocketError::WebSocket)?))
        }
    };
    Ok(socket)
}

async fn accept<E: Error + 'static>(
    tcp: TcpStream,
    kind: Kind,
    acceptor: Option<TlsAcceptor>,
) -> Result<Socket, SocketError<E>> {
    let socket = match (kind, acceptor) {
        (Kind::Tcp, _) => Socket::Tcp(tcp),
        (Kind::WebSocket, _) => {
            Socket::Ws(Box::new(WebSocket::accept(tcp.0).await.map_err(SocketError::WebSocket)?))
        }
        (Kind::TlsWebSocket, Some(acceptor)) => {
            let tls = acceptor.accept(tcp.0).await;
            let tls = tls.map_err(|error| SocketError::Tls(format!("no TLS: {error}")))?;
            let socket = WebSocket::accept(TlsStream::from(tls)).await;
            Socket::Wss(Box::new(socket.map_err(SocketError::WebSocket)?))
        }
        // Nothing listens so.
        (Kind::TlsWebSocket, None) => return Err(SocketError::Tls("no certificate".to_owned())),
    };
    Ok(socket)
}

/// A connection below noise. Boxed where it is large, so that one over TCP alone stays small.
pub(crate) enum Socket {
    Tcp(TcpStream),
    Ws(Box<WebSocket<tokio::net::TcpStream>>),
    Wss(Box<WebSocket<TlsStream<tokio::net::TcpStream>>>),
}

/// Calls the same of whatever socket it is.
macro_rules! each {
    ($socket:expr, $io:ident => $call:expr) => {
        match $socket.get_mut() {
            Socket::Tcp(io) => {
                let $io = Pin::new(io);
                $call
            }
            Socket::Ws(io) => {
                let $io = Pin::new(io.as_mut());
                $call
            }
            Socket::Wss(io) => {
                let $io = Pin::new(io.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        each!(self, io => io.poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self, io => io.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => io.poll_flush(cx))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, io => io.poll_close(cx))
    }
}
