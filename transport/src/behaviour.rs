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
    CloseConnection, ConnectionDenied, ConnectionHandler, ConnectionHandlerEvent, ConnectionId, FromSwarm,
    NetworkBehaviour, Stream, StreamUpgradeError, SubstreamProtocol, THandler, THandlerInEvent,
    THandlerOutEvent, ToSwarm,
};

use crate::gate::{Gate, GateLimits};
use crate::protocol::{Offer, Protocol};

/// Connections that a listener made to find relays. One more ends the oldest: whoever is at its other end may keep it as
/// long as they like.
const DIALLED_MAX: usize = 256;

type Refusal = StreamUpgradeError<Infallible>;

/// Which side opens the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The dialler.
    Opens,
    /// The listener.
    Accepts,
}

/// Which side of a connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Dials,
    Listens,
}

/// What the swarm's owner is told.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each connection, and it is taken at once")]
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
    /// Those that a listener made, the oldest first.
    dialled: VecDeque<(PeerId, ConnectionId)>,
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
        let (events, dialled) = (VecDeque::new(), VecDeque::new());
        Self { role, offer, gate: Gate::new(limits), handshake, events, dialled }
    }

    /// Opens a stream on whatever connection there is, also one that it did not make.
    #[cfg(test)]
    pub(crate) fn rogue(protocol: Protocol, limits: GateLimits, handshake: Duration) -> Self {
        Self::new(Role::Opens, Offer::One(protocol), limits, handshake)
    }

    fn handler(&self, side: Side) -> Handler {
        let state = match (self.role, side) {
            (Role::Opens, _) => State::MustOpen,
            (Role::Accepts, Side::Listens) => State::Waiting,
            // A listener dials to find relays. Whoever is at the other end was let in by no gate, so has no stream there.
            (Role::Accepts, Side::Dials) => State::Done,
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
        Ok(self.handler(Side::Listens))
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        if self.role == Role::Accepts {
            self.dialled.push_back((peer, connection));
        }
        Ok(self.handler(Side::Dials))
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(closed) => {
                self.gate.leave(closed.connection_id);
                self.dialled.retain(|(_, connection)| *connection != closed.connection_id);
            }
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
        if let Some(event) = self.events.pop_front() {
            return Poll::Ready(ToSwarm::GenerateEvent(event));
        }
        if self.dialled.len() > DIALLED_MAX
            && let Some((peer_id, oldest)) = self.dialled.pop_front()
        {
            let connection = CloseConnection::One(oldest);
            return Poll::Ready(ToSwarm::CloseConnection { peer_id, connection });
        }
        Poll::Pending
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

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn the_oldest_of_those_that_a_listener_made_ends_when_there_are_too_many() {
        let second = Duration::from_secs(1);
        let mut behaviour = Behaviour::listener(GateLimits::SHUT, second);
        let mut ended = Vec::new();
        let first = PeerId::random();
        for number in 0..=DIALLED_MAX {
            let peer = if number == 0 { first } else { PeerId::random() };
            let (id, address) = (ConnectionId::new_unchecked(number), Multiaddr::empty());
            let made = behaviour.handle_established_outbound_connection(
                id,
                peer,
                &address,
                Endpoint::Dialer,
                PortUse::New,
            );
            assert!(made.is_ok());
            while let Poll::Ready(ToSwarm::CloseConnection { peer_id, connection }) =
                behaviour.poll(&mut Context::from_waker(Waker::noop()))
            {
                ended.push((peer_id, connection));
            }
        }
        assert!(
            matches!(ended[..], [(peer, CloseConnection::One(id))] if peer == first && id == ConnectionId::new_unchecked(0))
        );
        assert_eq!(behaviour.dialled.len(), DIALLED_MAX);
    }
}
