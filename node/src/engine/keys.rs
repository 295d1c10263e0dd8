//! The life of this device's X-Wing key and fallback prekey.

use rand_chacha::ChaCha20Rng;
use undertone_protocol::crypto::Crypto;
use undertone_protocol::ids::{CurveKey, Secret};
use undertone_protocol::limits::KEY_LIFE;
use undertone_protocol::time::Timestamp;

use super::context::Me;
use super::links::Links;
use crate::store::{Account, NodeTx, StoreError, SupersededKey};

/// Forgets the superseded keys when they may die, and makes new ones when it is time and none are
/// superseded. Gives the account as it is stored then, if it changed.
pub(super) fn renewed(
    me: &Me,
    links: &Links,
    crypto: &mut dyn Crypto,
    rng: &mut ChaCha20Rng,
    tx: &mut dyn NodeTx,
    now: Timestamp,
) -> Result<Option<Account>, StoreError> {
    let mut account = me.account.clone();
    if now.since(account.keys_made) < KEY_LIFE {
        return Ok(None);
    }
    let Some(mut olm) = tx.olm_account()? else { return Ok(None) };
    let done = match &account.superseded {
        // What was sent for them in time may still wait at a relay.
        Some(_) if !is_drained(links, now) => return Ok(None),
        Some(_) => {
            account.superseded = None;
            crypto.forget_previous_fallback(&mut olm)
        }
        None => crypto.new_fallback_prekey(&mut olm).map(|fallback| renew(&mut account, fallback, rng, now)),
    };
    if let Err(error) = done {
        tracing::error!(%error, "could not renew the keys");
        return Ok(None);
    }
    let published = account.keys_made != me.account.keys_made;
    tx.put_olm_account(&olm)?;
    tx.put_account(&account)?;
    if published {
        tracing::info!("made a new X-Wing key and fallback prekey");
        for mut home in tx.home_relays()? {
            home.bundle_stored = false;
            tx.put_home_relay(&home)?;
        }
    }
    Ok(Some(account))
}

fn renew(account: &mut Account, fallback: CurveKey, rng: &mut ChaCha20Rng, now: Timestamp) {
    let xwing_seed = std::mem::replace(&mut account.xwing_seed, Secret::random(rng));
    account.superseded = Some(SupersededKey { xwing_seed, made: account.keys_made });
    account.fallback_prekey = fallback;
    account.keys_made = now;
}

/// Whether every home relay that can be reached delivered all that it had; one at least.
pub(super) fn is_drained(links: &Links, now: Timestamp) -> bool {
    let reachable: Vec<bool> =
        links.homes().filter(|(_, link)| link.is_ready()).map(|(_, link)| link.is_drained(now)).collect();
    !reachable.is_empty() && reachable.iter().all(|drained| *drained)
}
