//! Relays as users name them, and what answers say of one's own.

use serde::{Deserialize, Serialize};
use undertone_protocol::keys::RelayAddress;
use undertone_transport::RelayAddress as KeyedAddress;

/// A home relay of this device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeRelayView {
    /// The relay's key, in hexadecimal.
    pub relay: String,
    /// Where it listens.
    pub addresses: Vec<String>,
    /// Lower is preferred.
    pub priority: u32,
    /// `ready`; `adding`: others are not told of it before it has all that they need, or since it could not be reached for
    /// long; `retiring`: it was given up.
    pub state: String,
    /// Whether the connection is up and greeted.
    pub connected: bool,
    /// Since when it is, or is not, in milliseconds since 1970; at most since the node started.
    pub since_ms: Option<u64>,
    /// Why it is not, or what the relay refused.
    pub problem: Option<String>,
    /// What is left to do there, in words.
    pub left: Vec<String>,
    /// When one that was given up is forgotten, in milliseconds since 1970, if nothing delays it.
    pub ends_ms: Option<u64>,
}

/// Relays from addresses with their keys, in order; several addresses of one relay belong together. The error says which
/// text is none, and how one looks.
pub(crate) fn relay_addresses(texts: &[String]) -> Result<Vec<RelayAddress>, String> {
    let mut relays: Vec<RelayAddress> = Vec::new();
    for text in texts {
        let KeyedAddress { relay, address } = text.parse().map_err(|error| format!("{error}"))?;
        let address = address.to_string();
        match relays.iter_mut().find(|known| known.relay == relay) {
            Some(known) => known.addresses.push(address),
            None => relays.push(RelayAddress { relay, addresses: vec![address] }),
        }
    }
    // The bounds are the protocol's.
    for relay in &relays {
        RelayAddress::from_wire(relay.to_wire()).map_err(|error| error.to_string())?;
    }
    Ok(relays)
}
