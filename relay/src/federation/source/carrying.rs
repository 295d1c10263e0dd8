//! Links: dialling, greeting, and what goes out on them.

use std::time::Duration;

use bytes::Bytes;
use undertone_protocol::codec::Signed;
use undertone_protocol::federation::RoutingKey;
use undertone_protocol::ids::{PublishId, RelayId};
use undertone_protocol::limits::{CARRY_PARCELS_MAX, FRAME_BYTES_MAX, PROTOCOL_VERSION};
use undertone_protocol::wire::{self, Frame, GoodbyeCode, RefusalCode, frame::Body};

use super::Source;
use crate::conn::ConnId;
use crate::federation::act::{Act, Cx};
use crate::federation::link::{Link, RETRY_MAX};
use crate::federation::outbox;
use crate::federation::up::Up;
use crate::store::{Overlay, Store, StoreError};

/// What a parcel has around it in a frame, at most, and what a frame has around those, in bytes.
const AROUND_BYTES: usize = 64;
/// Bytes of the parcels that are on their way to all relays together; beside them, each may have one.
const ON_THE_WAY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The number of the request for a routing key.
const KEY_REQUEST: u64 = 2;
/// How long a relay is not asked for its key after it gave none that holds, in milliseconds.
const NO_KEY_MS: u64 = 60_000;

impl Source {
    /// Does for a destination what can be done now: dials, or sends what waits.
    pub(super) fn pump<S: Store + ?Sized>(
        &mut self,
        relay: &RelayId,
        cx: &mut Cx<'_>,
        tx: &Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let record = outbox::destination(tx, relay)?;
        let bytes_left = ON_THE_WAY_BYTES_MAX.saturating_sub(self.on_the_way_bytes());
        let link = self.link(*relay, cx);
        link.look(record.is_some());
        if link.wanted && link.may_dial(cx.now) {
            self.line_up(relay);
            return Ok(());
        }
        if link.key_is_due() {
            self.ask_key(relay, cx);
            return self.pump(relay, cx, tx);
        }
        if link.beat_is_due() {
            self.send_beat(relay, cx);
            return self.pump(relay, cx, tx);
        }
        let room = link.room(bytes_left, cx.now).filter(|_| record.is_some());
        if room.is_none() {
            link.leaves_not();
        }
        let delay_max = cx.limits.forward_delay_ms_max;
        let mut delay = || Duration::from_millis(cx.rng.next_u64() % delay_max.saturating_add(1));
        if let Some((parcels, bytes)) = room
            && (delay_max == 0 || link.leaves(&mut delay, cx.now))
        {
            self.carry(relay, parcels, bytes, cx, tx)?;
        }
        Ok(())
    }

    /// Bytes of the parcels that are on their way to all relays together.
    fn on_the_way_bytes(&self) -> usize {
        let up = self.conns.values().filter_map(|relay| self.links.get(relay)?.as_up());
        up.map(Up::in_flight_bytes).sum()
    }

    fn ask_key(&mut self, relay: &RelayId, cx: &mut Cx<'_>) {
        if let Some(up) = self.links.get_mut(relay).and_then(Link::up) {
            up.key_was_asked(cx.now);
            cx.send(up.conn, KEY_REQUEST, Body::GetRoutingKey(wire::GetRoutingKey { relay: None }));
        }
    }

    /// Sends the next parcels, as many as fit, several in a frame.
    fn carry<S: Store + ?Sized>(
        &mut self,
        relay: &RelayId,
        parcels: usize,
        mut bytes: usize,
        cx: &mut Cx<'_>,
        tx: &Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let Some(up) = self.links.get_mut(relay).and_then(Link::up) else { return Ok(()) };
        let mut batch = Batch::default();
        let found = outbox::next(tx, relay, up.next(), parcels)?;
        up.found(found.first().map(|(number, _)| *number));
        for (number, id) in found {
            let parcel = outbox::parcel(tx, &id)?;
            let size = parcel.len();
            if size > bytes && !up.in_flight.is_empty() {
                break;
            }
            bytes = bytes.saturating_sub(size);
            if !batch.fits(size) {
                batch.send(up.conn, cx);
            }
            batch.add(parcel);
            up.left(id, number, size, cx.now);
            cx.metrics.forwards_carried += 1;
        }
        batch.send(up.conn, cx);
        Ok(())
    }

    pub(super) fn dialled<S: Store + ?Sized>(
        &mut self,
        relay: RelayId,
        conn: ConnId,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let link = self.links.get_mut(&relay).filter(|link| link.is_dialling());
        let Some(link) = link else {
            // It was given up meanwhile.
            cx.acts.push(Act::Close { conn });
            return Ok(());
        };
        link.connected(conn, cx.now);
        let may_ask = link.may_ask_key(cx.now);
        self.conns.insert(conn, relay);
        let hello = wire::Hello { version_min: PROTOCOL_VERSION, version_max: PROTOCOL_VERSION };
        cx.send(conn, 1, Body::Hello(hello));
        if let Some(record) = self.own_record(cx, tx)? {
            cx.send(conn, 0, Body::RelayAt(wire::RelayAt { record: Some(record) }));
        }
        if may_ask {
            self.ask_key(&relay, cx);
        }
        Ok(())
    }

    pub(super) fn frame<S: Store + ?Sized>(
        &mut self,
        conn: ConnId,
        frame: Frame,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let Some(relay) = self.conns.get(&conn).copied() else { return Ok(()) };
        self.beats.heard(&relay, cx.now);
        match frame.body {
            // It was said: once more it would begin its turn anew, and another one might never have one.
            Some(Body::Welcome(_)) if self.is_greeted(&relay) => Ok(()),
            Some(Body::Welcome(welcome)) if welcome.version == PROTOCOL_VERSION => {
                if let Some(link) = self.links.get_mut(&relay) {
                    link.incompatible = false;
                    if let Some(up) = link.up() {
                        up.greet(cx.now);
                    }
                }
                if welcome.record.is_some() {
                    self.relay_at(&relay, welcome.record, cx, tx)?;
                }
                self.pump(&relay, cx, tx)
            }
            Some(Body::Welcome(_)) => self.incompatible(&relay, cx, tx),
            Some(Body::RoutingKey(answer)) => {
                self.learn(&relay, answer, cx);
                self.pump(&relay, cx, tx)
            }
            Some(Body::Refusal(refusal)) if frame.request == KEY_REQUEST => {
                let is_known = refusal.code() == RefusalCode::RetryAfter;
                self.no_key(&relay, if is_known { refusal.retry_after_ms } else { NO_KEY_MS }, cx);
                self.pump(&relay, cx, tx)
            }
            Some(Body::Forwarded(forwarded)) => {
                self.forwarded(&relay, forwarded, cx, tx)?;
                self.pump(&relay, cx, tx)
            }
            Some(Body::Declined(declined)) => {
                self.declined(&relay, &declined, cx, tx)?;
                self.pump(&relay, cx, tx)
            }
            Some(Body::Pong(pong)) => self.beat_answered(&relay, pong.nonce, cx, tx),
            Some(Body::Ping(ping)) => {
                cx.send(conn, frame.request, Body::Pong(wire::Pong { nonce: ping.nonce }));
                Ok(())
            }
            Some(Body::Goodbye(goodbye)) if goodbye.code() == GoodbyeCode::Version => {
                self.incompatible(&relay, cx, tx)
            }
            Some(Body::Goodbye(_)) => {
                cx.acts.push(Act::Close { conn });
                self.gone(conn, cx, tx)
            }
            // A newer relay may say what this one does not know.
            _ => Ok(()),
        }
    }

    fn is_greeted(&self, relay: &RelayId) -> bool {
        self.links.get(relay).and_then(Link::as_up).is_some_and(Up::is_greeted)
    }

    fn learn(&mut self, relay: &RelayId, answer: wire::RoutingKeyAnswer, cx: &Cx<'_>) {
        let signed = Signed::required("routing key answer", "key", answer.key);
        let key = signed.ok().and_then(|signed| RoutingKey::verify(signed, relay).ok());
        match key.filter(|key| key.not_after > cx.now) {
            Some(key) => {
                if let Some(link) = self.links.get_mut(relay) {
                    link.key_wanted = None;
                    link.up().map(Up::key_was_answered);
                }
                self.keys.put(&key, cx.now);
            }
            None => self.no_key(relay, NO_KEY_MS, cx),
        }
    }

    /// A relay was asked for its key, and did not give it.
    fn no_key(&mut self, relay: &RelayId, wait_ms: u64, cx: &Cx<'_>) {
        if let Some(link) = self.links.get_mut(relay) {
            link.key_refused(wait_ms, cx.now);
            link.up().map(Up::key_was_answered);
        }
    }

    /// There is no version that both speak. That may change when the other one is renewed, and not within moments.
    fn incompatible<S: Store + ?Sized>(
        &mut self,
        relay: &RelayId,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        cx.metrics.destinations_incompatible += 1;
        if let Some(link) = self.links.get_mut(relay) {
            link.incompatible = true;
        }
        self.failed(relay, RETRY_MAX, cx, tx)
    }

    /// A connection is gone: a device's, or one to a relay. Where something waits, that is a failure.
    pub(super) fn gone<S: Store + ?Sized>(
        &mut self,
        conn: ConnId,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        self.senders.gone(conn);
        let Some(relay) = self.conns.remove(&conn) else { return Ok(()) };
        let Some(link) = self.links.get_mut(&relay) else { return Ok(()) };
        if link.wanted || !link.up().is_some_and(|up| up.is_greeted()) {
            return self.failed(&relay, Duration::ZERO, cx, tx);
        }
        link.ended(cx.now);
        Ok(())
    }

    /// The link failed: what was on its way is tried again, later than the time before, and not before `least` is over.
    pub(super) fn failed<S: Store + ?Sized>(
        &mut self,
        relay: &RelayId,
        least: Duration,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let Some(link) = self.links.get_mut(relay) else { return Ok(()) };
        let mut lost: Vec<PublishId> = Vec::new();
        if let Some(up) = link.up() {
            lost = up.on_the_way();
            self.conns.remove(&up.conn);
            cx.acts.push(Act::Close { conn: up.conn });
        }
        let has_forwards = outbox::destination(tx, relay)?.is_some();
        let asker = link.key_wanted.as_ref().map(|wanted| wanted.by);
        let is_needed = has_forwards || asker.is_some();
        let was_beat = self.beat_failed(relay, cx);
        if is_needed || !was_beat {
            cx.metrics.destination_failures += 1;
            if is_needed {
                self.seek(relay, asker.filter(|_| !has_forwards), cx);
            }
            if let Some(link) = self.links.get_mut(relay) {
                link.failed(least, cx.now);
            }
        } else if let Some(link) = self.links.get_mut(relay) {
            // What comes to wait for it does not wait for the sake of a heartbeat that failed.
            link.beat_wanted = false;
            link.ended(cx.now);
        }
        for id in lost {
            self.in_vain(&id, cx, tx)?;
        }
        let record = outbox::destination(tx, relay)?;
        if let Some(link) = self.links.get_mut(relay) {
            link.look(record.is_some());
        }
        Ok(())
    }
}

/// Parcels for one frame.
#[derive(Default)]
struct Batch {
    parcels: Vec<Bytes>,
    bytes: usize,
}

impl Batch {
    fn fits(&self, size: usize) -> bool {
        self.parcels.len() < CARRY_PARCELS_MAX && self.bytes + size + 2 * AROUND_BYTES <= FRAME_BYTES_MAX
    }

    fn add(&mut self, parcel: Bytes) {
        self.bytes += parcel.len() + AROUND_BYTES;
        self.parcels.push(parcel);
    }

    fn send(&mut self, conn: ConnId, cx: &mut Cx<'_>) {
        let Self { parcels, .. } = std::mem::take(self);
        if !parcels.is_empty() {
            cx.send(conn, 0, Body::Carry(wire::Carry { parcels }));
        }
    }
}
