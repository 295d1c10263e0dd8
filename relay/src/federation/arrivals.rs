//! What other relays bring: who may, how much, and who is to get it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use undertone_protocol::federation::{
    CircuitError, CircuitKeys, ENC_BYTES, Parcel, RoutingKeyId, RoutingSecret,
};
use undertone_protocol::ids::RelayId;
use undertone_protocol::limits::FORWARD_AGE_MAX;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, DeclinedCode};

use super::{Policy, keys};
use crate::admission::{Rate, RateClock, TooFast};
use crate::frames::alone;
use crate::limits::Limits;
use crate::store::{Overlay, Store, StoreError};

/// Circuits whose keys are held in memory: each spares a computation for every further parcel.
const CIRCUITS_MAX: usize = 4_096;
/// How far a sender's clock may be ahead of this relay's.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(600);

type CircuitId = (RoutingKeyId, [u8; ENC_BYTES]);

/// What is known of the relays that bring parcels, and of circuits. Memory only.
#[derive(Debug)]
pub(crate) struct Arrivals {
    policy: Policy,
    clock: RateClock,
    /// This relay's routing keys, once they were read: whoever names an unknown one costs no more than a look.
    secrets: Option<BTreeMap<RoutingKeyId, RoutingSecret>>,
    sources: BTreeMap<RelayId, SourceRates>,
    circuits: BTreeMap<CircuitId, (u64, CircuitKeys)>,
    /// The circuits by when they were last used.
    used: BTreeMap<u64, CircuitId>,
    uses: u64,
}

#[derive(Debug)]
struct SourceRates {
    parcels: Rate,
    bytes: Rate,
}

/// A parcel, and who is to get its items.
pub(crate) struct Opened {
    pub(crate) parcel: Parcel,
    pub(crate) routes: Vec<Vec<wire::Recipient>>,
    pub(crate) keys: CircuitKeys,
}

/// How a parcel that came is to be answered.
pub(crate) enum Arrived {
    /// As before.
    Again(wire::Forwarded),
    /// Once it is decided.
    New(Box<Opened>),
    /// It is not decided.
    Declined(wire::Declined),
}

impl Arrivals {
    pub(crate) fn new(clock: RateClock) -> Self {
        Self {
            policy: Policy::default(),
            clock,
            secrets: None,
            sources: BTreeMap::new(),
            circuits: BTreeMap::new(),
            used: BTreeMap::new(),
            uses: 0,
        }
    }

    pub(crate) fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// A routing key was made, or forgotten.
    pub(crate) fn keys_changed(&mut self) {
        self.secrets = None;
    }

    pub(crate) const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Whether this relay has to do with another one.
    pub(crate) fn allows(&self, relay: &RelayId) -> bool {
        self.policy.allows(relay)
    }

    /// Opens what another relay brought.
    pub(crate) fn open<S: Store + ?Sized>(
        &mut self,
        from: &RelayId,
        own: &RelayId,
        bytes: &Bytes,
        limits: &Limits,
        now: Timestamp,
        tx: &Overlay<'_, S>,
    ) -> Result<Arrived, StoreError> {
        let declined = |code| Ok(Arrived::Declined(declined(bytes, code, 0)));
        if !self.allows(from) {
            return declined(DeclinedCode::Refused);
        }
        if let Err(wait) = self.charge(from, bytes.len(), limits) {
            return Ok(Arrived::Declined(self::declined(
                bytes,
                DeclinedCode::RetryAfter,
                wait.retry_after_ms,
            )));
        }
        let Ok(parcel) = Parcel::read(bytes) else { return declined(DeclinedCode::Malformed) };
        if parcel.not_after <= now {
            return declined(DeclinedCode::Ended);
        }
        if parcel.not_after > now.after(FORWARD_AGE_MAX).after(CLOCK_SKEW_MAX) {
            return declined(DeclinedCode::Malformed);
        }
        if let Some(answer) = super::decided(tx, &parcel.place())? {
            return Ok(Arrived::Again(answer));
        }
        let Some(keys) = self.circuit(&parcel, own, tx)? else { return declined(DeclinedCode::Key) };
        match keys.open_route(&parcel) {
            Ok(routes) => Ok(Arrived::New(Box::new(Opened { parcel, routes, keys }))),
            Err(CircuitError::Malformed(_)) => declined(DeclinedCode::Malformed),
            Err(_) => declined(DeclinedCode::Key),
        }
    }

    /// The keys of a parcel's circuit, if its routing key is one of this relay's.
    fn circuit<S: Store + ?Sized>(
        &mut self,
        parcel: &Parcel,
        own: &RelayId,
        tx: &Overlay<'_, S>,
    ) -> Result<Option<CircuitKeys>, StoreError> {
        let id = (parcel.routing_key, parcel.enc);
        self.uses += 1;
        if let Some((used, keys)) = self.circuits.get_mut(&id) {
            self.used.remove(used);
            *used = self.uses;
            self.used.insert(self.uses, id);
            return Ok(Some(keys.clone()));
        }
        if self.secrets.is_none() {
            self.secrets = Some(keys::secrets(tx)?);
        }
        let secret = self.secrets.as_ref().and_then(|secrets| secrets.get(&parcel.routing_key));
        let Some(Ok(keys)) = secret.map(|secret| CircuitKeys::receive(secret, own, &parcel.enc)) else {
            return Ok(None);
        };
        if self.circuits.len() >= CIRCUITS_MAX
            && let Some((_, oldest)) = self.used.pop_first()
        {
            self.circuits.remove(&oldest);
        }
        self.circuits.insert(id, (self.uses, keys.clone()));
        self.used.insert(self.uses, id);
        Ok(Some(keys))
    }

    fn charge(&mut self, from: &RelayId, bytes: usize, limits: &Limits) -> Result<(), TooFast> {
        if !self.sources.contains_key(from) && self.sources.len() >= limits.sources_max {
            self.forget_replenished();
            self.make_room(limits.sources_max);
        }
        let rates = self.sources.entry(*from).or_insert_with(|| SourceRates {
            parcels: Rate::per_minute(&self.clock, limits.source_parcels_per_minute),
            bytes: Rate::per_minute(&self.clock, limits.source_bytes_per_minute),
        });
        rates.parcels.take()?;
        rates.bytes.take_many(u32::try_from(bytes).unwrap_or(u32::MAX))
    }

    /// Makes room for one more at the cost of the one that brought nothing for longest: keys cost nothing, so whoever has
    /// many keeps nobody out.
    fn make_room(&mut self, sources_max: usize) {
        if self.sources.len() >= sources_max {
            let first = self.sources.iter().min_by_key(|(_, rates)| rates.parcels.asked_at());
            let first = first.map(|(relay, _)| *relay);
            first.map(|first| self.sources.remove(&first));
        }
    }

    /// Forgets every limiter that is as good as new.
    pub(crate) fn forget_replenished(&mut self) {
        self.sources.retain(|_, rates| !rates.parcels.is_replenished());
    }
}

/// Names the parcel, if it can be read at all.
pub(crate) fn declined(bytes: &Bytes, code: DeclinedCode, retry_after_ms: u64) -> wire::Declined {
    let parcel = wire::Parcel::decode(bytes.clone()).unwrap_or_default();
    let is_id = parcel.forward_id.len() == undertone_protocol::ids::PublishId::LEN;
    let forward_id = if is_id { alone(&parcel.forward_id) } else { Bytes::new() };
    wire::Declined { forward_id, code: code.into(), retry_after_ms }
}
