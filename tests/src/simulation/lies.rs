//! A relay that misbehaves: what its machine sends goes out late, twice, in another order, or altered. What it signs and
//! stores is right all the same, so what must hold without it can be told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};
use undertone_protocol::codec::Signed;
use undertone_protocol::federation::Parcel;
use undertone_protocol::ids::{PayloadHash, PublishId, RelayId};
use undertone_protocol::receipts::{CustodyReceipt, Outcome};
use undertone_protocol::wire::{self, Frame, frame::Body};
use undertone_relay::core::ConnId;

use super::faults::{Faults, below, happens, one_in};

/// Deliveries on a connection that may come again.
const PAST_MAX: usize = 64;
/// Signed or sealed bytes that may take the place of others.
const SPARE_MAX: usize = 64;
/// How long something is kept back that comes before the relay behaves, in milliseconds.
const WITHHELD_MS_MAX: u64 = 600_000;
const SHUFFLED_MS_MAX: u64 = 60_000;
/// Tells the randomness of what is said of forwards from the rest.
const FORWARDS: u64 = 0x66_6f72_7761_7264;
/// 2030, in milliseconds since 1970: what a made-up receipt promises.
const HELD_UNTIL_MS: u64 = 1_893_456_000_000;

/// What the relay has in mind.
pub(super) struct Lies {
    rng: ChaCha20Rng,
    /// Of its own, so that it changes nothing in the worlds without such lies.
    of_forwards: ChaCha20Rng,
    past: BTreeMap<ConnId, VecDeque<Frame>>,
    spare: VecDeque<Bytes>,
    /// The same of what is said of forwards.
    past_of_forwards: BTreeMap<ConnId, VecDeque<Frame>>,
    spare_of_forwards: VecDeque<Bytes>,
    /// What is in the parcels that one relay carried to another.
    carried: BTreeMap<PublishId, Vec<PayloadHash>>,
    /// Payloads that its machine signed for, whatever became of the receipt.
    pub(super) vouched: BTreeSet<PayloadHash>,
    /// Payloads that reached somebody altered: the machine takes them for delivered.
    pub(super) spoilt: BTreeSet<PayloadHash>,
    pub(super) told: Told,
}

/// How often it lied.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Told {
    pub(super) withheld: u64,
    pub(super) replayed: u64,
    pub(super) shuffled: u64,
    pub(super) corrupted: u64,
    pub(super) of_forwards: u64,
}

/// A frame, and how much later than it should it goes out.
pub(super) type Late = (Duration, Frame);

impl Lies {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: ChaCha20Rng::seed_from_u64(seed),
            of_forwards: ChaCha20Rng::seed_from_u64(seed ^ FORWARDS),
            past: BTreeMap::new(),
            spare: VecDeque::new(),
            past_of_forwards: BTreeMap::new(),
            spare_of_forwards: VecDeque::new(),
            carried: BTreeMap::new(),
            vouched: BTreeSet::new(),
            spoilt: BTreeSet::new(),
            told: Told::default(),
        }
    }

    /// What its machine signs for. What it answers to a forward is sealed: then it is all that it was for.
    pub(super) fn witness(&mut self, relay: &RelayId, frame: &Frame) {
        match &frame.body {
            Some(Body::Carry(carry)) => {
                let parcels = carry.parcels.iter().filter_map(|bytes| Parcel::read(bytes).ok());
                let of = |parcel: Parcel| parcel.items.iter().map(|item| item.hash).collect();
                self.carried.extend(parcels.map(|parcel| (parcel.forward_id, of(parcel))));
            }
            Some(Body::Forwarded(answer)) => {
                let id = PublishId::from_slice(&answer.forward_id).ok();
                self.vouched.extend(id.and_then(|id| self.carried.get(&id)).into_iter().flatten());
            }
            _ => {}
        }
        let Some(Body::Published(wire::Published { receipt: Some(receipt) })) = &frame.body else { return };
        let receipt = Signed::from_wire(receipt.clone()).ok();
        let Some(receipt) = receipt.and_then(|signed| CustodyReceipt::verify(&signed, relay).ok()) else {
            return;
        };
        let holds = |outcome: &Outcome| {
            matches!(outcome, Outcome::Stored { .. } | Outcome::Duplicate { .. } | Outcome::Acknowledged)
        };
        let items = receipt.items.into_iter().filter(|item| item.recipients.iter().any(holds));
        self.vouched.extend(items.map(|item| item.payload_hash));
    }

    /// What goes out in the place of a frame: now, and later.
    pub(super) fn instead(
        &mut self,
        conn: ConnId,
        frame: Frame,
        faults: &Faults,
    ) -> (Option<Frame>, Vec<Late>) {
        if !faults.has_lies() {
            return (Some(frame), Vec::new());
        }
        let mut late = Vec::new();
        if happens(&mut self.rng, faults.corrupt)
            && let Some(altered) = self.altered(&frame)
        {
            self.told.corrupted += 1;
            if let Some(Body::Deliver(deliver)) = &frame.body {
                self.spoilt.insert(PayloadHash::of(&deliver.payload));
            }
            return (Some(altered), late);
        }
        self.remember(&frame);
        if !matches!(frame.body, Some(Body::Deliver(_))) {
            return self.instead_of_forward(conn, frame, faults);
        }
        if happens(&mut self.rng, faults.replay) {
            late.extend(self.again(conn));
        }
        let past = self.past.entry(conn).or_default();
        past.push_back(frame.clone());
        past.drain(..past.len().saturating_sub(PAST_MAX));
        if happens(&mut self.rng, faults.withhold) {
            self.told.withheld += 1;
            // Else it comes when the connection is made anew.
            if one_in(&mut self.rng, 2) {
                late.push((within(&mut self.rng, WITHHELD_MS_MAX), frame));
            }
            return (None, late);
        }
        if happens(&mut self.rng, faults.shuffle) {
            self.told.shuffled += 1;
            late.push((within(&mut self.rng, SHUFFLED_MS_MAX), frame));
            return (None, late);
        }
        (Some(frame), late)
    }

    /// The same of what is said to another relay, or to a device of what it handed in for one.
    pub(super) fn instead_of_forward(
        &mut self,
        conn: ConnId,
        mut frame: Frame,
        faults: &Faults,
    ) -> (Option<Frame>, Vec<Late>) {
        let is_of_forwards = !said_of_forwards(&mut frame).is_empty();
        if faults.forward_lies == 0 || !is_of_forwards {
            return (Some(frame), Vec::new());
        }
        let past = self.past_of_forwards.entry(conn).or_default();
        past.push_back(frame.clone());
        past.drain(..past.len().saturating_sub(PAST_MAX));
        let rng = &mut self.of_forwards;
        if !happens(rng, faults.forward_lies) {
            self.spare_of_forwards
                .extend(said_of_forwards(&mut frame).into_iter().map(|bytes| bytes.clone()));
            self.spare_of_forwards.drain(..self.spare_of_forwards.len().saturating_sub(SPARE_MAX));
            return (Some(frame), Vec::new());
        }
        self.told.of_forwards += 1;
        match rng.next_u32() % 4 {
            // Else it is carried again, or comes when the connection is made anew.
            0 if one_in(rng, 2) => (None, Vec::new()),
            0 => (None, vec![(within(rng, WITHHELD_MS_MAX), frame)]),
            1 => (None, vec![(within(rng, SHUFFLED_MS_MAX), frame)]),
            2 => {
                let again = past.get(below(rng, past.len())).cloned();
                (Some(frame), again.map(|again| (within(rng, SHUFFLED_MS_MAX), again)).into_iter().collect())
            }
            _ => (Some(self.altered_of_forwards(frame)), Vec::new()),
        }
    }

    /// The frame with something in it altered: what is signed or sealed, or by what name it is called.
    fn altered_of_forwards(&mut self, mut frame: Frame) -> Frame {
        let rng = &mut self.of_forwards;
        // Nobody signs that a parcel is declined, and why.
        if let Some(Body::Declined(declined)) = &mut frame.body {
            declined.code = i32::try_from(rng.next_u32() % 7).unwrap_or_default();
        }
        let mut said = said_of_forwards(&mut frame);
        let at = below(rng, said.len());
        if let Some(bytes) = said.get_mut(at)
            && let Some(harmed) = harmed(rng, &self.spare_of_forwards, bytes)
        {
            **bytes = harmed;
        }
        frame
    }

    fn again(&mut self, conn: ConnId) -> Option<Late> {
        let after = within(&mut self.rng, SHUFFLED_MS_MAX);
        let past = self.past.get(&conn)?;
        let frame = past.get(below(&mut self.rng, past.len()))?.clone();
        self.told.replayed += 1;
        Some((after, frame))
    }

    fn remember(&mut self, frame: &Frame) {
        let mut frame = frame.clone();
        for bytes in sealed(&mut frame) {
            self.spare.push_back(bytes.clone());
        }
        self.spare.drain(..self.spare.len().saturating_sub(SPARE_MAX));
    }

    /// The frame with what is signed or sealed in it altered; `None`: there is nothing.
    fn altered(&mut self, frame: &Frame) -> Option<Frame> {
        let mut altered = frame.clone();
        if let Some(Body::Published(wire::Published { receipt: Some(receipt) })) = &mut altered.body
            && one_in(&mut self.rng, 2)
        {
            receipt.body = boast(&receipt.body)?;
            return (altered != *frame).then_some(altered);
        }
        for bytes in sealed(&mut altered) {
            if let Some(harmed) = harmed(&mut self.rng, &self.spare, bytes) {
                *bytes = harmed;
            }
        }
        (altered != *frame).then_some(altered)
    }
}

fn within(rng: &mut ChaCha20Rng, ms_max: u64) -> Duration {
    Duration::from_millis(rng.next_u64() % ms_max)
}

/// The bytes altered, or others in their place.
fn harmed(rng: &mut ChaCha20Rng, spare: &VecDeque<Bytes>, bytes: &Bytes) -> Option<Bytes> {
    let mut harmed = bytes.to_vec();
    let at = below(rng, bytes.len());
    match rng.next_u32() % 5 {
        0 | 1 => harmed.get_mut(at).map(|byte| *byte ^= 1 << (at % 8))?,
        2 => harmed.truncate(at),
        3 => harmed.extend([0x5a; 7]),
        _ => return spare.get(below(rng, spare.len())).cloned(),
    }
    Some(harmed.into())
}

/// A receipt that says of all that it is stored. Its signature is that of what was so.
fn boast(body: &Bytes) -> Option<Bytes> {
    let mut receipt = wire::CustodyReceipt::decode(body.clone()).ok()?;
    let results = receipt.items.iter_mut().flat_map(|item| &mut item.recipients);
    let stored = wire::RecipientResult {
        code: wire::ResultCode::Stored.into(),
        held_until_ms: HELD_UNTIL_MS,
        ..wire::RecipientResult::default()
    };
    results.for_each(|result| *result = stored);
    Some(receipt.encode_to_vec().into())
}

/// What is signed or sealed in a frame.
fn sealed(frame: &mut Frame) -> Vec<&mut Bytes> {
    match &mut frame.body {
        Some(Body::Deliver(deliver)) => vec![&mut deliver.payload],
        Some(Body::Bundle(answer)) => vec![&mut answer.bundle, &mut answer.prekey],
        Some(Body::Published(wire::Published { receipt: Some(receipt) })) => {
            vec![&mut receipt.body, &mut receipt.signature]
        }
        Some(Body::Attached(wire::Attached { checkpoint: Some(checkpoint), .. })) => {
            vec![&mut checkpoint.body, &mut checkpoint.signature]
        }
        _ => Vec::new(),
    }
}

/// What stands in a frame between relays, or in one to a device about what it handed in for another relay; nothing: it is no such
/// frame.
fn said_of_forwards(frame: &mut Frame) -> Vec<&mut Bytes> {
    match &mut frame.body {
        Some(Body::Carry(carry)) => carry.parcels.iter_mut().collect(),
        Some(Body::Forwarded(answer)) => {
            vec![&mut answer.forward_id, &mut answer.salt, &mut answer.answer]
        }
        Some(Body::Declined(declined)) => vec![&mut declined.forward_id],
        Some(
            Body::Waiting(wire::Waiting { notice: Some(signed) })
            | Body::DeadLetter(wire::DeadLetter { notice: Some(signed) })
            | Body::RoutingKey(wire::RoutingKeyAnswer { key: Some(signed) }),
        ) => vec![&mut signed.body, &mut signed.signature],
        _ => Vec::new(),
    }
}
