//! Addresses of relays as people write them.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use undertone_protocol::ids::RelayId;
use undertone_protocol::limits::RELAY_ADDRESS_BYTES_MAX;

use crate::identity::{relay_of, relay_peer};

const EXAMPLE: &str =
    "/ip4/192.0.2.1/tcp/4001, /dns4/relay.example.org/tcp/4001 or /dns4/relay.example.org/tcp/443/tls/ws";

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
    #[error(
        "`{text}` can't be used: {why}; write an address like {EXAMPLE}, with /p2p/KEY at its end if need be"
    )]
    Unsupported {
        /// What was written.
        text: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// `/p2p/` with something that is no relay's key.
    #[error("the key in `{0}` is no Ed25519 key")]
    Key(String),
    /// The key is missing.
    #[error("`{0}` does not say which relay it is: add /p2p/KEY, as the relay prints it when it starts")]
    NoKey(String),
}

/// What runs over TCP, below noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Nothing.
    Tcp,
    /// `/ws`
    WebSocket,
    /// `/tls/ws`, also written `/wss`
    TlsWebSocket,
}

impl Kind {
    fn of(parts: &[Protocol<'_>]) -> Result<Self, &'static str> {
        match parts {
            [] => Ok(Self::Tcp),
            [Protocol::Ws(path)] if path == "/" => Ok(Self::WebSocket),
            [Protocol::Tls, Protocol::Ws(path)] | [Protocol::Wss(path)] if path == "/" => {
                Ok(Self::TlsWebSocket)
            }
            [Protocol::Ws(_) | Protocol::Wss(_)] | [Protocol::Tls, Protocol::Ws(_)] => {
                Err("a relay is asked by WebSocket for no path but /: write /ws or /tls/ws")
            }
            [Protocol::Tls] => Err("TLS is there for WebSocket alone: write /tls/ws"),
            [Protocol::Tls, Protocol::Sni(_), ..] => {
                Err("the certificate is for the name that is dialled: leave /sni out")
            }
            _ => Err("behind the port stands nothing, /ws or /tls/ws"),
        }
    }

    /// The address of this kind at a TCP port.
    pub(crate) fn over(self, tcp: Multiaddr) -> Multiaddr {
        match self {
            Self::Tcp => tcp,
            Self::WebSocket => tcp.with(Protocol::Ws("/".into())),
            Self::TlsWebSocket => tcp.with(Protocol::Tls).with(Protocol::Ws("/".into())),
        }
    }
}

/// Where something listens: an IP address or a DNS name, a TCP port, and whether WebSocket and TLS run over it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    whole: Multiaddr,
    kind: Kind,
}

impl Address {
    /// Whether connecting to it needs a DNS look-up.
    pub fn needs_dns(&self) -> bool {
        ip_of(&self.whole).is_none()
    }

    /// Whether it is an address that only this machine reaches, or all of this machine's addresses.
    pub fn is_local(&self) -> bool {
        ip_of(&self.whole).is_some_and(|ip| ip.is_loopback() || ip.is_unspecified())
    }

    /// Whether somebody can connect to it: to the wildcard address, or to port 0, nobody can.
    pub fn is_reachable(&self) -> bool {
        !self.is_wildcard() && self.port() != 0
    }

    /// Whether it means all addresses of this machine.
    pub fn is_wildcard(&self) -> bool {
        ip_of(&self.whole).is_some_and(|ip| ip.is_unspecified())
    }

    /// Whether the other one is at the same IP address or name.
    pub fn is_on_same_host(&self, other: &Self) -> bool {
        self.host() == other.host()
    }

    /// Whether a proxy on this machine listens for it, if anybody does: WebSocket at an address that only this machine
    /// reaches.
    pub fn is_behind_proxy(&self) -> bool {
        self.kind == Kind::WebSocket && self.is_local()
    }

    /// Whether a listener needs a certificate for it.
    pub fn needs_certificate(&self) -> bool {
        self.kind == Kind::TlsWebSocket
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn multiaddr(&self) -> &Multiaddr {
        &self.whole
    }

    /// The host and the port alone.
    pub(crate) fn tcp(&self) -> Multiaddr {
        self.whole.iter().take(2).collect()
    }

    /// The IP address or the name.
    pub(crate) fn host(&self) -> String {
        let host = self.whole.iter().next().map(|part| match part {
            Protocol::Ip4(ip) => ip.to_string(),
            Protocol::Ip6(ip) => ip.to_string(),
            Protocol::Dns(name) | Protocol::Dns4(name) | Protocol::Dns6(name) => name.into_owned(),
            other => other.to_string(),
        });
        host.unwrap_or_default()
    }

    fn port(&self) -> u16 {
        let port = self.whole.iter().find_map(|part| match part {
            Protocol::Tcp(port) => Some(port),
            _ => None,
        });
        port.unwrap_or_default()
    }

    /// Host and port as they stand in a URL.
    pub(crate) fn authority(&self) -> String {
        let (host, port) = (self.host(), self.port());
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    pub(crate) fn from_multiaddr(address: Multiaddr) -> Result<Self, AddressError> {
        match Self::split_key(address)? {
            (address, None) => Ok(address),
            (address, Some(_)) => {
                Err(AddressError::Unsupported { text: address.to_string(), why: "a key has no place here" })
            }
        }
    }

    /// An address and the key behind it, if there is one.
    pub(crate) fn split_key(address: Multiaddr) -> Result<(Self, Option<RelayId>), AddressError> {
        let parts: Vec<Protocol<'_>> = address.iter().collect();
        let (place, key) = match parts.as_slice() {
            [place @ .., Protocol::P2p(peer)] => {
                (place, Some(relay_of(peer).map_err(|_| AddressError::Key(address.to_string()))?))
            }
            place => (place, None),
        };
        match kind_of(place) {
            Ok(kind) => Ok((Self { whole: kind.over(place.iter().take(2).cloned().collect()), kind }, key)),
            Err(why) => Err(AddressError::Unsupported { text: address.to_string(), why }),
        }
    }
}

/// Refuses what is no place of a relay, and says why.
fn kind_of(place: &[Protocol<'_>]) -> Result<Kind, &'static str> {
    match place {
        [
            Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_),
            Protocol::Tcp(_),
            above @ ..,
        ] => Kind::of(above),
        [Protocol::Dnsaddr(_), ..] => Err("/dnsaddr is not looked up: write /dns4, /dns6 or /dns"),
        [_, Protocol::Udp(_), ..] => Err("relays speak TCP, not UDP"),
        [
            Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_),
            ..,
        ] => Err("the TCP port is missing"),
        _ => Err("it does not begin with an IP address or a name"),
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// `/ip4/A/tcp/PORT`, `/ip6/A/tcp/PORT`, `/dns/NAME/tcp/PORT`, `/dns4/..` or `/dns6/..`, with nothing, `/ws` or
    /// `/tls/ws` behind it (`/wss` is taken for the latter), without a key.
    fn from_str(text: &str) -> Result<Self, AddressError> {
        bounded(Self::from_multiaddr(parse(text)?)?)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.whole.fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.whole.fmt(f)
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
        match Address::split_key(parse(text)?)? {
            (address, Some(relay)) => bounded(Self { relay, address }),
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

/// `/wss` becomes longer.
fn bounded<T: fmt::Display>(address: T) -> Result<T, AddressError> {
    match address.to_string().len() {
        bytes if bytes > RELAY_ADDRESS_BYTES_MAX => Err(AddressError::TooLong(bytes)),
        _ => Ok(address),
    }
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
        for host in ["/ip6/::1/tcp/1", "/dns4/relay.example.org/tcp/4001", "/dns/a.example/tcp/65535"] {
            for kind in ["", "/ws", "/tls/ws"] {
                let text = format!("{host}{kind}");
                assert_eq!(address(&text).unwrap().to_string(), text);
            }
        }
        let (old, new) = (address("/dns6/a.example/tcp/443/wss"), address("/dns6/a.example/tcp/443/tls/ws"));
        assert_eq!(old, new);
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
    fn other_kinds_are_refused_and_the_error_says_why() {
        for (text, why) in [
            ("/ip4/1.2.3.4/udp/1/quic-v1", "TCP, not UDP"),
            ("/ip4/1.2.3.4", "the TCP port is missing"),
            ("/ip4/1.2.3.4/ws", "the TCP port is missing"),
            ("/tcp/4001", "begin with an IP address or a name"),
            ("", "begin with an IP address or a name"),
            ("/dnsaddr/a.example/tcp/1", "write /dns4"),
            ("/ip4/1.2.3.4/tcp/1/tls", "write /tls/ws"),
            ("/ip4/1.2.3.4/tcp/1/http", "nothing, /ws or /tls/ws"),
            ("/ip4/1.2.3.4/tcp/1/ws/tls", "nothing, /ws or /tls/ws"),
            ("/ip4/1.2.3.4/tcp/1/tls/wss", "nothing, /ws or /tls/ws"),
            ("/dns4/a.example/tcp/1/tls/sni/b.example/ws", "leave /sni out"),
            ("/dns4/a.example/tcp/1/x-parity-ws/%2Fchat", "no path but /"),
            (KEYED, "a key has no place here"),
        ] {
            let error = address(text).unwrap_err();
            assert!(matches!(error, AddressError::Unsupported { .. }), "{text}: {error}");
            let said = error.to_string();
            assert!(said.contains(why) && said.contains("/tcp/443/tls/ws"), "{text}: {said}");
        }
        assert!(matches!(address(&"/".repeat(300)), Err(AddressError::TooLong(300))));
        let name = "a".repeat(RELAY_ADDRESS_BYTES_MAX - "/dns4//tcp/1/wss".len());
        assert_eq!(address(&format!("/dns4/{name}/tcp/1/wss")), Err(AddressError::TooLong(259)));
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
        for (text, reachable, proxy) in [
            ("/ip4/0.0.0.0/tcp/1", false, false),
            ("/ip4/192.0.2.1/tcp/0", false, false),
            ("/dns4/a.example/tcp/1", true, false),
            ("/ip4/127.0.0.1/tcp/1", true, false),
            ("/ip4/127.0.0.1/tcp/1/ws", true, true),
            ("/ip4/192.0.2.1/tcp/1/ws", true, false),
        ] {
            let address = address(text).unwrap();
            assert_eq!((address.is_reachable(), address.is_behind_proxy()), (reachable, proxy), "{text}");
        }
        assert!(address("/ip4/192.0.2.1/tcp/1/wss").unwrap().needs_certificate());
        assert!(!address("/ip4/192.0.2.1/tcp/1/ws").unwrap().needs_certificate());
        assert_eq!(address("/ip6/::1/tcp/80/ws").unwrap().authority(), "[::1]:80");
        assert_eq!(address("/dns/a.example/tcp/443/tls/ws").unwrap().authority(), "a.example:443");
    }
}
