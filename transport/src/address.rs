//! Addresses of relays as people write them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use undertone_protocol::ids::RelayId;
use undertone_protocol::limits::RELAY_ADDRESS_BYTES_MAX;

use crate::identity::{relay_of, relay_peer};

const EXAMPLE: &str = "/ip4/192.0.2.1/tcp/4001 or /dns4/relay.example.org/tcp/4001";

/// An address text that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Over [`RELAY_ADDRESS_BYTES_MAX`].
    #[error("the address has {0} bytes; at most {RELAY_ADDRESS_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// No multiaddr.
    #[error("`{text}` is no multiaddr ({why}); write one like {EXAMPLE}")]
    Syntax {
        /// What was written.
        text: String,
        /// What the parser says.
        why: String,
    },
    /// A multiaddr of another kind.
    #[error("`{0}` is not supported; write an address like {EXAMPLE}, with /p2p/KEY at its end if need be")]
    Unsupported(String),
    /// `/p2p/` with something that is no relay's key.
    #[error("the key in `{0}` is no Ed25519 key")]
    Key(String),
    /// The key is missing.
    #[error("`{0}` does not say which relay it is: add /p2p/KEY, as the relay prints it when it starts")]
    NoKey(String),
}

/// Where something listens: an IP address or a DNS name, and a TCP port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(Multiaddr);

impl Address {
    /// Whether connecting to it needs a DNS look-up.
    pub fn needs_dns(&self) -> bool {
        !self.0.iter().any(|part| matches!(part, Protocol::Ip4(_) | Protocol::Ip6(_)))
    }

    /// Whether it is an address that only this machine reaches, or all of this machine's addresses.
    pub fn is_local(&self) -> bool {
        ip_of(&self.0).is_some_and(|ip| ip.is_loopback() || ip.is_unspecified())
    }

    pub(crate) fn multiaddr(&self) -> &Multiaddr {
        &self.0
    }

    pub(crate) fn from_multiaddr(address: Multiaddr) -> Result<Self, AddressError> {
        match split_key(address)? {
            (address, None) => Ok(address),
            (address, Some(_)) => Err(AddressError::Unsupported(address.to_string())),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// `/ip4/A/tcp/PORT`, `/ip6/A/tcp/PORT`, `/dns/NAME/tcp/PORT`, `/dns4/..` or `/dns6/..`, without a key.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::from_multiaddr(parse(text)?)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One address of a relay together with the relay's key: all that a user has to pass on.
///
/// Its text is the address followed by `/p2p/KEY`, e.g. `/ip4/127.0.0.1/tcp/4001/p2p/12D3Koo..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RelayAddress {
    /// The relay's key.
    pub relay: RelayId,
    /// Where it listens.
    pub address: Address,
}

impl FromStr for RelayAddress {
    type Err = AddressError;

    /// As [`Address`], with `/p2p/KEY` at its end.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        match split_key(parse(text)?)? {
            (address, Some(relay)) => Ok(Self { relay, address }),
            (_, None) => Err(AddressError::NoKey(text.trim().to_owned())),
        }
    }
}

impl fmt::Display for RelayAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match relay_peer(&self.relay) {
            Ok(peer) => write!(f, "{}/p2p/{peer}", self.address),
            Err(_) => self.address.fmt(f),
        }
    }
}

/// The IP address in a multiaddr; `None` for a DNS name.
pub(crate) fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(IpAddr::V4(ip)),
        Protocol::Ip6(ip) => Some(IpAddr::V6(ip)),
        _ => None,
    })
}

fn parse(text: &str) -> Result<Multiaddr, AddressError> {
    let text = text.trim();
    if text.len() > RELAY_ADDRESS_BYTES_MAX {
        return Err(AddressError::TooLong(text.len()));
    }
    text.parse().map_err(|error: libp2p::multiaddr::Error| AddressError::Syntax {
        text: text.to_owned(),
        why: error.to_string(),
    })
}

fn split_key(address: Multiaddr) -> Result<(Address, Option<RelayId>), AddressError> {
    let parts: Vec<Protocol<'_>> = address.iter().collect();
    let (place, key) = match parts.as_slice() {
        [place @ .., Protocol::P2p(peer)] => {
            (place, Some(relay_of(peer).map_err(|_| AddressError::Key(address.to_string()))?))
        }
        place => (place, None),
    };
    let host_and_port = matches!(
        place,
        [
            Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_),
            Protocol::Tcp(_)
        ]
    );
    if !host_and_port {
        return Err(AddressError::Unsupported(address.to_string()));
    }
    Ok((Address(place.iter().cloned().collect()), key))
}

#[cfg(test)]
mod tests {
    use undertone_protocol::ids::Secret;

    use super::*;
    use crate::identity::Identity;

    const KEYED: &str = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWRm8J3iL796zPFi2EtGGtUJn58AG67gcRzQ4FENEemvpg";

    fn address(text: &str) -> Result<Address, AddressError> {
        text.parse()
    }

    #[test]
    fn the_text_round_trips() {
        let relay = Identity::from_secret(&Secret::new([7; 32])).relay_id();
        let written = RelayAddress { relay, address: "/ip4/127.0.0.1/tcp/4001".parse().unwrap() };
        assert_eq!(written.to_string().parse(), Ok(written.clone()));
        for text in ["/ip6/::1/tcp/1", "/dns4/relay.example.org/tcp/4001", "/dns/a.example/tcp/65535"] {
            assert_eq!(address(text).unwrap().to_string(), text);
        }
        assert_eq!(KEYED.parse::<RelayAddress>().unwrap().to_string(), KEYED);
    }

    #[test]
    fn errors_say_what_to_write() {
        let error = address("relay.example.org:4001").unwrap_err().to_string();
        assert!(error.contains("/dns4/relay.example.org/tcp/4001"), "{error}");
        let error = "/ip4/127.0.0.1/tcp/4001".parse::<RelayAddress>().unwrap_err().to_string();
        assert!(error.contains("add /p2p/KEY"), "{error}");
    }

    #[test]
    fn other_kinds_are_refused() {
        for text in ["/ip4/1.2.3.4/udp/1/quic-v1", "/ip4/1.2.3.4", "/tcp/4001", "", KEYED] {
            assert!(matches!(address(text), Err(AddressError::Unsupported(_))), "{text}");
        }
        assert!(matches!(address(&"/".repeat(300)), Err(AddressError::TooLong(300))));
        // A secp256k1 key: a valid peer id, but not a relay's.
        let foreign = "/ip4/127.0.0.1/tcp/1/p2p/16Uiu2HAm9iwLGhM4JRSkgV6tZFiZ7TpYdFUsGrWvPQh3cMSqxbZX";
        assert!(foreign.parse::<RelayAddress>().is_err());
    }

    #[test]
    fn places_are_told_apart() {
        assert!(address("/dns4/a.example/tcp/1").unwrap().needs_dns());
        assert!(!address("/ip4/127.0.0.1/tcp/1").unwrap().needs_dns());
        assert!(address("/ip4/0.0.0.0/tcp/1").unwrap().is_local());
        assert!(!address("/ip4/192.0.2.1/tcp/1").unwrap().is_local());
    }
}
