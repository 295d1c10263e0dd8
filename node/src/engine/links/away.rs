//! Relays that were called and can't be had. Volatile.

use std::collections::BTreeMap;
use std::time::Duration;

use undertone_protocol::ids::RelayId;
use undertone_protocol::limits::CUSTODIAN_WAIT;
use undertone_protocol::time::Timestamp;

/// So many are remembered: far more than are called at a time.
const AWAY_MAX: usize = 1_024;

/// Since when a relay can't be had, and when it was last called in vain.
#[derive(Debug, Clone, Copy)]
struct Since {
    first: Timestamp,
    last: Timestamp,
}

impl Since {
    /// A relay that nobody called for so long may be there again, for all that is known.
    fn says_nothing(&self, now: Timestamp) -> bool {
        now.since(self.last) > CUSTODIAN_WAIT
    }
}

/// The relays.
#[derive(Debug, Default)]
pub(super) struct Away(BTreeMap<RelayId, Since>);

impl Away {
    /// Since when a relay can't be had, as far as that is known now.
    pub(super) fn since(&self, relay: &RelayId, now: Timestamp) -> Option<Timestamp> {
        self.0.get(relay).filter(|since| !since.says_nothing(now)).map(|since| since.first)
    }

    pub(super) fn contains(&self, relay: &RelayId) -> bool {
        self.0.contains_key(relay)
    }

    /// It was called in vain. Where they are too many, the one that was not called for the longest time goes: contacts, who say
    /// which relays there are, keep none out that is called now.
    pub(super) fn note(&mut self, relay: RelayId, now: Timestamp) {
        let known = self.0.get(&relay).filter(|since| !since.says_nothing(now));
        let first = known.map_or(now, |since| since.first);
        if self.0.len() >= AWAY_MAX && !self.contains(&relay) {
            let oldest = self.0.iter().min_by_key(|(_, since)| since.last).map(|(relay, _)| *relay);
            oldest.map(|oldest| self.0.remove(&oldest));
        }
        self.0.insert(relay, Since { first, last: now });
    }

    /// It is there, or need not be.
    pub(super) fn forget(&mut self, relay: &RelayId) {
        self.0.remove(relay);
    }

    /// No relay could be had: it was this device that was away.
    pub(super) fn begin_anew(&mut self, now: Timestamp) {
        self.0.values_mut().for_each(|since| *since = Since { first: now, last: now });
    }

    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, by: Duration) {
        for since in self.0.values_mut() {
            *since = Since { first: since.first.before(by), last: since.last.before(by) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::START;

    fn relay(n: usize) -> RelayId {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        RelayId::new(id)
    }

    fn at(minutes: u64) -> Timestamp {
        START.after(Duration::from_secs(60 * minutes))
    }

    #[test]
    fn what_was_not_called_of_late_is_not_known_to_be_away() {
        let mut away = Away::default();
        for minute in [0, 5, 14] {
            away.note(relay(1), at(minute));
        }
        assert_eq!(away.since(&relay(1), at(24)), Some(START));
        assert_eq!(away.since(&relay(1), at(25)), None);
        // What it was away before says nothing of how long it is now.
        away.note(relay(1), at(25));
        assert_eq!(away.since(&relay(1), at(25)), Some(at(25)));
    }

    #[test]
    fn of_very_many_the_one_that_was_called_last_has_a_place() {
        let mut away = Away::default();
        for n in 0..AWAY_MAX {
            away.note(relay(n), START);
        }
        away.note(relay(0), at(1));
        away.note(relay(AWAY_MAX), at(2));
        assert!(away.0.len() == AWAY_MAX && !away.contains(&relay(1)));
        assert_eq!(away.since(&relay(0), at(2)), Some(START));
        assert_eq!(away.since(&relay(AWAY_MAX), at(2)), Some(at(2)));
    }
}
