//! The swarm that both sides build: a socket, noise, yamux, DNS where it is needed, and nothing else.

use std::error::Error;
use std::time::Duration;

use libp2p::core::Transport;
use libp2p::core::upgrade::Version;
use libp2p::swarm::{Config, NetworkBehaviour, Swarm};
use libp2p::{SwarmBuilder, dns, noise, tcp};

use crate::identity::Identity;
use crate::muxer::Yamux;
use crate::sockets::Sockets;
use crate::tls::{Certificate, Roots};

/// Inbound streams of one connection that may be negotiated at once; one is all that is ever needed.
const NEGOTIATING_STREAMS_MAX: usize = 2;

/// The transport could not be set up: the fault of this machine's configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("can't set up the transport: {0}")]
pub struct SetupError(String);

/// How a swarm is built.
pub(crate) struct Setup<'a, B> {
    pub(crate) identity: &'a Identity,
    pub(crate) behaviour: B,
    /// Whether names are looked up, by the system's resolver.
    pub(crate) dns: bool,
    /// All from TCP to yamux must be done within this time.
    pub(crate) handshake: Duration,
    /// Connections that wait to be accepted by the listener, held by the system.
    pub(crate) listen_backlog: u32,
    /// What a listener shows by TLS.
    pub(crate) certificate: Option<Certificate>,
    /// Whose certificates a dialler takes.
    pub(crate) roots: Roots,
}

/// A connection is closed when it has had no stream for `handshake`: an open stream keeps it.
pub(crate) fn build<B: NetworkBehaviour>(setup: Setup<'_, B>) -> Result<Swarm<B>, SetupError> {
    let tcp = tcp::Config::new().nodelay(true).listen_backlog(setup.listen_backlog);
    let tcp = tcp::tokio::Transport::new(tcp);
    if setup.dns {
        build_over(dns::tokio::Transport::system(tcp).map_err(failed)?, setup)
    } else {
        build_over(tcp, setup)
    }
}

fn build_over<T, B>(tcp: T, setup: Setup<'_, B>) -> Result<Swarm<B>, SetupError>
where
    B: NetworkBehaviour,
    T: Transport<Output = tcp::tokio::TcpStream> + Unpin + Send + 'static,
    T::Error: Send + Sync + 'static,
    T::Dial: Send + 'static,
    T::ListenerUpgrade: Send + 'static,
{
    let noise = noise::Config::new(setup.identity.keypair()).map_err(failed)?;
    let acceptor = setup.certificate.map(|certificate| certificate.acceptor());
    let sockets = Sockets::new(tcp, acceptor, setup.roots);
    let transport = sockets.upgrade(Version::V1Lazy).authenticate(noise).multiplex(Yamux);
    let config = |config: Config| {
        config
            .with_idle_connection_timeout(setup.handshake)
            .with_max_negotiating_inbound_streams(NEGOTIATING_STREAMS_MAX)
    };
    let builder = SwarmBuilder::with_existing_identity(setup.identity.keypair().clone())
        .with_tokio()
        .with_other_transport(|_| transport)
        .map_err(failed)?
        .with_behaviour(|_| setup.behaviour)
        .map_err(failed)?;
    Ok(builder.with_swarm_config(config).with_connection_timeout(setup.handshake).build())
}

fn failed(error: impl Error) -> SetupError {
    SetupError(root_cause(&error))
}

/// What lies at the bottom of an error: libp2p wraps the one line that says it into several that don't.
pub(crate) fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
