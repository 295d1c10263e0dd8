use crate::codec::{Malformed, required};
use crate::ids::{DeviceId, Locator, MailboxId, RelayId, Secret};
use crate::limits::{RELAY_ADDRESS_BYTES_MAX, RELAY_ADDRESSES_MAX};
use crate::token::TokenGrant;
use crate::wire;

/// A relay's key and where it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayAddress {
    /// The relay's key: it stays when addresses change.
    pub relay: RelayId,
    /// Multiaddrs in text, without the peer's key; at least one.
    pub addresses: Vec<String>,
}

impl RelayAddress {
    /// Checks the form.
    pub fn from_wire(address: wire::RelayAddress) -> Result<Self, Malformed> {
        let bad = |why: &str| Err(Malformed::new("relay address", why));
        if address.addresses.is_empty() || address.addresses.len() > RELAY_ADDRESSES_MAX {
            return bad("1 to 8 addresses are allowed");
        }
        if address.addresses.iter().any(|text| text.len() > RELAY_ADDRESS_BYTES_MAX) {
            return bad("an address is longer than 256 bytes");
        }
        Ok(Self { relay: RelayId::from_slice(&address.relay)?, addresses: address.addresses })
    }

    /// For the wire.
    pub fn to_wire(&self) -> wire::RelayAddress {
        wire::RelayAddress { relay: self.relay.to_wire(), addresses: self.addresses.clone() }
    }
}

/// A mailbox as a sender must know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxAddress {
    /// Where it is.
    pub relay: RelayAddress,
    /// Its random id.
    pub mailbox: MailboxId,
    /// The epoch of its secret.
    pub epoch: u32,
    /// Lower is preferred.
    pub priority: u32,
}

impl MailboxAddress {
    /// Checks the form.
    pub fn from_wire(address: wire::MailboxAddress) -> Result<Self, Malformed> {
        Ok(Self {
            relay: RelayAddress::from_wire(required("mailbox address", "relay", address.relay)?)?,
            mailbox: MailboxId::from_slice(&address.mailbox)?,
            epoch: address.epoch,
            priority: address.priority,
        })
    }

    /// For the wire.
    pub fn to_wire(&self) -> wire::MailboxAddress {
        wire::MailboxAddress {
            relay: Some(self.relay.to_wire()),
            mailbox: self.mailbox.to_wire(),
            epoch: self.epoch,
            priority: self.priority,
        }
    }
}

/// A mailbox of a device together with the right to deliver to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryGrant {
    /// Whose mailbox it is.
    pub device: DeviceId,
    /// The mailbox.
    pub mailbox: MailboxAddress,
    /// The right.
    pub token: TokenGrant,
}

impl DeliveryGrant {
    /// Checks the form.
    pub fn from_wire(grant: wire::DeliveryGrant) -> Result<Self, Malformed> {
        Ok(Self {
            device: DeviceId::from_slice(&grant.device)?,
            mailbox: MailboxAddress::from_wire(required("delivery grant", "mailbox", grant.mailbox)?)?,
            token: TokenGrant::from_wire(&required("delivery grant", "token", grant.token)?)?,
        })
    }

    /// For the wire. It carries a secret: seal it.
    pub fn to_wire(&self) -> wire::DeliveryGrant {
        wire::DeliveryGrant {
            device: self.device.to_wire(),
            mailbox: Some(self.mailbox.to_wire()),
            token: Some(self.token.to_wire()),
        }
    }
}

/// Where a device's bundle lies, and what opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleAccess {
    /// Whose bundle it is.
    pub device: DeviceId,
    /// Where it lies.
    pub relay: RelayAddress,
    /// Under which name.
    pub locator: Locator,
    /// What opens it.
    pub key: Secret,
}

impl BundleAccess {
    /// Checks the form.
    pub fn from_wire(access: wire::BundleAccess) -> Result<Self, Malformed> {
        Ok(Self {
            device: DeviceId::from_slice(&access.device)?,
            relay: RelayAddress::from_wire(required("bundle access", "relay", access.relay)?)?,
            locator: Locator::from_slice(&access.locator)?,
            key: Secret::from_slice(&access.key)?,
        })
    }

    /// For the wire. It carries a secret: seal it.
    pub fn to_wire(&self) -> wire::BundleAccess {
        wire::BundleAccess {
            device: self.device.to_wire(),
            relay: Some(self.relay.to_wire()),
            locator: self.locator.to_wire(),
            key: bytes::Bytes::copy_from_slice(self.key.expose()),
        }
    }
}
