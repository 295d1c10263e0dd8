//! Links: dialling, greeting, and what goes out on them.

use bytes::Bytes;
use undertone_protocol::codec::Signed;
use undertone_protocol::federation::RoutingKey;
use undertone_protocol::ids::{PublishId, RelayId};
use undertone_protocol::limits::{CARRY_PARCELS_MAX, FRAME_BYTES_MAX, PROTOCOL_VERSION};
use undertone_protocol::wire::{self, Frame, frame::Body};

use super::{KnownKey, LINKS_FULL_WAIT, Source};
use crate::conn::ConnId;
use crate::federation::act::{Act, Cx};
use crate::federation::outbox;
use crate::store::{Overlay, Store, StoreError};

/// What a parcel has around it in a frame, at most, and what a frame has around those, in bytes.
const AROUND_BYTES: usize = 64;

impl Source {
    /// Does for a destination what can be done now: dials, or sends what waits.
    pub(super) fn pump<S: Store + ?Sized>(
        &mut self,
        relay: &RelayId,
        cx: &mut Cx<'_>,
        tx: &Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let record = outbox::destination(tx, relay)?;
        let open = self.links.values().filter(|link| link.retry_at().is_none()).count();
        let link = self.link(*relay, cx);
        link.wanted = record.is_some() || link.key_wanted.is_some();
        if link.wanted && link.may_dial(cx.now) {
            if open >= cx.limits.destination_links_max {
                link.put_off(cx.now.after(LINKS_FULL_WAIT));
                return Ok(());
            }
            let known = record.map(|record| record.addresses);
            let addresses = known.or_else(|| link.key_wanted.clone()).unwrap_or_default();
            link.dialling(cx.now);
            cx.acts.push(Act::Dial { relay: *relay, addresses });
        }
        if let Some((parcels, bytes)) = link.room(cx.now) {
            self.carry(relay, parcels, bytes, cx, tx)?;
        }
        Ok(())
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
        let Some(up) = self.links.get_mut(relay).and_then(|link| link.up()) else { return Ok(()) };
        let mut batch = Batch::default();
        // A queue that was empty counts from the beginning, and what is not on its way may stand anywhere.
        if up.in_flight.is_empty() {
            up.cursor = 0;
        }
        for (number, id) in outbox::next(tx, relay, up.cursor, parcels)? {
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
            up.left(id, size, cx.now);
            up.cursor = number.saturating_add(1);
            cx.metrics.forwards_carried += 1;
        }
        batch.send(up.conn, cx);
        Ok(())
    }

    pub(super) fn dialled(&mut self, relay: RelayId, conn: ConnId, cx: &mut Cx<'_>) {
        let link = self.links.get_mut(&relay).filter(|link| link.is_dialling());
        let Some(link) = link else {
            // It was given up meanwhile.
            cx.acts.push(Act::Close { conn });
            return;
        };
        link.connected(conn, cx.now);
        self.conns.insert(conn, relay);
        let hello = wire::Hello { version_min: PROTOCOL_VERSION, version_max: PROTOCOL_VERSION };
        cx.send(conn, 1, Body::Hello(hello));
        cx.send(conn, 2, Body::GetRoutingKey(wire::GetRoutingKey { relay: None }));
    }

    pub(super) fn frame<S: Store + ?Sized>(
        &mut self,
        conn: ConnId,
        frame: Frame,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let Some(relay) = self.conns.get(&conn).copied() else { return Ok(()) };
        match frame.body {
            Some(Body::Welcome(_)) => {
                if let Some(up) = self.links.get_mut(&relay).and_then(|link| link.up()) {
                    up.greeted = true;
                }
                self.pump(&relay, cx, tx)
            }
            Some(Body::RoutingKey(answer)) => {
                self.learn(&relay, answer, cx);
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
            Some(Body::Ping(ping)) => {
                cx.send(conn, frame.request, Body::Pong(wire::Pong { nonce: ping.nonce }));
                Ok(())
            }
            Some(Body::Goodbye(_)) => {
                cx.acts.push(Act::Close { conn });
                self.gone(conn, cx, tx)
            }
            // A newer relay may say what this one does not know.
            _ => Ok(()),
        }
    }

    fn learn(&mut self, relay: &RelayId, answer: wire::RoutingKeyAnswer, cx: &Cx<'_>) {
        if let Some(link) = self.links.get_mut(relay) {
            link.key_wanted = None;
        }
        let signed = Signed::required("routing key answer", "key", answer.key);
        let Some(key) = signed.ok().and_then(|signed| RoutingKey::verify(signed, relay).ok()) else { return };
        if key.not_after > cx.now {
            let known = KnownKey { signed: key.signed.to_wire(), not_after: key.not_after, came_at: cx.now };
            self.keys.insert(*relay, known);
        }
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
        if link.wanted || !link.up().is_some_and(|up| up.greeted) {
            return self.failed(&relay, cx, tx);
        }
        link.ended(cx.now);
        Ok(())
    }

    /// The link failed: what was on its way is tried again, later than the time before.
    pub(super) fn failed<S: Store + ?Sized>(
        &mut self,
        relay: &RelayId,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let Some(link) = self.links.get_mut(relay) else { return Ok(()) };
        let mut lost: Vec<PublishId> = Vec::new();
        if let Some(up) = link.up() {
            lost.extend(up.in_flight.keys());
            self.conns.remove(&up.conn);
            cx.acts.push(Act::Close { conn: up.conn });
        }
        link.failed(cx.now);
        cx.metrics.destination_failures += 1;
        for id in lost {
            self.in_vain(&id, cx, tx)?;
        }
        let record = outbox::destination(tx, relay)?;
        if let Some(link) = self.links.get_mut(relay) {
            link.wanted = record.is_some();
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
