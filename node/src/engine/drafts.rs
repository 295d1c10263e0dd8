//! What goes to one relay, cut into publishes. An item goes up once for all its recipients there, as long as payload and
//! route fit a frame: a message to a large group is a few uploads, not one for each member.

use prost::Message;
use prost::bytes::Bytes;
use undertone_protocol::ids::{DeviceId, PayloadHash, PublishId, RelayId};
use undertone_protocol::keys::DeliveryGrant;
use undertone_protocol::limits::{
    FRAME_BYTES_MAX, PARCEL_BYTES_MAX, PUBLISH_ITEMS_MAX, PUBLISH_PAYLOAD_BYTES_MAX, PUBLISH_RECIPIENTS_MAX,
};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::ProofInput;
use undertone_protocol::wire;

use crate::store::{PendingItem, Purpose, SentItem};

/// How much a publish may have.
pub(super) const PUBLISH_BYTES_MAX: usize = FRAME_BYTES_MAX;
/// How much a forward may have: its route is padded, by an eighth at most (Padmé).
pub(super) const FORWARD_BYTES_MAX: usize = PARCEL_BYTES_MAX / 9 * 8;
/// A frame without its items: request number, publish id, and the lengths around them.
const FRAME_BYTES: usize = 48;
/// An item without payload and recipients: class, expiry, and the lengths around all of it.
const ITEM_BYTES: usize = 40;
/// A recipient's own length.
const RECIPIENT_LENGTH_BYTES: usize = 4;
/// Proofs all have this length.
const PROOF: &[u8] = &[0; 32];

/// An item with recipients that one relay serves.
pub(super) struct Draft {
    pub(super) outbox: u64,
    pub(super) group: u64,
    pub(super) purpose: Purpose,
    pub(super) created: Timestamp,
    pub(super) class: u8,
    pub(super) payload: Bytes,
    pub(super) recipients: Vec<Recipient>,
}

/// A recipient with the way there.
pub(super) struct Recipient {
    pub(super) device: DeviceId,
    pub(super) grant: DeliveryGrant,
    /// Whether there are others.
    pub(super) has_others: bool,
    /// How much of a frame it takes.
    bytes: usize,
}

impl Recipient {
    pub(super) fn new(device: DeviceId, grant: DeliveryGrant, has_others: bool) -> Self {
        let recipient = wire::Recipient {
            mailbox: grant.mailbox.mailbox.to_wire(),
            epoch: grant.mailbox.epoch,
            path: grant.token.path().iter().map(|step| step.to_wire()).collect(),
            proof: Bytes::from_static(PROOF),
        };
        Self { device, grant, has_others, bytes: RECIPIENT_LENGTH_BYTES + recipient.encoded_len() }
    }
}

/// A draft with the proofs for one publish or forward.
pub(super) struct Proved {
    /// What its answer is about.
    pub(super) sent: SentItem,
    pub(super) payload: Bytes,
    pub(super) class: u8,
    pub(super) route: Vec<wire::Recipient>,
}

impl Draft {
    /// Proves that this device may deliver it, under this id, to this relay, to be kept no longer than this.
    pub(super) fn prove(self, publish_id: PublishId, relay: RelayId, expiry: Timestamp) -> Proved {
        let Self { outbox, payload, class, recipients, .. } = self;
        let payload_hash = PayloadHash::of(&payload);
        let input = ProofInput { publish_id, payload_hash, relay, expiry };
        let route = recipients.iter().map(|recipient| prove(&recipient.grant, &input)).collect();
        let used = recipients.into_iter().map(|recipient| (recipient.device, recipient.grant.token));
        let (devices, tokens) = used.unzip();
        Proved { sent: SentItem { outbox, payload_hash, devices, tokens }, payload, class, route }
    }

    pub(super) fn new(item: &PendingItem, recipients: Vec<Recipient>) -> Self {
        let PendingItem { id, group, purpose, class, created, .. } = *item;
        Self { outbox: id, group, purpose, created, class, payload: item.payload.clone(), recipients }
    }

    fn load(&self) -> Load {
        let routes = self.recipients.iter().map(|recipient| recipient.bytes).sum();
        Load::of_item(self.payload.len()).and(Load { route_bytes: routes, ..Load::default() })
    }

    /// In parts, each of which fits a publish of its own; one if it fits as it is.
    fn cut(mut self, bytes_max: usize) -> Vec<Self> {
        let item = Load::of_item(self.payload.len());
        let mut parts = Vec::new();
        let mut load = item;
        let mut part = Vec::new();
        for recipient in std::mem::take(&mut self.recipients) {
            let with = load.and(Load { route_bytes: recipient.bytes, ..Load::default() });
            if !part.is_empty() && (part.len() == PUBLISH_RECIPIENTS_MAX || !with.fits(bytes_max)) {
                parts.push(self.part(std::mem::take(&mut part)));
                load = item;
            }
            load = load.and(Load { route_bytes: recipient.bytes, ..Load::default() });
            part.push(recipient);
        }
        parts.push(self.part(part));
        parts
    }

    fn part(&self, recipients: Vec<Recipient>) -> Self {
        let Self { outbox, group, purpose, created, class, .. } = *self;
        Self { outbox, group, purpose, created, class, payload: self.payload.clone(), recipients }
    }
}

fn prove(grant: &DeliveryGrant, input: &ProofInput) -> wire::Recipient {
    grant.token.prove(input).to_recipient(grant.mailbox.mailbox, grant.mailbox.epoch, grant.token.path())
}

/// How much of a publish something takes.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    items: usize,
    payload_bytes: usize,
    route_bytes: usize,
}

impl Load {
    const fn of_item(payload_bytes: usize) -> Self {
        Self { items: 1, payload_bytes, route_bytes: 0 }
    }

    const fn and(self, other: Self) -> Self {
        Self {
            items: self.items + other.items,
            payload_bytes: self.payload_bytes + other.payload_bytes,
            route_bytes: self.route_bytes + other.route_bytes,
        }
    }

    const fn fits(self, bytes_max: usize) -> bool {
        let frame = FRAME_BYTES + self.items * ITEM_BYTES + self.payload_bytes + self.route_bytes;
        self.items <= PUBLISH_ITEMS_MAX
            && self.payload_bytes <= PUBLISH_PAYLOAD_BYTES_MAX
            && frame <= bytes_max
    }
}

/// Cuts the items for one relay into publishes within the limits, of at most so many bytes. A group stays together if one publish takes it; a
/// larger one is cut, and so are the recipients of an item that are too many for one: the order still holds.
pub(super) fn publishes(drafts: Vec<Draft>, bytes_max: usize) -> Vec<Vec<Draft>> {
    let mut publishes = Publishes { bytes_max, done: Vec::new(), current: Vec::new(), load: Load::default() };
    let mut drafts = drafts.into_iter().peekable();
    while let Some(first) = drafts.next() {
        let group = first.group;
        let mut together = first.cut(bytes_max);
        while let Some(next) = drafts.next_if(|draft| draft.group == group) {
            together.extend(next.cut(bytes_max));
        }
        let load = together.iter().fold(Load::default(), |load, draft| load.and(draft.load()));
        if !publishes.load.and(load).fits(bytes_max) {
            publishes.end();
        }
        for draft in together {
            publishes.add(draft);
        }
    }
    publishes.end();
    publishes.done
}

struct Publishes {
    bytes_max: usize,
    done: Vec<Vec<Draft>>,
    current: Vec<Draft>,
    load: Load,
}

impl Publishes {
    fn add(&mut self, draft: Draft) {
        let load = draft.load();
        if !self.load.and(load).fits(self.bytes_max) {
            self.end();
        }
        self.load = self.load.and(load);
        self.current.push(draft);
    }

    fn end(&mut self) {
        if !self.current.is_empty() {
            self.done.push(std::mem::take(&mut self.current));
        }
        self.load = Load::default();
    }
}

#[cfg(test)]
mod tests;
