//! Routing keys of other relays: devices ask for them, and this one asks those relays.
//!
//! A device may name any relay at any address, so whoever asks for keys holds up nothing that waits: few connections are
//! for that alone, and few of them for one device.

use std::collections::BTreeMap;
use std::time::Duration;

use undertone_protocol::ids::RelayId;
use undertone_protocol::keys::RelayAddress;
use undertone_protocol::wire;

use super::Source;
use crate::answer::{Failed, Refused};
use crate::federation::act::Cx;
use crate::federation::link::KeyWanted;
use crate::store::owner::Owner;
use crate::store::{Overlay, Store, StoreError};

/// What a client is told to wait while another relay is asked for its key, in milliseconds.
const KEY_WAIT_MS: u64 = 500;
/// What a device is told to wait that has too many keys asked for, in milliseconds.
const KEYS_WAIT_MS: u64 = 1_000;
/// Relays that are asked for their keys for one device at one time.
const KEYS_ASKED_PER_DEVICE_MAX: usize = 16;
/// Connections to relays that are only asked for their keys; never more than half of all.
const KEY_LINKS_MAX: usize = 8;
/// Of them, those for one device.
const KEY_LINKS_PER_DEVICE_MAX: usize = 2;

impl Source {
    /// The routing key of another relay. It is asked for where it is not known: then the client comes again.
    pub(crate) fn routing_key<S: Store + ?Sized>(
        &mut self,
        asked: RelayAddress,
        by: Owner,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<wire::RoutingKeyAnswer, Failed> {
        let relay = asked.relay;
        let known = self.keys.get(&relay, cx.now);
        if known.as_ref().is_none_or(|known| !known.is_fresh) {
            self.ask(asked, by, cx, tx)?;
        }
        known.map(|known| wire::RoutingKeyAnswer { key: Some(known.signed) }).ok_or_else(|| {
            let wait = self.links.get(&relay).map_or(Duration::ZERO, |link| link.key_wait(cx.now));
            let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(KEY_WAIT_MS);
            Refused::retry_after("the other relay is asked", wait).into()
        })
    }

    /// Asks a relay for its key, if it may be asked now.
    fn ask<S: Store + ?Sized>(
        &mut self,
        RelayAddress { relay, addresses }: RelayAddress,
        by: Owner,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), Failed> {
        // Half of the room is for relays that something waits for, whoever asks for keys.
        if !self.has_room_for(&relay, cx.limits.destinations_max.div_ceil(2)) {
            return Err(Refused::retry_after("destinations_max", cx.limits.full_retry_after_ms).into());
        }
        let before = self.links.get(&relay).and_then(|link| link.key_wanted.as_ref());
        let first = before.map_or(by, |before| before.by);
        if before.is_none() && self.asked_for(&by) >= KEYS_ASKED_PER_DEVICE_MAX {
            let text =
                format!("keys that are asked for at one time for one device: {KEYS_ASKED_PER_DEVICE_MAX}");
            return Err(Refused::retry_after(&text, KEYS_WAIT_MS).into());
        }
        let now = cx.now;
        let link = self.link(relay, cx);
        if link.may_ask_key(now) {
            link.key_wanted = Some(KeyWanted { addresses, by: first });
            self.pump(&relay, cx, tx)?;
            self.serve_line(cx, tx)?;
        }
        Ok(())
    }

    /// How many relays are asked for their keys for a device.
    fn asked_for(&self, device: &Owner) -> usize {
        let wanted = self.links.values().filter_map(|link| link.key_wanted.as_ref());
        wanted.filter(|wanted| wanted.by == *device).count()
    }

    /// Calls those that are only asked for their keys, as long as there may be more connections for that. `open`: the
    /// connections that there are.
    pub(super) fn serve_key_line<S: Store + ?Sized>(
        &mut self,
        mut open: usize,
        cx: &mut Cx<'_>,
        tx: &Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let most = KEY_LINKS_MAX.min(cx.limits.destination_links_max.div_ceil(2));
        while let Some(place) = self.next_to_ask(most) {
            if open >= cx.limits.destination_links_max {
                if !self.end_needless(cx) {
                    break;
                }
                open -= 1;
            }
            let Some(relay) = self.key_line.remove(place) else { break };
            open += usize::from(self.call(&relay, cx, tx)?);
        }
        Ok(())
    }

    /// The place in their line of the one that may be called next: the first whose device has not too many already.
    fn next_to_ask(&self, most: usize) -> Option<usize> {
        if self.key_line.is_empty() {
            return None;
        }
        let mut under_way: BTreeMap<Owner, usize> = BTreeMap::new();
        let open = self.links.values().filter(|link| link.retry_at().is_none());
        open.filter_map(|link| link.asked_for())
            .for_each(|device| *under_way.entry(device).or_default() += 1);
        if under_way.values().sum::<usize>() >= most {
            return None;
        }
        let may = |relay: &RelayId| {
            let device = self.links.get(relay).and_then(|link| link.asked_for());
            let calls = device.and_then(|device| under_way.get(&device).copied());
            calls.unwrap_or_default() < KEY_LINKS_PER_DEVICE_MAX
        };
        self.key_line.iter().position(may)
    }
}
