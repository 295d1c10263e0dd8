//! Owners: the relay keeps a hash of a device's key, never the key.

use prost::Message;
use undertone_protocol::ids::DeviceId;

use super::table::{Key, Table};
use super::{Overlay, Store, StoreError};

/// What a device has at this relay.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(crate) struct Holdings {
    #[prost(uint32, tag = "1")]
    pub(crate) mailboxes: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) bundles: u32,
    /// Forwards that wait, and answers that were not taken.
    #[prost(uint32, tag = "3")]
    pub(crate) forwards: u32,
    /// Other relays that something waits for since it handed in the first of it.
    #[prost(uint32, tag = "4")]
    pub(crate) destinations: u32,
}

/// BLAKE3 of a device's key, under its own context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner([u8; 32]);

impl Owner {
    pub(crate) fn of(device: &DeviceId) -> Self {
        Self(blake3::derive_key("undertone v1 relay owner", device.as_bytes()))
    }

    /// As it was stored.
    pub(crate) const fn stored(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn is(&self, stored: &[u8]) -> bool {
        self.0 == stored
    }
}

fn key(owner: &[u8]) -> Key {
    Table::Owner.key().part(owner)
}

/// What an owner has.
pub(crate) fn holdings<S: Store + ?Sized>(tx: &Overlay<'_, S>, owner: &[u8]) -> Result<Holdings, StoreError> {
    Ok(tx.read("owner record", &key(owner))?.unwrap_or_default())
}

/// Changes what an owner has.
pub(crate) fn change<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    owner: &[u8],
    change: impl FnOnce(&mut Holdings),
) -> Result<(), StoreError> {
    let mut holdings = holdings(tx, owner)?;
    change(&mut holdings);
    tx.write(key(owner), &holdings);
    Ok(())
}
