use bytes::Bytes;
use prost::Message;

use crate::codec::{Malformed, decode};
use crate::federation::RoutingKeyId;
use crate::ids::{PayloadHash, PublishId};
use crate::limits::{
    PARCEL_BYTES_MAX, PAYLOAD_BYTES_MAX, PROTOCOL_VERSION, PUBLISH_ITEMS_MAX, PUBLISH_PAYLOAD_BYTES_MAX,
    PUBLISH_RECIPIENTS_MAX, SUITE,
};
use crate::time::Timestamp;
use crate::wire;

/// Bytes of an X25519 encapsulation.
pub const ENC_BYTES: usize = 32;

/// What stands behind a label: 0x00, version, suite.
pub(super) const VERSION_AND_SUITE: [u8; 3] = {
    let [.., version] = PROTOCOL_VERSION.to_be_bytes();
    [0, version, SUITE]
};

const WHAT: &str = "parcel";
const PARCEL: &[u8] = b"undertone v1 parcel";
const PLACE: &str = "undertone v1 place of a parcel";

/// What is to be sealed into a parcel.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// The publish id that the proofs were made for.
    pub forward_id: PublishId,
    /// Nobody delivers it after this; at most `FORWARD_AGE_MAX` ahead.
    pub not_after: Timestamp,
    /// 1 to `PUBLISH_ITEMS_MAX` payloads.
    pub items: Vec<OutgoingItem>,
}

/// A payload and who gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct OutgoingItem {
    /// At least one byte.
    pub payload: Bytes,
    /// 0 or 1.
    pub class: u8,
    /// No longer than this.
    pub expiry: Timestamp,
    /// 1 to `PUBLISH_RECIPIENTS_MAX`, as in a publish.
    pub recipients: Vec<wire::Recipient>,
}

/// A parcel as both relays read it, form checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    /// What its answers name it by: the publish id of its proofs and its receipt.
    pub forward_id: PublishId,
    /// Which of the destination's keys its circuit was made with.
    pub routing_key: RoutingKeyId,
    /// The circuit.
    pub enc: [u8; ENC_BYTES],
    /// The number in the circuit: the route's nonce.
    pub counter: u64,
    /// Nobody delivers it after this.
    pub not_after: Timestamp,
    /// The sealed route.
    pub route: Bytes,
    /// 1 to `PUBLISH_ITEMS_MAX`.
    pub items: Vec<ParcelItem>,
}

/// A payload in a parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParcelItem {
    /// At least one byte.
    pub payload: Bytes,
    /// Its hash.
    pub hash: PayloadHash,
    /// 0 or 1: what is not kept is not forwarded.
    pub class: u8,
    /// No longer than this.
    pub expiry: Timestamp,
}

impl ParcelItem {
    pub(super) fn new(payload: Bytes, class: u8, expiry: Timestamp) -> Self {
        Self { hash: PayloadHash::of(&payload), payload, class, expiry }
    }
}

impl Parcel {
    /// Checks the form of the exact bytes.
    pub fn read(bytes: &Bytes) -> Result<Self, Malformed> {
        let parcel: wire::Parcel = decode(WHAT, bytes, PARCEL_BYTES_MAX)?;
        let items: Vec<ParcelItem> = parcel.items.into_iter().map(item).collect::<Result<_, _>>()?;
        let total: usize = items.iter().map(|item| item.payload.len()).sum();
        if items.is_empty() || items.len() > PUBLISH_ITEMS_MAX || total > PUBLISH_PAYLOAD_BYTES_MAX {
            return Err(Malformed::new(WHAT, "1 to 16 items of at most 160 KiB together are allowed"));
        }
        Ok(Self {
            forward_id: PublishId::from_slice(&parcel.forward_id)?,
            routing_key: array(&parcel.routing_key)?,
            enc: array(&parcel.enc)?,
            counter: parcel.counter,
            not_after: Timestamp::from_ms(parcel.not_after_ms),
            route: parcel.route,
            items,
        })
    }

    /// For the wire.
    pub fn encode(&self) -> Bytes {
        let item = |item: &ParcelItem| wire::ParcelItem {
            payload: item.payload.clone(),
            class: u32::from(item.class),
            expiry_ms: item.expiry.as_ms(),
        };
        let parcel = wire::Parcel {
            forward_id: self.forward_id.to_wire(),
            routing_key: Bytes::copy_from_slice(&self.routing_key),
            enc: Bytes::copy_from_slice(&self.enc),
            counter: self.counter,
            not_after_ms: self.not_after.as_ms(),
            route: self.route.clone(),
            items: self.items.iter().map(item).collect(),
        };
        parcel.encode_to_vec().into()
    }

    /// BLAKE3-derive(label, enc ‖ counter ‖ forward id): a route that opens is of one place, whoever brings it. So what
    /// is remembered under it finds every replay, and nobody takes the place of another's parcel.
    pub fn place(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key(PLACE);
        hasher.update(&self.enc).update(&self.counter.to_be_bytes()).update(self.forward_id.as_bytes());
        *hasher.finalize().as_bytes()
    }

    /// What the sealed route is bound to: all of the parcel that both relays see.
    pub(super) fn associated_data(&self) -> Vec<u8> {
        let mut data = PARCEL.to_vec();
        data.extend_from_slice(&VERSION_AND_SUITE);
        data.extend_from_slice(self.forward_id.as_bytes());
        data.extend_from_slice(&self.not_after.as_ms().to_be_bytes());
        for item in &self.items {
            data.extend_from_slice(item.hash.as_bytes());
            data.push(item.class);
            data.extend_from_slice(&item.expiry.as_ms().to_be_bytes());
        }
        data
    }
}

fn item(item: wire::ParcelItem) -> Result<ParcelItem, Malformed> {
    if item.payload.is_empty() || item.payload.len() > PAYLOAD_BYTES_MAX {
        return Err(Malformed::new(WHAT, "a payload has 1 to 65,536 bytes"));
    }
    let class = u8::try_from(item.class).ok().filter(|class| *class <= 1);
    let class = class.ok_or_else(|| Malformed::new(WHAT, "only classes 0 and 1 are forwarded"))?;
    Ok(ParcelItem::new(item.payload, class, Timestamp::from_ms(item.expiry_ms)))
}

fn array<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Malformed> {
    bytes.try_into().map_err(|_| Malformed::new(WHAT, format!("a field of {} bytes, not {N}", bytes.len())))
}

/// The routes of a parcel's items, form checked.
pub(super) fn routes(opened: Vec<u8>, items: usize) -> Result<Vec<Vec<wire::Recipient>>, Malformed> {
    let opened: wire::ParcelRoute = decode("route", &opened.into(), PARCEL_BYTES_MAX)?;
    if opened.routes.len() != items {
        return Err(Malformed::new("route", "another number of routes than of items"));
    }
    let allowed = 1..=PUBLISH_RECIPIENTS_MAX;
    if opened.routes.iter().any(|route| !allowed.contains(&route.recipients.len())) {
        return Err(Malformed::new("route", "1 to 1,024 recipients are allowed"));
    }
    Ok(opened.routes.into_iter().map(|route| route.recipients).collect())
}
