//! Relays that can't be reached where they were said to be are looked for, where somebody does that.

use std::collections::BTreeMap;
use std::time::Duration;

use undertone_protocol::codec::Signed;
use undertone_protocol::federation::RelayRecord;
use undertone_protocol::ids::RelayId;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire;

use super::Source;
use crate::federation::act::{Act, Cx, Finding};
use crate::federation::relays::Learned;
use crate::store::owner::Owner;
use crate::store::{Overlay, Store, StoreError};

/// A relay is looked for no more often than this, and what is found later is no answer.
const SOUGHT_EVERY: Duration = Duration::from_secs(60);
/// Relays that are looked for at one time.
const SOUGHT_MAX: usize = 256;
/// Of them, those that only devices ask for.
const SOUGHT_FOR_DEVICES_MAX: usize = SOUGHT_MAX / 2;
/// Of those, those that one device asks for.
const SOUGHT_PER_DEVICE_MAX: usize = 8;

/// What is looked for.
#[derive(Debug, Default)]
pub(super) struct Seeking {
    /// Whether somebody looks.
    is_there: bool,
    /// This relay's record, as it was last told.
    told: Option<wire::Signed>,
    sought: BTreeMap<RelayId, Sought>,
}

/// A relay that is looked for.
#[derive(Debug, Clone, Copy)]
struct Sought {
    /// Until when what is found counts.
    until: Timestamp,
    /// The device that asks for it; `None`: something waits for it.
    by: Option<Owner>,
}

impl Seeking {
    pub(super) fn set_back(&mut self, by: Duration) {
        self.sought.values_mut().for_each(|sought| sought.until = sought.until.before(by));
    }

    /// Whether a relay is to be looked for now: for a device, or because something waits for it.
    fn begin(&mut self, relay: &RelayId, by: Option<Owner>, now: Timestamp) -> bool {
        self.sought.retain(|_, sought| sought.until > now);
        if let Some(sought) = self.sought.get_mut(relay) {
            sought.by = sought.by.and(by);
            return false;
        }
        let begins = self.is_there && self.sought.len() < SOUGHT_MAX && self.has_room_for(by);
        if begins {
            self.sought.insert(*relay, Sought { until: now.after(SOUGHT_EVERY), by });
        }
        begins
    }

    /// Whoever asks may name whatever it likes, so that has a part of the room alone.
    fn has_room_for(&self, by: Option<Owner>) -> bool {
        let Some(by) = by else { return true };
        let mut devices: Vec<_> = self.sought.values().filter_map(|sought| sought.by).collect();
        let all = devices.len();
        devices.retain(|device| *device == by);
        all < SOUGHT_FOR_DEVICES_MAX && devices.len() < SOUGHT_PER_DEVICE_MAX
    }

    fn is_sought(&self, relay: &RelayId, now: Timestamp) -> bool {
        self.sought.get(relay).is_some_and(|sought| sought.until > now)
    }
}

impl Source {
    /// Somebody looks for relays.
    pub(crate) fn with_finder(&mut self) {
        self.seeking.is_there = true;
    }

    /// Looks for a relay, for a device or because something waits for it; whether that is done, now or since a moment ago.
    pub(crate) fn seek(&mut self, relay: &RelayId, by: Option<Owner>, cx: &mut Cx<'_>) -> bool {
        if self.seeking.begin(relay, by, cx.now) {
            cx.metrics.relays_sought += 1;
            cx.acts.push(Act::Find(Finding::Sought { relay: *relay, for_device: by.is_some() }));
        }
        self.seeking.is_sought(relay, cx.now)
    }

    /// A relay is there, and may know where others are.
    pub(super) fn tell_finder(&self, relay: &RelayId, cx: &mut Cx<'_>) {
        let said = self.relays.addresses(relay, cx.now);
        let named = self.peers.get(relay).filter(|_| said.is_empty());
        let addresses = named.map_or_else(|| said.to_vec(), Clone::clone);
        if self.seeking.is_there && !addresses.is_empty() {
            cx.acts.push(Act::Find(Finding::Known { relay: *relay, addresses }));
        }
    }

    /// Others keep this relay's newest record.
    pub(super) fn announce_to_finder<S: Store + ?Sized>(
        &mut self,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        if !self.seeking.is_there {
            return Ok(());
        }
        let own = self.relays.own(cx, tx)?;
        if own != self.seeking.told {
            self.seeking.told.clone_from(&own);
            cx.acts.extend(own.map(|record| Act::Find(Finding::Announced { record })));
        }
        Ok(())
    }

    /// What was found of a relay that is looked for: one that moved is called where it is now.
    pub(super) fn found<S: Store + ?Sized>(
        &mut self,
        signed: wire::Signed,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let record = Signed::from_wire(signed).ok().and_then(|signed| RelayRecord::verify(signed).ok());
        let Some(record) = record else {
            cx.metrics.relay_records_refused += 1;
            return Ok(());
        };
        let relay = record.address.relay;
        if !cx.policy.allows(&relay) || !self.seeking.is_sought(&relay, cx.now) {
            return Ok(());
        }
        if self.relays.learn(record, cx, tx)? == Learned::Moved {
            cx.metrics.relays_found += 1;
            self.tell_finder(&relay, cx);
            self.call_back(&relay, cx, tx)?;
        }
        Ok(())
    }
}
