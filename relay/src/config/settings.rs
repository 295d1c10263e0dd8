use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use undertone_protocol::keys::RelayAddress;
use undertone_transport::relay_from_text;

use super::error::ConfigError;
use crate::federation::{Policy, PolicyKind};
use crate::limits::Limits;
use crate::limits::Registration;

/// All that an operator can set. A missing key takes its default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Where to listen: multiaddrs of an IP address and a TCP port, with nothing, `/ws` or `/tls/ws` behind it; port 0
    /// takes a free one.
    pub listen: Vec<String>,
    /// Where others reach this relay, as it says to them: addresses as in `listen`, or with names. None: those that it
    /// listens on, as far as others can reach them.
    pub addresses: Vec<String>,
    /// Where the key and the store are. A relative path starts at the file's folder.
    pub data_dir: PathBuf,
    /// What holds mailboxes and bundles.
    pub store: Backend,
    /// Who may open a mailbox.
    pub registration: RegistrationPolicy,
    /// With which other relays there is anything to do.
    pub federation: Federation,
    /// What is shown to whoever comes by TLS.
    pub tls: Tls,
    /// What the network side allows.
    pub network: Network,
    /// What everything else allows.
    pub limits: Limits,
}

/// Who may open a mailbox. An earlier form is the policy alone: `registration = "open"`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RegistrationPolicy {
    /// Anybody, whoever is invited, or nobody new.
    pub policy: Registration,
}

impl<'de> Deserialize<'de> for RegistrationPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EitherForm)
    }
}

struct EitherForm;

impl<'de> Visitor<'de> for EitherForm {
    type Value = RegistrationPolicy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with `policy`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let policy = Registration::deserialize(text.into_deserializer())?;
        Ok(RegistrationPolicy { policy })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Whole {
            policy: Registration,
        }
        let Whole { policy } = Whole::deserialize(MapAccessDeserializer::new(map))?;
        Ok(RegistrationPolicy { policy })
    }
}

/// With which other relays this one has to do, in both directions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Federation {
    /// With all, with those in the list, or with all but those.
    pub policy: PolicyKind,
    /// Keys of relays, as they stand behind `/p2p/` in addresses.
    pub relays: Vec<String>,
    /// Relays that this one looks after, whatever is forwarded with them: addresses with `/p2p/` and the key.
    pub peers: Vec<String>,
    /// Whether it looks for relays that can't be reached, and helps others to do so.
    pub kademlia: bool,
}

impl Default for Federation {
    fn default() -> Self {
        Self { policy: PolicyKind::default(), relays: Vec::new(), peers: Vec::new(), kademlia: true }
    }
}

impl Federation {
    /// The relays that it looks after, if all are addresses with keys.
    pub fn peers(&self) -> Result<Vec<RelayAddress>, ConfigError> {
        let peer = |text: &String| {
            let peer: undertone_transport::RelayAddress = text.parse().map_err(ConfigError::Peer)?;
            Ok(RelayAddress { relay: peer.relay, addresses: vec![peer.address.to_string()] })
        };
        self.peers.iter().map(peer).collect()
    }

    /// The policy, if all keys are keys.
    pub fn policy(&self) -> Result<Policy, ConfigError> {
        let key = |text: &String| relay_from_text(text).map_err(|_| ConfigError::RelayKey(text.clone()));
        Ok(Policy { kind: self.policy, relays: self.relays.iter().map(key).collect::<Result<_, _>>()? })
    }
}

/// What holds mailboxes and bundles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// On disk, durable.
    Fjall,
    /// In memory: all is lost when the relay stops, although it has signed for it. For trying out.
    Memory,
}

/// The files with the certificate that a relay shows, in PEM. A relative path starts at the file's folder; an empty
/// one is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tls {
    /// The certificate chain, the relay's own certificate first.
    pub certificate_chain: PathBuf,
    /// The key of that certificate. It is not the relay's key.
    pub private_key: PathBuf,
}

impl Tls {
    /// Both files, if they are named.
    pub fn files(&self) -> Option<(&Path, &Path)> {
        let named =
            !self.certificate_chain.as_os_str().is_empty() && !self.private_key.as_os_str().is_empty();
        named.then_some((&self.certificate_chain, &self.private_key))
    }
}

/// What the network side allows before the relay itself is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Connections from one IPv4 address or one IPv6 /64 network.
    pub connections_per_ip_max: usize,
    /// Connections of one device.
    pub connections_per_device_max: usize,
    /// Connections whose handshake goes on.
    pub handshakes_max: usize,
    /// A handshake must be done within this time, in milliseconds.
    pub handshake_ms_max: u64,
    /// Connections that the system holds until they are accepted.
    pub listen_backlog_max: u32,
    /// Events (mostly frames) that wait to be handled; beyond it no connection is read.
    pub waiting_events_max: usize,
    /// Bytes of the frames that wait to be handled; beyond it no connection is read.
    pub waiting_bytes_max: usize,
    /// Events that are handled together, with one write to disk.
    pub drain_events_max: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec!["/ip4/0.0.0.0/tcp/4001".to_owned()],
            addresses: Vec::new(),
            data_dir: "data".into(),
            store: Backend::Fjall,
            registration: RegistrationPolicy::default(),
            federation: Federation::default(),
            tls: Tls::default(),
            network: Network::default(),
            limits: Limits::default(),
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            connections_per_ip_max: 512,
            connections_per_device_max: 4,
            handshakes_max: 1_024,
            handshake_ms_max: 10_000,
            listen_backlog_max: 4_096,
            waiting_events_max: 4_096,
            waiting_bytes_max: 32 * 1024 * 1024,
            drain_events_max: 512,
        }
    }
}
