//! What the swarm does: a stream for each connection, handed to whoever owns the swarm.
//!
//! Deliberately thin: what an idle connection costs is mostly what its handler drags along.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::handler::{
    ConnectionEvent, DialUpgradeError, FullyNegotiatedInbound, FullyNegotiatedOutbound,
};
use libp2p::swarm::{
    ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm, NetworkBehaviour,
    Stream, StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};

use crate::gate::{Gate, GateLimits};
use crate::protocol::{Offer, Protocol};

type Refusal = StreamUpgradeError<Infallible>;

/// Which side opens the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The dialler.
    Opens,
    /// The listener.
    Accepts,
}

/// What the swarm's owner is told.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one for each connection, and taken at once")]
pub(crate) enum Event {
    /// A connection has its stream.
    Opened {
        /// Who the transport proved is at the other end.
        peer: PeerId,
        /// Which connection.
        connection: ConnectionId,
        /// What is spoken on the stream.
        protocol: Protocol,
        /// The stream.
        stream: Stream,
    },
    /// The peer does not take the stream.
    Refused {
        /// Which connection.
        connection: ConnectionId,
        /// Why.
        error: Refusal,
    },
}

/// Hands out one stream for each connection, and lets in no more connections than its gate allows.
pub(crate) struct Behaviour {
    role: Role,
    offer: Offer,
    gate: Gate,
    handshake: Duration,
    /// Bounded by the swarm: at most one event for each connection, taken at once.
    events: VecDeque<Event>,
}

impl Behaviour {
    /// For a dialler, which accepts nothing. A stream must be agreed upon within `handshake`.
    pub(crate) fn dialler(protocol: Protocol, handshake: Duration) -> Self {
        Self::new(Role::Opens, Offer::One(protocol), GateLimits::SHUT, handshake)
    }

    /// For a listener, which speaks all there are.
    pub(crate) fn listener(limits: GateLimits, handshake: Duration) -> Self {
        Self::new(Role::Accepts, Offer::All, limits, handshake)
    }

    fn new(role: Role, offer: Offer, limits: GateLimits, handshake: Duration) -> Self {
        Self { role, offer, gate: Gate::new(limits), handshake, events: VecDeque::new() }
    }

    fn handler(&self) -> Handler {
        let state = match self.role {
            Role::Opens => State::MustOpen,
            Role::Accepts => State::Waiting,
        };
        Handler { handshake: self.handshake, role: self.role, offer: self.offer, state }
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = Handler;
    type ToSwarm = Event;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        self.gate.arrive(connection, remote).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.gate.establish(connection, peer).map_err(ConnectionDenied::new)?;
        Ok(self.handler())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(self.handler())
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(closed) => self.gate.leave(closed.connection_id),
            FromSwarm::ListenFailure(failed) => self.gate.leave(failed.connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        event: THandlerOutEvent<Self>,
    ) {
        self.events.push_back(match event {
            Ok((stream, protocol)) => Event::Opened { peer, connection, protocol, stream },
            Err(error) => Event::Refused { connection, error },
        });
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Event, THandlerInEvent<Self>>> {
        match self.events.pop_front() {
            Some(event) => Poll::Ready(ToSwarm::GenerateEvent(event)),
            None => Poll::Pending,
        }
    }
}

/// One connection's part.
pub(crate) struct Handler {
    handshake: Duration,
    role: Role,
    offer: Offer,
    state: State,
}

enum State {
    MustOpen,
    Waiting,
    Ready(Result<(Stream, Protocol), Refusal>),
    Done,
}

impl Handler {
    fn protocol(&self) -> SubstreamProtocol<Offer> {
        SubstreamProtocol::new(self.offer, ()).with_timeout(self.handshake)
    }

    /// Keeps the first stream of the connection; dropping another one resets it.
    fn opened(&mut self, by: Role, stream: (Stream, Protocol)) {
        if by == self.role && matches!(self.state, State::Waiting) {
            self.state = State::Ready(Ok(stream));
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Infallible;
    type ToBehaviour = Result<(Stream, Protocol), Refusal>;
    type InboundProtocol = Offer;
    type OutboundProtocol = Offer;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = ();

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        self.protocol()
    }

    fn poll(
        &mut self,
        _: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<Self::OutboundProtocol, (), Self::ToBehaviour>> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::MustOpen => {
                self.state = State::Waiting;
                let protocol = self.protocol();
                Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol })
            }
            State::Ready(result) => Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(result)),
            state => {
                self.state = state;
                Poll::Pending
            }
        }
    }

    fn on_behaviour_event(&mut self, event: Infallible) {
        match event {}
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, Self::InboundProtocol, Self::OutboundProtocol>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound { protocol, .. }) => {
                self.opened(Role::Accepts, protocol);
            }
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound { protocol, .. }) => {
                self.opened(Role::Opens, protocol);
            }
            ConnectionEvent::DialUpgradeError(DialUpgradeError { error, .. }) => {
                self.state = State::Ready(Err(error));
            }
            _ => {}
        }
    }
}
