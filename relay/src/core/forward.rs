//! Forwards of devices for other relays, and the links to those (`spec/federation.md`).

use undertone_protocol::codec::Malformed;
use undertone_protocol::federation::Parcel;
use undertone_protocol::ids::{DeviceId, PublishId, RelayId};
use undertone_protocol::keys::RelayAddress;
use undertone_protocol::limits::{FORWARD_ADDRESSES_MAX, FORWARDS_TAKEN_MAX};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, RefusalCode, frame::Body};

use super::outgoing::send;
use super::relay::Relay;
use super::requests::too_fast;
use super::types::Output;
use crate::answer::{Failed, Refused};
use crate::conn::ConnId;
use crate::federation::{self, Act, Cx, Event, Handed, Source};
use crate::frames::alone;
use crate::metrics::DestinationHealth;
use crate::store::owner::{self, Owner};
use crate::store::{Overlay, Store, StoreError};

/// What a client is told to wait while another relay is looked for, in milliseconds.
const SEEK_WAIT_MS: u64 = 5_000;

impl Relay {
    /// Lets the machine of what leaves do something, and puts out what it wants.
    pub(super) fn with_source<R>(
        &mut self,
        now: Timestamp,
        out: &mut Vec<Output>,
        work: impl FnOnce(&mut Source, &mut Cx<'_>) -> R,
    ) -> R {
        let mut acts = Vec::new();
        let (limits, policy, key) = (&self.limits, self.arrivals.policy(), &self.key);
        let (rng, metrics) = (&mut *self.rng, &mut self.metrics);
        let mut cx = Cx { now, limits, policy, key, rng, metrics, acts: &mut acts };
        let result = work(&mut self.source, &mut cx);
        out.extend(acts.into_iter().map(|act| match act {
            Act::Send { conn, frame } => Output::Send { conn, frame },
            Act::Close { conn } => Output::Close { conn },
            Act::Dial { relay, addresses } => Output::Dial { relay, addresses },
            Act::Find(finding) => Output::Find(finding),
        }));
        result
    }

    pub(super) fn federation<S: Store + ?Sized>(
        &mut self,
        event: Event,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<(), StoreError> {
        self.with_source(now, out, |source, cx| source.handle(event, cx, tx))
    }

    /// What ended in the outboxes and beside them, from `from` on; whether there is more.
    pub(super) fn sweep_federation<S: Store + ?Sized>(
        &mut self,
        (from, now): (Timestamp, Timestamp),
        budget: usize,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<bool, StoreError> {
        let more = self.with_source(now, out, |source, cx| source.sweep(from, budget, cx, tx))?;
        let swept = federation::sweep(tx, from, now, budget)?;
        self.metrics.answers_expired += swept.expired;
        if swept.keys {
            self.arrivals.keys_changed();
        }
        Ok(more || swept.more)
    }

    /// Takes a parcel for another relay. The answer goes out here, before what follows from the forward.
    #[expect(clippy::too_many_arguments, reason = "a request, who asks, and where it is looked up")]
    pub(super) fn forward<S: Store + ?Sized>(
        &mut self,
        conn: ConnId,
        device: DeviceId,
        request: u64,
        asked: wire::Forward,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<(), Failed> {
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.forwards.take().map_err(|wait| too_fast("forwards_per_minute", wait))?;
        }
        let destination = self.other_relay(asked.destination)?;
        let owner = Owner::of(&device);
        if owner::holdings(tx, owner.as_bytes())?.mailboxes == 0 {
            return Err(Refused::new(RefusalCode::Closed, "this relay forwards for its own mailboxes").into());
        }
        let parcel = Parcel::read(&asked.parcel)?;
        let handed = Handed { conn, owner, destination, bytes: alone(&asked.parcel), parcel };
        let waiting = self.with_source(now, out, |source, cx| source.take(&handed, cx, tx))?;
        let notice = Some(waiting.sign(&self.key).to_wire());
        send(conn, request, Body::Waiting(wire::Waiting { notice }), out);
        self.with_source(now, out, |source, cx| source.taken(&handed, cx, tx))?;
        Ok(())
    }

    /// Another relay that a device names, if this one has to do with it.
    fn other_relay(&self, named: Option<wire::RelayAddress>) -> Result<RelayAddress, Failed> {
        let named = named.ok_or_else(|| Malformed::new("forward", "no relay is named"))?;
        let relay = RelayAddress::from_wire(named)?;
        if relay.addresses.len() > FORWARD_ADDRESSES_MAX {
            return Err(Refused::malformed("1 to 4 addresses are allowed").into());
        }
        if relay.relay == self.id {
            return Err(Refused::malformed("this is that relay: publish to it").into());
        }
        if !self.arrivals.allows(&relay.relay) {
            return Err(Refused::new(RefusalCode::Closed, "this relay does not forward to that one").into());
        }
        Ok(relay)
    }

    pub(super) fn forwards_taken<S: Store + ?Sized>(
        &mut self,
        conn: ConnId,
        device: DeviceId,
        asked: &wire::ForwardsTaken,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<(), Failed> {
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.taken.take().map_err(|wait| too_fast("forwards_per_minute", wait))?;
        }
        if asked.forward_ids.len() > FORWARDS_TAKEN_MAX {
            return Err(Refused::limit(format!("ids: {FORWARDS_TAKEN_MAX}")).into());
        }
        let ids = asked.forward_ids.iter().map(|id| PublishId::from_slice(id));
        let event = Event::Taken { owner: Owner::of(&device), forwards: ids.collect::<Result<_, _>>()? };
        Ok(self.federation(event, now, tx, out)?)
    }

    /// This relay's own routing key, for anybody; another's, for the devices that live here.
    pub(super) fn routing_key<S: Store + ?Sized>(
        &mut self,
        device: DeviceId,
        asked: wire::GetRoutingKey,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<wire::RoutingKeyAnswer, Failed> {
        if self.is_own(&asked) {
            return self.own_routing_key(now, tx);
        }
        let relay = self.other_relay(asked.relay)?;
        let owner = Owner::of(&device);
        if owner::holdings(tx, owner.as_bytes())?.mailboxes == 0 {
            return Err(Refused::new(RefusalCode::Closed, "this relay asks for its own mailboxes").into());
        }
        self.with_source(now, out, |source, cx| source.routing_key(relay, owner, cx, tx))
    }

    /// Where another relay is, by its own word, for the devices that live here. One that is not known is sought, where that
    /// can be: then the device comes again.
    pub(super) fn find_relay<S: Store + ?Sized>(
        &mut self,
        device: DeviceId,
        asked: &wire::FindRelay,
        now: Timestamp,
        tx: &Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<wire::RelayAt, Failed> {
        let (relay, owner) = (RelayId::from_slice(&asked.relay)?, Owner::of(&device));
        if owner::holdings(tx, owner.as_bytes())?.mailboxes == 0 {
            return Err(Refused::new(RefusalCode::Closed, "this relay asks for its own mailboxes").into());
        }
        let unknown = || Refused::new(RefusalCode::Unknown, "it is not known where that relay is");
        if !self.arrivals.allows(&relay) {
            return Err(unknown().into());
        }
        let record = self.source.record_of(&relay, now);
        if record.is_none() && self.with_source(now, out, |source, cx| source.seek(&relay, Some(owner), cx)) {
            return Err(Refused::retry_after("the other relay is looked for", SEEK_WAIT_MS).into());
        }
        Ok(wire::RelayAt { record: Some(record.ok_or_else(unknown)?) })
    }

    /// Whether this relay is asked for its own key.
    pub(super) fn is_own(&self, asked: &wire::GetRoutingKey) -> bool {
        asked.relay.as_ref().is_none_or(|relay| relay.relay == self.id.as_bytes().as_slice())
    }

    pub(super) fn own_routing_key<S: Store + ?Sized>(
        &mut self,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
    ) -> Result<wire::RoutingKeyAnswer, Failed> {
        let (key, is_new) = federation::own_key(tx, &self.key, &self.limits, &mut *self.rng, now)?;
        if is_new {
            self.arrivals.keys_changed();
        }
        Ok(wire::RoutingKeyAnswer { key: Some(key.signed.to_wire()) })
    }

    /// How it stands with other relays: those that the most waits for, at most `limit`.
    pub fn destinations<S: Store + ?Sized>(
        &self,
        tx: &Overlay<'_, S>,
        limit: usize,
    ) -> Result<Vec<DestinationHealth>, StoreError> {
        self.source.health(tx, limit)
    }
}
