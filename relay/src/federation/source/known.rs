//! The routing keys of other relays, as far as they are known. Memory only.

use std::collections::BTreeMap;
use std::time::Duration;

use undertone_protocol::federation::{RoutingKey, RoutingKeyId};
use undertone_protocol::ids::RelayId;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire;

use crate::frames::alone;

/// Keys of other relays that are held; one more takes the place of the one that came first.
const KEYS_MAX: usize = 4_096;
/// A known key is asked for anew when it is so old.
const FRESH: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Default)]
pub(super) struct KnownKeys {
    keys: BTreeMap<RelayId, KnownKey>,
}

#[derive(Debug)]
struct KnownKey {
    id: RoutingKeyId,
    signed: wire::Signed,
    not_after: Timestamp,
    came_at: Timestamp,
}

/// A key as it is to be given out.
pub(super) struct Known {
    pub(super) signed: wire::Signed,
    /// Whether it need not be asked for again.
    pub(super) is_fresh: bool,
}

impl KnownKeys {
    /// A relay's key, if one is known that has not ended.
    pub(super) fn get(&self, relay: &RelayId, now: Timestamp) -> Option<Known> {
        let known = self.keys.get(relay).filter(|known| known.not_after > now)?;
        Some(Known { signed: known.signed.clone(), is_fresh: known.came_at.after(FRESH) > now })
    }

    /// Keeps a key that its relay gave.
    pub(super) fn put(&mut self, key: &RoutingKey, now: Timestamp) {
        if self.keys.len() >= KEYS_MAX && !self.keys.contains_key(&key.relay) {
            let first = self.keys.iter().min_by_key(|(_, known)| known.came_at).map(|(relay, _)| *relay);
            first.map(|first| self.keys.remove(&first));
        }
        let mut signed = key.signed.to_wire();
        signed.body = alone(&signed.body);
        let known = KnownKey { id: key.id(), signed, not_after: key.not_after, came_at: now };
        self.keys.insert(key.relay, known);
    }

    /// Forgets a relay's key, if it is this one.
    pub(super) fn forget(&mut self, relay: &RelayId, id: &RoutingKeyId) {
        if self.keys.get(relay).is_some_and(|known| known.id == *id) {
            self.keys.remove(relay);
        }
    }

    pub(super) fn forget_ended(&mut self, now: Timestamp) {
        self.keys.retain(|_, known| known.not_after > now);
    }

    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, by: Duration) {
        self.keys.values_mut().for_each(|known| known.came_at = known.came_at.before(by));
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use undertone_protocol::federation::RoutingSecret;
    use undertone_protocol::ids::Secret;

    use super::*;

    const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);

    #[test]
    fn keys_of_others_are_bounded_in_number() {
        let secret = RoutingSecret::from_secret(Secret::new([1; 32])).unwrap();
        let mut keys = KnownKeys::default();
        let mut relays = Vec::new();
        for number in 0..KEYS_MAX + 10 {
            let mut seed = [7; 32];
            seed[..8].copy_from_slice(&number.to_be_bytes());
            let now = NOW.after(Duration::from_secs(number as u64));
            let key = RoutingKey::issue(&SigningKey::from_bytes(&seed), &secret, now);
            keys.put(&key, now);
            relays.push(key.relay);
        }
        assert_eq!(keys.keys.len(), KEYS_MAX);
        assert!(keys.get(&relays[9], NOW).is_none(), "the first that came made room");
        assert!(keys.get(&relays[10], NOW).is_some());
        assert!(keys.get(relays.last().unwrap(), NOW).is_some());
    }
}
