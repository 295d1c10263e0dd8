//! Heartbeats on the links, and how it stands with other relays.

use std::collections::BTreeSet;
use std::time::Duration;

use undertone_protocol::ids::RelayId;
use undertone_protocol::keys::RelayAddress;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, frame::Body};

use super::Source;
use crate::federation::act::Cx;
use crate::federation::link::Link;
use crate::federation::outbox;
use crate::federation::up::Up;
use crate::metrics::DestinationHealth;
use crate::store::{Overlay, Store, StoreError};

/// A relay is looked after for so long after something was last forwarded with it.
const LATELY: Duration = Duration::from_secs(7 * 24 * 3_600);

impl Source {
    /// These are looked after, whatever is forwarded with them.
    pub(crate) fn name_peers(&mut self, peers: Vec<RelayAddress>) {
        for peer in peers {
            self.peers.entry(peer.relay).or_default().extend(peer.addresses);
        }
        self.policy_changed();
    }

    /// After a start, or a change of the policy: those that the operator named, and those that were forwarded with lately.
    pub(super) fn follow_all(&mut self, cx: &mut Cx<'_>) {
        self.beats.retain(|relay| cx.policy.allows(relay));
        for relay in self.peers.keys().filter(|relay| cx.policy.allows(relay)) {
            self.beats.follow(*relay, true, cx.now, cx.rng);
            self.tell_finder(relay, cx);
        }
        for relay in self.relays.used_after(cx.now.before(LATELY)) {
            if cx.policy.allows(relay) {
                self.beats.follow(*relay, false, cx.now, cx.rng);
                self.tell_finder(relay, cx);
            }
        }
    }

    /// Something was forwarded to a relay, or from it: it is looked after, if it said where it is.
    pub(super) fn used<S: Store + ?Sized>(
        &mut self,
        relay: &RelayId,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        if self.relays.used(relay, cx, tx)? {
            self.beats.follow(*relay, false, cx.now, cx.rng);
        }
        Ok(())
    }

    /// Another relay said something on a connection that it made.
    pub(crate) fn heard(&mut self, relay: &RelayId, now: Timestamp) {
        self.beats.heard(relay, now);
    }

    /// Those whose turn it is get a heartbeat, over the link that there is or over a new one.
    pub(super) fn beat<S: Store + ?Sized>(
        &mut self,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        for relay in self.beats.due(cx.now) {
            let is_named = self.peers.contains_key(&relay);
            if !is_named && !self.relays.was_used_after(&relay, cx.now.before(LATELY)) {
                self.beats.retain(|other| *other != relay);
                continue;
            }
            let now = cx.now;
            let link = self.link(relay, cx);
            if link.retry_at().is_some_and(|retry_at| retry_at > now) {
                // What waits for it failed, and is tried again by and by: so much for whether it can be reached.
                self.beat_failed(&relay, cx);
                continue;
            }
            link.beat_wanted = true;
            self.pump(&relay, cx, tx)?;
        }
        Ok(())
    }

    pub(super) fn send_beat(&mut self, relay: &RelayId, cx: &mut Cx<'_>) {
        if let Some(up) = self.links.get_mut(relay).and_then(Link::up) {
            let nonce = up.beat_was_sent(cx.now);
            cx.metrics.heartbeats_sent += 1;
            cx.send(up.conn, 0, Body::Ping(wire::Ping { nonce }));
        }
    }

    /// An answer to a heartbeat. A link that was made for that alone has served.
    pub(super) fn beat_answered<S: Store + ?Sized>(
        &mut self,
        relay: &RelayId,
        nonce: u64,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let Some(link) = self.links.get_mut(relay) else { return Ok(()) };
        let Some(sent_at) = link.up().and_then(|up| up.beat_was_answered(nonce)) else { return Ok(()) };
        link.beat_wanted = false;
        cx.metrics.heartbeats_answered += 1;
        let every = Duration::from_millis(cx.limits.heartbeat_ms);
        self.beats.answered(relay, cx.now.since(sent_at), every, cx.now, cx.rng);
        self.pump(relay, cx, tx)?;
        let has_served = |link: &Link| !link.wanted && link.as_up().is_some_and(Up::has_served);
        if self.links.get(relay).is_some_and(has_served) {
            self.close(relay, cx);
        }
        Ok(())
    }

    /// A heartbeat failed, if one was under way.
    pub(super) fn beat_failed(&mut self, relay: &RelayId, cx: &mut Cx<'_>) -> bool {
        let every = Duration::from_millis(cx.limits.heartbeat_ms);
        let failed = self.beats.failed(relay, every, cx.now, cx.rng);
        cx.metrics.heartbeats_failed += u64::from(failed);
        failed
    }

    /// How it stands with other relays: those that the most waits for, then those that failed most, at most `limit`.
    pub(crate) fn health<S: Store + ?Sized>(
        &self,
        tx: &Overlay<'_, S>,
        limit: usize,
    ) -> Result<Vec<DestinationHealth>, StoreError> {
        let followed = self.beats.healths().map(|(relay, _)| relay);
        let relays: BTreeSet<&RelayId> = self.links.keys().chain(followed).collect();
        let mut all = Vec::with_capacity(relays.len());
        for relay in relays {
            all.push(self.health_of(relay, tx)?);
        }
        let failures = |health: &DestinationHealth| health.failures.max(health.heartbeat_failures);
        all.sort_by_key(|health| std::cmp::Reverse((health.waiting, failures(health))));
        all.truncate(limit);
        Ok(all)
    }

    fn health_of<S: Store + ?Sized>(
        &self,
        relay: &RelayId,
        tx: &Overlay<'_, S>,
    ) -> Result<DestinationHealth, StoreError> {
        let record = outbox::destination(tx, relay)?.unwrap_or_default();
        let (link, beats) = (self.links.get(relay), self.beats.health(relay));
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Ok(DestinationHealth {
            relay: relay.short(),
            connected: link.is_some_and(Link::is_up),
            waiting: record.forwards,
            waiting_bytes: record.bytes,
            failures: link.map_or(0, |link| link.failures),
            incompatible: link.is_some_and(|link| link.incompatible),
            answer_ms: link.map_or(0, |link| link.answer_ms),
            reachable: beats.reachable.map(|(reachable, _)| reachable),
            since_ms: beats.reachable.map(|(_, since)| since.as_ms()),
            heard_ms: beats.heard_at.map(Timestamp::as_ms),
            round_trip_ms: beats.round_trip.map(ms),
            heartbeat_failures: beats.failures,
        })
    }
}
