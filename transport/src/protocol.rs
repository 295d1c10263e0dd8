//! The names of what is spoken on a stream.

use std::convert::Infallible;
use std::future::{Ready, ready};

use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::StreamProtocol;

/// What is spoken on a connection's stream. Frames are the same; who says what is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// A device and a relay (`spec/relay.md`).
    Device,
    /// Two relays (`spec/federation.md`).
    Federation,
}

impl Protocol {
    const ALL: [Self; 2] = [Self::Device, Self::Federation];

    /// The name on the wire.
    pub const fn name(self) -> StreamProtocol {
        match self {
            Self::Device => StreamProtocol::new("/undertone/relay/1"),
            Self::Federation => StreamProtocol::new("/undertone/federation/1"),
        }
    }
}

/// What one side of a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    One(Protocol),
    All,
}

impl UpgradeInfo for Offer {
    type Info = StreamProtocol;
    type InfoIter = Vec<StreamProtocol>;

    fn protocol_info(&self) -> Self::InfoIter {
        match self {
            Self::One(protocol) => vec![protocol.name()],
            Self::All => Protocol::ALL.map(Protocol::name).to_vec(),
        }
    }
}

impl Offer {
    fn agreed<C>(stream: C, name: &StreamProtocol) -> Ready<Result<(C, Protocol), Infallible>> {
        let federation = *name == Protocol::Federation.name();
        ready(Ok((stream, if federation { Protocol::Federation } else { Protocol::Device })))
    }
}

impl<C> InboundUpgrade<C> for Offer {
    type Output = (C, Protocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_inbound(self, stream: C, name: Self::Info) -> Self::Future {
        Self::agreed(stream, &name)
    }
}

impl<C> OutboundUpgrade<C> for Offer {
    type Output = (C, Protocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Self::Error>>;

    fn upgrade_outbound(self, stream: C, name: Self::Info) -> Self::Future {
        Self::agreed(stream, &name)
    }
}
