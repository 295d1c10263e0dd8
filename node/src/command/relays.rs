//! Relays as users name them, and what answers say of one's own.

use data_encoding::BASE64URL_NOPAD;
use prost::bytes::Bytes;
use serde::{Deserialize, Serialize};
use undertone_protocol::keys::RelayAddress;
use undertone_protocol::limits::RELAY_INVITATION_BYTES_MAX;
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

/// A relay as a user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedRelay {
    pub(crate) address: RelayAddress,
    /// What its operator gave to open a mailbox there; empty: nothing.
    pub(crate) invitation: Bytes,
}

/// Relays from addresses with their keys, in order; several addresses of one relay belong together. Behind an address may
/// stand `#` and an invitation of the relay's operator. The error says which text is none, and how one looks.
pub(crate) fn relay_addresses(texts: &[String]) -> Result<Vec<NamedRelay>, String> {
    let mut relays: Vec<NamedRelay> = Vec::new();
    for text in texts {
        let (address, invitation) = text.split_once('#').unwrap_or((text, ""));
        let KeyedAddress { relay, address } = address.parse().map_err(|error| format!("{error}"))?;
        let (address, invitation) = (address.to_string(), invitation_from(invitation)?);
        match relays.iter_mut().find(|known| known.address.relay == relay) {
            Some(known) => {
                known.address.addresses.push(address);
                if !invitation.is_empty() {
                    known.invitation = invitation;
                }
            }
            None => {
                let address = RelayAddress { relay, addresses: vec![address] };
                relays.push(NamedRelay { address, invitation });
            }
        }
    }
    // The bounds are the protocol's.
    for relay in &relays {
        RelayAddress::from_wire(relay.address.to_wire()).map_err(|error| error.to_string())?;
    }
    Ok(relays)
}

fn invitation_from(text: &str) -> Result<Bytes, String> {
    let bytes = BASE64URL_NOPAD.decode(text.trim().as_bytes()).ok();
    bytes.filter(|bytes| bytes.len() <= RELAY_INVITATION_BYTES_MAX).map(Bytes::from).ok_or_else(|| {
        "what stands behind # is no invitation of a relay's operator: look whether all of it was copied"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "/ip4/127.0.0.1/tcp/4001/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN";

    #[test]
    fn an_invitation_stands_behind_an_address() {
        let one = |texts: &[String]| relay_addresses(texts).map(|mut relays| relays.remove(0));
        let plain = one(&[ADDRESS.to_owned()]).unwrap();
        assert!(plain.invitation.is_empty());
        let invited = one(&[format!("{ADDRESS}#AQID"), ADDRESS.replace("4001", "4002")]).unwrap();
        assert_eq!(invited.invitation, [1, 2, 3].as_slice());
        assert_eq!(invited.address.addresses, ["/ip4/127.0.0.1/tcp/4001", "/ip4/127.0.0.1/tcp/4002"]);
        for wrong in ["#AQI*", "#A", &format!("#{}", "A".repeat(88))] {
            assert!(one(&[format!("{ADDRESS}{wrong}")]).unwrap_err().contains("behind #"), "{wrong}");
        }
    }
}
