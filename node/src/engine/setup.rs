use std::collections::BTreeMap;

use prost::bytes::Bytes;
use rand_chacha::ChaCha20Rng;
use undertone_protocol::crypto::{Crypto, CryptoError};
use undertone_protocol::ids::{Handle, RelayId, Secret};
use undertone_protocol::keys::{
    Certificate, DeviceKey, DeviceList, IdentityKey, ListedDevice, Name, RecoveryPhrase, RecoveryPhraseError,
    RelayAddress,
};
use undertone_protocol::time::Timestamp;

use super::home::new_mailbox;
use super::own;
use crate::store::{Account, NodeTx, StoreError};

/// What a new account is made of.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// What the user calls themselves.
    pub name: Name,
    /// What this device is called.
    pub device_name: Name,
    /// The home relays, the preferred one first.
    pub relays: Vec<RelayAddress>,
    /// What their operators gave to open a mailbox there, where one needs that.
    pub invitations: BTreeMap<RelayId, Bytes>,
    /// Whose it is.
    pub origin: Origin,
}

/// Whose a new account is.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A new user's.
    New,
    /// A user's who starts anew, by the words of their phrase.
    Phrase(String),
    /// Another device of its user will say so.
    Link,
}

/// Why an account can't be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// What was given is no phrase.
    #[error(transparent)]
    Phrase(#[from] RecoveryPhraseError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes identity and device and stores them. The phrase of a new user makes the identity again: show it once,
/// keep it nowhere.
pub fn create_account(
    tx: &mut dyn NodeTx,
    crypto: &mut dyn Crypto,
    rng: &mut ChaCha20Rng,
    new: NewAccount,
    now: Timestamp,
) -> Result<Option<RecoveryPhrase>, SetupError> {
    let phrase = match &new.origin {
        Origin::Phrase(words) => RecoveryPhrase::parse(words)?,
        // A device that is to be linked has a placeholder for an identity.
        Origin::New | Origin::Link => RecoveryPhrase::random(rng),
    };
    let linking = matches!(new.origin, Origin::Link).then(|| Secret::random(rng));
    let identity = IdentityKey::from_phrase(&phrase);
    let device = DeviceKey::random(rng);
    let mut olm = crypto.new_account();
    let keys = crypto
        .identity_key(&olm)
        .and_then(|identity| Ok((identity, crypto.new_fallback_prekey(&mut olm)?)))
        .map_err(damaged)?;
    let certificate = Certificate::issue(&identity, device.device(), keys.0, new.device_name, now);
    let listed = ListedDevice { certificate: certificate.clone(), revoked: false };
    tx.put_olm_account(&olm)?;
    let device_list = DeviceList::issue(&identity, None, vec![listed]);
    let own = own::contact(identity.user(), Handle::random(rng), device_list.clone(), now);
    if let Some(own) = own.filter(|_| linking.is_none()) {
        tx.put_contact(&own)?;
    }
    tx.put_account(&Account {
        name: new.name,
        identity_seed: Some(identity.seed()),
        device_seed: device.seed(),
        xwing_seed: Secret::random(rng),
        fallback_prekey: keys.1,
        keys_made: now,
        superseded: None,
        bundle_key: Secret::random(rng),
        device_list,
        linking,
        fault: None,
        certificate,
    })?;
    for (address, priority) in new.relays.into_iter().zip(0..) {
        let invitation = new.invitations.get(&address.relay).cloned().unwrap_or_default();
        tx.put_home_relay(&new_mailbox(rng, address, priority, invitation))?;
    }
    Ok(matches!(new.origin, Origin::New).then_some(phrase))
}

fn damaged(error: CryptoError) -> StoreError {
    StoreError::Damaged { what: "Olm account", why: error.to_string() }
}
