//! What waits for other relays: for each destination a queue of parcels, in the order in which they came.

use bytes::Bytes;
use prost::Message;
use undertone_protocol::ids::{PublishId, RelayId};
use undertone_protocol::limits::RELAY_ADDRESSES_MAX;
use undertone_protocol::time::Timestamp;

use crate::answer::{Failed, Refused};
use crate::limits::Limits;
use crate::store::owner::{self, Owner};
use crate::store::table::{self, Key, KeyReader, Table};
use crate::store::usage::{self, DESTINATION_DISK_BYTES, FORWARD_DISK_BYTES};
use crate::store::{Overlay, Store, StoreError};

const WHAT: &str = "forward";

/// Another relay that something waits for.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Destination {
    /// Where it is, the newest first.
    #[prost(string, repeated, tag = "1")]
    pub(super) addresses: Vec<String>,
    /// The last number that was given.
    #[prost(uint64, tag = "2")]
    pub(super) last: u64,
    /// Forwards that wait.
    #[prost(uint64, tag = "3")]
    pub(super) forwards: u64,
    /// Bytes of their parcels.
    #[prost(uint64, tag = "4")]
    pub(super) bytes: u64,
    /// Whose forward was the first; empty where an earlier build wrote it.
    #[prost(bytes = "bytes", tag = "5")]
    first: Bytes,
}

/// A forward that waits.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct Forward {
    #[prost(bytes = "bytes", tag = "1")]
    relay: Bytes,
    /// Its place in the queue.
    #[prost(uint64, tag = "2")]
    pub(super) number: u64,
    #[prost(bytes = "bytes", tag = "3")]
    owner: Bytes,
    /// It is given up then.
    #[prost(uint64, tag = "4")]
    until_ms: u64,
    /// How often it was carried without an answer.
    #[prost(uint32, tag = "5")]
    pub(super) attempts: u32,
    /// Bytes of its parcel.
    #[prost(uint32, tag = "6")]
    pub(super) size: u32,
}

impl Forward {
    pub(super) fn is_for(&self, relay: &RelayId) -> bool {
        self.relay == relay.as_bytes().as_slice()
    }

    pub(super) fn relay(&self) -> Result<RelayId, StoreError> {
        RelayId::from_slice(&self.relay).map_err(|_| StoreError::Corrupt { what: WHAT })
    }

    pub(super) fn owner(&self) -> Result<Owner, StoreError> {
        let bytes = self.owner.as_ref().try_into().map_err(|_| StoreError::Corrupt { what: WHAT })?;
        Ok(Owner::stored(bytes))
    }

    pub(super) fn until(&self) -> Timestamp {
        Timestamp::from_ms(self.until_ms)
    }
}

fn destination_key(relay: &RelayId) -> Key {
    Table::Destination.key().part(relay.as_bytes())
}

fn place_key(relay: &RelayId, number: u64) -> Key {
    Table::Outbox.key().part(relay.as_bytes()).u64(number)
}

fn forward_key(id: &PublishId) -> Key {
    Table::Forward.key().part(id.as_bytes())
}

fn parcel_key(id: &PublishId) -> Key {
    Table::Parcel.key().part(id.as_bytes())
}

fn end_key(until: Timestamp, id: &PublishId) -> Key {
    Table::ForwardEnd.key().u64(until.as_ms()).part(id.as_bytes())
}

/// A destination's record; `None` when nothing waits for it.
pub(super) fn destination<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    relay: &RelayId,
) -> Result<Option<Destination>, StoreError> {
    tx.read("destination", &destination_key(relay))
}

/// All that something waits for: as many as were admitted, by this limit or an earlier one.
pub(super) fn destinations<S: Store + ?Sized>(tx: &Overlay<'_, S>) -> Result<Vec<RelayId>, StoreError> {
    let table = Table::Destination.key();
    let found = tx.range(table.as_ref(), table.after_prefix().as_ref(), usize::MAX)?;
    found.into_iter().map(|(key, _)| Ok(RelayId::new(KeyReader::new("destination", &key).part()?))).collect()
}

/// A forward that waits.
pub(super) fn forward<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    id: &PublishId,
) -> Result<Option<Forward>, StoreError> {
    tx.read(WHAT, &forward_key(id))
}

/// What is to be put in.
pub(super) struct New<'a> {
    pub(super) id: PublishId,
    pub(super) relay: RelayId,
    pub(super) addresses: &'a [String],
    pub(super) owner: Owner,
    pub(super) until: Timestamp,
    pub(super) parcel: Bytes,
}

/// Puts a forward at the end of its destination's queue, if the limits have room for it.
pub(super) fn add<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    new: New<'_>,
    limits: &Limits,
) -> Result<(), Failed> {
    let owner = Bytes::copy_from_slice(new.owner.as_bytes());
    let known = destination(tx, &new.relay)?;
    let is_first = known.is_none();
    let more = if is_first { DESTINATION_DISK_BYTES } else { 0 };
    let mut record = known.unwrap_or_else(|| Destination { first: owner.clone(), ..Destination::default() });
    let size = u32::try_from(new.parcel.len()).unwrap_or(u32::MAX);
    let bytes = record.bytes.saturating_add(u64::from(size));
    let wait = limits.full_retry_after_ms;
    let holdings = owner::holdings(tx, new.owner.as_bytes())?;
    if is_first && holdings.destinations >= limits.destinations_per_device_max {
        return Err(Refused::retry_after("destinations_per_device_max", wait).into());
    }
    if record.forwards >= limits.destination_forwards_max {
        return Err(Refused::retry_after("destination_forwards_max", wait).into());
    }
    if bytes > limits.destination_bytes_max {
        return Err(Refused::retry_after("destination_bytes_max", wait).into());
    }
    let disk = FORWARD_DISK_BYTES + u64::from(size) + more;
    if !usage::take(tx, disk, limits.disk_bytes_max)? {
        return Err(Refused::disk_full(wait).into());
    }
    let mut addresses = new.addresses.to_vec();
    addresses.extend(record.addresses.into_iter().filter(|old| !new.addresses.contains(old)));
    addresses.truncate(RELAY_ADDRESSES_MAX);
    record = Destination { addresses, last: record.last + 1, forwards: record.forwards + 1, bytes, ..record };
    let forward = Forward {
        relay: new.relay.to_wire(),
        number: record.last,
        owner,
        until_ms: new.until.as_ms(),
        attempts: 0,
        size,
    };
    owner::change(tx, new.owner.as_bytes(), |holdings| {
        holdings.forwards += 1;
        holdings.destinations += u32::from(is_first);
    })?;
    tx.write(destination_key(&new.relay), &record);
    tx.put(place_key(&new.relay, forward.number), new.id.to_wire());
    tx.put(parcel_key(&new.id), new.parcel);
    tx.write(forward_key(&new.id), &forward);
    tx.put(end_key(new.until, &new.id), Bytes::new());
    Ok(())
}

/// At most `limit` forwards for a destination from this place on.
pub(super) fn next<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    relay: &RelayId,
    from: u64,
    limit: usize,
) -> Result<Vec<(u64, PublishId)>, StoreError> {
    let (from, to) = (place_key(relay, from), Table::Outbox.key().part(relay.as_bytes()).after_prefix());
    let found = tx.range(from.as_ref(), to.as_ref(), limit)?;
    let places = found.into_iter().map(|(key, id)| {
        let corrupt = StoreError::Corrupt { what: "place in an outbox" };
        let Some(number) = key.last_chunk() else { return Err(corrupt) };
        let id = PublishId::from_slice(&id).map_err(|_| corrupt)?;
        Ok((u64::from_be_bytes(*number), id))
    });
    places.collect()
}

/// The exact bytes of a forward's parcel.
pub(super) fn parcel<S: Store + ?Sized>(tx: &Overlay<'_, S>, id: &PublishId) -> Result<Bytes, StoreError> {
    tx.get(parcel_key(id).as_ref())?.ok_or(StoreError::Corrupt { what: "parcel" })
}

/// It was carried in vain: it goes behind those that were not, so that one that brings its destination down holds up
/// nothing else.
pub(super) fn put_back<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    id: &PublishId,
    mut forward: Forward,
) -> Result<(), StoreError> {
    let relay = forward.relay()?;
    let mut record = destination(tx, &relay)?.ok_or(StoreError::Corrupt { what: "destination" })?;
    tx.delete(place_key(&relay, forward.number));
    record.last += 1;
    forward.number = record.last;
    tx.put(place_key(&relay, forward.number), id.to_wire());
    tx.write(forward_key(id), &forward);
    tx.write(destination_key(&relay), &record);
    Ok(())
}

/// Takes a forward out; its device's holdings are the caller's to change. Whether it was the last for its destination.
pub(super) fn remove<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    id: &PublishId,
    forward: &Forward,
) -> Result<bool, StoreError> {
    let relay = forward.relay()?;
    tx.delete(place_key(&relay, forward.number));
    tx.delete(parcel_key(id));
    tx.delete(forward_key(id));
    tx.delete(end_key(forward.until(), id));
    let mut less = FORWARD_DISK_BYTES + u64::from(forward.size);
    let mut record = destination(tx, &relay)?.ok_or(StoreError::Corrupt { what: "destination" })?;
    record.forwards = record.forwards.saturating_sub(1);
    record.bytes = record.bytes.saturating_sub(u64::from(forward.size));
    let is_last = record.forwards == 0;
    if is_last {
        less += DESTINATION_DISK_BYTES;
        tx.delete(destination_key(&relay));
        if !record.first.is_empty() {
            owner::change(tx, &record.first, |holdings| {
                holdings.destinations = holdings.destinations.saturating_sub(1);
            })?;
        }
    } else {
        tx.write(destination_key(&relay), &record);
    }
    usage::release(tx, less)?;
    Ok(is_last)
}

/// At most `limit` forwards whose time is over, from those on that ended at `from`.
pub(super) fn ended<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    from: Timestamp,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<PublishId>, StoreError> {
    let ids = table::due(tx, Table::ForwardEnd, from, now, limit)?.into_iter().map(|key| {
        let mut parts = KeyReader::new("end of a forward", &key);
        parts.u64()?;
        Ok(PublishId::new(parts.part()?))
    });
    ids.collect()
}
