use rand_chacha::ChaCha20Rng;
use undertone_protocol::crypto::{Crypto, CryptoError};
use undertone_protocol::ids::{Locator, MailboxId, Secret};
use undertone_protocol::keys::{
    Certificate, DeviceKey, DeviceList, IdentityKey, ListedDevice, Name, RecoveryPhrase, RelayAddress,
};
use undertone_protocol::time::Timestamp;

use crate::store::{Account, HomeRelay, NodeTx, Received, StoreError};

/// What a new account is made of.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// What the user calls themselves.
    pub name: Name,
    /// What this device is called.
    pub device_name: Name,
    /// The home relays, the preferred one first.
    pub relays: Vec<RelayAddress>,
}

/// Makes identity and device and stores them. The phrase makes the identity again: show it once, keep it
/// nowhere.
pub fn create_account(
    tx: &mut dyn NodeTx,
    crypto: &mut dyn Crypto,
    rng: &mut ChaCha20Rng,
    new: NewAccount,
    now: Timestamp,
) -> Result<RecoveryPhrase, StoreError> {
    let phrase = RecoveryPhrase::random(rng);
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
    tx.put_account(&Account {
        name: new.name,
        identity_seed: Some(identity.seed()),
        device_seed: device.seed(),
        xwing_seed: Secret::random(rng),
        fallback_prekey: keys.1,
        keys_made: now,
        superseded: None,
        bundle_key: Secret::random(rng),
        device_list: DeviceList::issue(&identity, None, vec![listed]),
        certificate,
    })?;
    for (address, priority) in new.relays.into_iter().zip(0..) {
        tx.put_home_relay(&home_relay(rng, address, priority))?;
    }
    Ok(phrase)
}

/// Nothing is reused from one relay to another.
fn home_relay(rng: &mut ChaCha20Rng, address: RelayAddress, priority: u32) -> HomeRelay {
    HomeRelay {
        address,
        priority,
        mailbox: MailboxId::random(rng),
        secret: Secret::random(rng),
        epoch: 1,
        generation: None,
        locator: Locator::random(rng),
        bundle_stored: false,
        prekey_batch: 0,
        prekeys_unconfirmed: Vec::new(),
        received: [Received::default(), Received::default()],
    }
}

fn damaged(error: CryptoError) -> StoreError {
    StoreError::Damaged { what: "Olm account", why: error.to_string() }
}
