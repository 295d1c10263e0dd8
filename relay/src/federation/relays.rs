//! Where relays are, by their own word: this one's record, and the newest of each other one.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use undertone_protocol::codec::Signed;
use undertone_protocol::federation::RelayRecord;
use undertone_protocol::ids::RelayId;
use undertone_protocol::keys::KeysError;
use undertone_protocol::limits::{RELAY_RECORD_AHEAD_MAX, RELAY_RECORD_RENEWED};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire;

use super::act::Cx;
use crate::frames::alone;
use crate::store::table::{Key, Table, record};
use crate::store::usage::{self, RELAY_DISK_BYTES};
use crate::store::{Overlay, Store, StoreError};

/// Other relays whose records are held.
const RELAYS_KNOWN_MAX: usize = 4_096;
/// When a relay was last forwarded with is written no more often than this.
const USED_EVERY: Duration = Duration::from_secs(3_600);
const WHAT: &str = "relay record";

/// This relay's record and those of others. A relay that only says where it is, is held in memory, as long as there is
/// room; one that this relay forwarded with is on disk, too.
#[derive(Debug, Default)]
pub(super) struct Relays {
    is_loaded: bool,
    announced: Vec<String>,
    own: Option<RelayRecord>,
    others: BTreeMap<RelayId, Other>,
}

#[derive(Debug)]
struct Other {
    record: RelayRecord,
    came_at: Timestamp,
    /// When something was last forwarded to it or from it; only then it is on disk.
    used_at: Option<Timestamp>,
}

/// What came of a relay's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Learned {
    /// It is where it was not known to be.
    Moved,
    /// It is where it was.
    Same,
    /// The record says nothing new, or can't be used.
    Nothing,
}

/// A record as it is stored.
#[derive(Clone, PartialEq, Eq, Message)]
struct Stored {
    #[prost(bytes = "bytes", tag = "1")]
    body: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    signature: Bytes,
    #[prost(uint64, tag = "3")]
    used_ms: u64,
}

impl Relays {
    /// This relay says from now on that it is there.
    pub(super) fn announce(&mut self, addresses: Vec<String>) {
        self.announced = addresses;
    }

    /// Reads what is stored, once. What an earlier build took and this one would not is forgotten.
    pub(super) fn load<S: Store + ?Sized>(
        &mut self,
        own: &RelayId,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.is_loaded, true) {
            return Ok(());
        }
        let table = Table::Relay.key();
        for (key, value) in tx.range(table.as_ref(), table.after_prefix().as_ref(), RELAYS_KNOWN_MAX + 1)? {
            let Stored { body, signature, used_ms } = record(WHAT, value)?;
            let corrupt = StoreError::Corrupt { what: WHAT };
            let signed = Signed::from_wire(wire::Signed { body, signature }).map_err(|_| corrupt)?;
            let record = match RelayRecord::verify(signed) {
                Ok(record) => record,
                Err(KeysError::Malformed(_)) => {
                    tx.delete(key);
                    usage::release(tx, RELAY_DISK_BYTES)?;
                    continue;
                }
                Err(_) => return Err(StoreError::Corrupt { what: WHAT }),
            };
            let used_at = Timestamp::from_ms(used_ms);
            if record.address.relay == *own {
                self.own = Some(record);
            } else {
                let other = Other { record, came_at: used_at, used_at: Some(used_at) };
                self.others.insert(other.record.address.relay, other);
            }
        }
        Ok(())
    }

    /// This relay's record, if it says where it is: made anew when the addresses are others, and once a day.
    pub(super) fn own<S: Store + ?Sized>(
        &mut self,
        cx: &Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<Option<wire::Signed>, StoreError> {
        let id = RelayId::new(cx.key.verifying_key().to_bytes());
        self.load(&id, tx)?;
        if self.announced.is_empty() {
            return Ok(None);
        }
        // A record of a clock that is far ahead is taken by nobody: so it need not be followed by a later one.
        let last = self.own.as_ref().filter(|own| own.issued <= cx.now.after(RELAY_RECORD_AHEAD_MAX));
        let holds = last.is_some_and(|own| {
            own.address.addresses == self.announced && cx.now < own.issued.after(RELAY_RECORD_RENEWED)
        });
        if !holds {
            let least = last.map_or(Timestamp::ZERO, |own| own.issued.after(Duration::from_millis(1)));
            let made = RelayRecord::issue(cx.key, self.announced.clone(), cx.now.max(least));
            // The configuration was checked; a caller who names what is none has no record.
            let Ok(made) = made else { return Ok(None) };
            write(tx, &made, Timestamp::ZERO, u64::MAX)?;
            self.own = Some(made);
        }
        Ok(self.own.as_ref().map(|own| own.signed.to_wire()))
    }

    /// Takes a relay's record, if it is newer than what is known of it.
    pub(super) fn learn<S: Store + ?Sized>(
        &mut self,
        mut record: RelayRecord,
        cx: &Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<Learned, StoreError> {
        let relay = record.address.relay;
        let known = self.others.get(&relay);
        if !record.is_newer_than(known.map(|known| &known.record), cx.now) {
            return Ok(Learned::Nothing);
        }
        record.signed.body = alone(&record.signed.body);
        let is_same = known.is_some_and(|known| known.record.address == record.address);
        let used_at = known.and_then(|known| known.used_at);
        if let Some(used_at) = used_at {
            write(tx, &record, used_at, cx.limits.disk_bytes_max)?;
        } else if !self.others.contains_key(&relay) {
            self.make_room(tx)?;
        }
        self.others.insert(relay, Other { record, came_at: cx.now, used_at });
        Ok(if is_same { Learned::Same } else { Learned::Moved })
    }

    /// Something was forwarded to a relay, or from it. Whether it said where it is.
    pub(super) fn used<S: Store + ?Sized>(
        &mut self,
        relay: &RelayId,
        cx: &Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<bool, StoreError> {
        let Some(other) = self.others.get_mut(relay) else { return Ok(false) };
        // One in the future is of a clock that was ahead.
        let lately = |used: Timestamp| used <= cx.now && cx.now < used.after(USED_EVERY);
        if !other.used_at.is_some_and(lately) && write(tx, &other.record, cx.now, cx.limits.disk_bytes_max)? {
            other.used_at = Some(cx.now);
        }
        Ok(true)
    }

    /// Those that were forwarded with after this.
    pub(super) fn used_after(&self, after: Timestamp) -> impl Iterator<Item = &RelayId> {
        let lately =
            self.others.iter().filter(move |(_, other)| other.used_at.is_some_and(|used| used > after));
        lately.map(|(relay, _)| relay)
    }

    /// Whether this one is among them.
    pub(super) fn was_used_after(&self, relay: &RelayId, after: Timestamp) -> bool {
        self.others.get(relay).is_some_and(|other| other.used_at.is_some_and(|used| used > after))
    }

    /// Where a relay is, as far as it said so.
    pub(super) fn addresses(&self, relay: &RelayId, now: Timestamp) -> &[String] {
        self.current(relay, now).map_or(&[], |record| &record.address.addresses)
    }

    /// The newest record of a relay.
    pub(super) fn current(&self, relay: &RelayId, now: Timestamp) -> Option<&RelayRecord> {
        self.others.get(relay).map(|other| &other.record).filter(|record| record.is_current(now))
    }

    /// Forgets records that have ended.
    pub(super) fn sweep<S: Store + ?Sized>(
        &mut self,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let has_ended = |other: &Other| other.record.not_after <= now;
        let ended = self.others.iter().filter(|(_, other)| has_ended(other) && other.used_at.is_some());
        for (relay, _) in ended {
            tx.delete(key(relay));
            usage::release(tx, RELAY_DISK_BYTES)?;
        }
        self.others.retain(|_, other| !has_ended(other));
        Ok(())
    }

    /// Makes room for one more, at the cost of the one that came first of those that were never forwarded with, or else of
    /// the one that was forwarded with longest ago.
    fn make_room<S: Store + ?Sized>(&mut self, tx: &mut Overlay<'_, S>) -> Result<(), StoreError> {
        if self.others.len() < RELAYS_KNOWN_MAX {
            return Ok(());
        }
        let first = self.others.iter().min_by_key(|(_, other)| (other.used_at, other.came_at));
        let Some(first) = first.map(|(relay, _)| *relay) else { return Ok(()) };
        if self.others.remove(&first).is_some_and(|other| other.used_at.is_some()) {
            tx.delete(key(&first));
            usage::release(tx, RELAY_DISK_BYTES)?;
        }
        Ok(())
    }
}

fn key(relay: &RelayId) -> Key {
    Table::Relay.key().part(relay.as_bytes())
}

/// Keeps a record, if there is room on the disk.
fn write<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    record: &RelayRecord,
    used_at: Timestamp,
    disk_bytes_max: u64,
) -> Result<bool, StoreError> {
    let key = key(&record.address.relay);
    if tx.get(key.as_ref())?.is_none() && !usage::take(tx, RELAY_DISK_BYTES, disk_bytes_max)? {
        return Ok(false);
    }
    let wire::Signed { body, signature } = record.signed.to_wire();
    tx.write(key, &Stored { body, signature, used_ms: used_at.as_ms() });
    Ok(true)
}

#[cfg(test)]
mod tests;
