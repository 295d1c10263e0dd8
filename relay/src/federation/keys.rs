//! This relay's routing keys: made when one is asked for and the newest is old, kept for as long as something that
//! was sealed to them may come.

use std::collections::BTreeMap;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use rand_core::CryptoRng;
use undertone_protocol::federation::{RoutingKey, RoutingKeyId, RoutingSecret};
use undertone_protocol::ids::Secret;
use undertone_protocol::limits::{FORWARD_AGE_MAX, ROUTING_KEY_LIFE, ROUTING_KEY_ROTATED};
use undertone_protocol::time::Timestamp;

use crate::answer::{Failed, Refused};
use crate::limits::Limits;
use crate::store::table::{KeyReader, Table};
use crate::store::usage::{self, ROUTING_KEY_DISK_BYTES};
use crate::store::{Overlay, Store, StoreError};

const WHAT: &str = "routing key";
/// Keys that there may be at one time: one a week, for three weeks, and what a clock that was set back adds.
const KEYS_MAX: usize = 64;
/// From its making until nothing that was sealed to it is decided any more.
const KEPT: Duration = Duration::from_secs(ROUTING_KEY_LIFE.as_secs() + FORWARD_AGE_MAX.as_secs());

fn all<S: Store + ?Sized>(tx: &Overlay<'_, S>) -> Result<Vec<(Timestamp, RoutingSecret)>, StoreError> {
    let table = Table::RoutingKey.key();
    let found = tx.range(table.as_ref(), table.after_prefix().as_ref(), KEYS_MAX)?;
    let keys = found.into_iter().map(|(key, value)| {
        let issued = Timestamp::from_ms(KeyReader::new(WHAT, &key).u64()?);
        let secret = Secret::from_slice(&value).map_err(|_| StoreError::Corrupt { what: WHAT })?;
        let secret = RoutingSecret::from_secret(secret).map_err(|_| StoreError::Corrupt { what: WHAT })?;
        Ok((issued, secret))
    });
    keys.collect()
}

/// The private halves of all keys that senders may know.
pub(super) fn secrets<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
) -> Result<BTreeMap<RoutingKeyId, RoutingSecret>, StoreError> {
    Ok(all(tx)?.into_iter().map(|(_, secret)| (secret.id(), secret)).collect())
}

/// The key that this relay gives out now; whether it was made for that.
pub(crate) fn own_key<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    relay: &SigningKey,
    limits: &Limits,
    mut rng: &mut dyn CryptoRng,
    now: Timestamp,
) -> Result<(RoutingKey, bool), Failed> {
    let keys = all(tx)?;
    let fresh = |issued: Timestamp| issued <= now && now < issued.after(ROUTING_KEY_ROTATED);
    if let Some((issued, secret)) = keys.iter().rev().find(|(issued, _)| fresh(*issued)) {
        return Ok((RoutingKey::issue(relay, secret, *issued), false));
    }
    if keys.len() >= KEYS_MAX || !usage::take(tx, ROUTING_KEY_DISK_BYTES, limits.disk_bytes_max)? {
        return Err(Refused::disk_full(limits.full_retry_after_ms).into());
    }
    let secret = RoutingSecret::random(&mut rng);
    tx.put(Table::RoutingKey.key().u64(now.as_ms()), secret.secret().expose().to_vec());
    Ok((RoutingKey::issue(relay, &secret, now), true))
}

/// Forgets keys that nothing can have been sealed to; whether there were any.
pub(super) fn sweep<S: Store + ?Sized>(tx: &mut Overlay<'_, S>, now: Timestamp) -> Result<bool, StoreError> {
    let table = Table::RoutingKey.key();
    let Some(end) = now.as_ms().checked_sub(u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX)) else {
        return Ok(false);
    };
    let end = Table::RoutingKey.key().u64(end);
    let ended = tx.range(table.as_ref(), end.as_ref(), KEYS_MAX)?;
    let any = !ended.is_empty();
    for (key, _) in ended {
        tx.delete(key);
        usage::release(tx, ROUTING_KEY_DISK_BYTES)?;
    }
    Ok(any)
}
