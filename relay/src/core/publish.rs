//! Publishes: parsed whole, then decided for each recipient in order, then answered by one signature.

use std::collections::BTreeSet;

use bytes::Bytes;
use prost::Message;
use undertone_protocol::codec::{self, Label};
use undertone_protocol::ids::{MailboxId, PayloadHash, PublishId};
use undertone_protocol::limits::{
    PAYLOAD_BYTES_MAX, PROTOCOL_VERSION, PUBLISH_ITEMS_MAX, PUBLISH_PAYLOAD_BYTES_MAX,
    PUBLISH_RECIPIENTS_MAX, SUITE,
};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::ProofInput;
use undertone_protocol::wire::{self, DenialReason, ResultCode, frame::Body, route::Kind};

use super::outgoing::send;
use super::relay::Relay;
use super::requests::too_fast;
use super::types::Output;
use crate::admission::{self, Charged, Claim, Mailbox, NotCharged, Verdict};
use crate::answer::{Failed, Refused};
use crate::conn::ConnId;
use crate::frames::alone;
use crate::mailbox::{self, DurableClass, Enqueue, Enqueued, Known};
use crate::store::{Overlay, Store, StoreError, usage};

/// One payload and who is to get it, form checked.
pub(super) struct Parcel {
    pub(super) payload: Bytes,
    pub(super) hash: PayloadHash,
    pub(super) class: u8,
    pub(super) expiry: Timestamp,
    pub(super) claims: Vec<Claim>,
}

/// What became of a parcel at one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Stored(Timestamp),
    /// Class 2: handed on or dropped.
    Volatile,
    /// Held until then; `None`: the device has acknowledged it.
    Duplicate(Option<Timestamp>),
    Full,
    Denied(DenialReason),
    TooLarge,
    RetryAfter(u64),
}

impl Relay {
    pub(super) fn publish<S: Store + ?Sized>(
        &mut self,
        conn: ConnId,
        publish: wire::Publish,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<wire::Published, Failed> {
        let (publish_id, parcels) = parse(publish)?;
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.publishes.take().map_err(|wait| too_fast("publishes_per_minute", wait))?;
        }
        let mut items = Vec::with_capacity(parcels.len());
        for parcel in &parcels {
            items.push(self.parcel(publish_id, parcel, now, tx, out)?);
        }
        self.metrics.publishes += 1;
        Ok(self.receipt(publish_id, items))
    }

    pub(super) fn receipt(&self, publish_id: PublishId, items: Vec<wire::ItemResult>) -> wire::Published {
        let receipt = wire::CustodyReceipt {
            version: PROTOCOL_VERSION,
            suite: u32::from(SUITE),
            publish_id: publish_id.to_wire(),
            items,
        };
        let signed = codec::sign(Label::Custody, &self.key, receipt.encode_to_vec());
        wire::Published { receipt: Some(signed.to_wire()) }
    }

    pub(super) fn parcel<S: Store + ?Sized>(
        &mut self,
        publish_id: PublishId,
        parcel: &Parcel,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<wire::ItemResult, StoreError> {
        let mut handed = BTreeSet::new();
        let mut recipients = Vec::with_capacity(parcel.claims.len());
        for claim in &parcel.claims {
            let outcome = match self.judge(publish_id, parcel, claim, now, tx)? {
                Err(outcome) => outcome,
                Ok(record) => match DurableClass::from_wire(u32::from(parcel.class)) {
                    Some(class) => self.store(class, parcel, claim, &record, now, tx)?,
                    None => self.hand_on(parcel, claim, &record, &mut handed, now, tx, out)?,
                },
            };
            self.count(outcome);
            recipients.push(self.result(outcome));
        }
        Ok(wire::ItemResult { payload_hash: parcel.hash.to_wire(), recipients })
    }

    /// Everything before deduplication.
    fn judge<S: Store + ?Sized>(
        &self,
        publish_id: PublishId,
        parcel: &Parcel,
        claim: &Claim,
        now: Timestamp,
        tx: &Overlay<'_, S>,
    ) -> Result<Result<Mailbox, Outcome>, StoreError> {
        if parcel.payload.len() > self.payload_bytes_max() {
            return Ok(Err(Outcome::TooLarge));
        }
        let input =
            ProofInput { publish_id, payload_hash: parcel.hash, relay: self.id, expiry: parcel.expiry };
        Ok(match admission::check(tx, claim, &input, parcel.class, now)? {
            Verdict::Denied(reason) => Err(Outcome::Denied(reason)),
            Verdict::Holds(record) => Ok(record),
            Verdict::Ended => Err(match mailbox::known(tx, &claim.mailbox, &parcel.hash, now)? {
                Known::No => Outcome::Denied(DenialReason::Expired),
                Known::Held(held) => Outcome::Duplicate(Some(held.until)),
                Known::Acknowledged => Outcome::Duplicate(None),
            }),
        })
    }

    /// Classes 0 and 1: deduplicated, charged, stored.
    fn store<S: Store + ?Sized>(
        &mut self,
        class: DurableClass,
        parcel: &Parcel,
        claim: &Claim,
        record: &Mailbox,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
    ) -> Result<Outcome, StoreError> {
        match mailbox::known(tx, &claim.mailbox, &parcel.hash, now)? {
            Known::No => {}
            Known::Acknowledged => return Ok(Outcome::Duplicate(None)),
            Known::Held(held) => {
                let until = mailbox::extend(tx, held, parcel.expiry, &self.limits, now)?;
                return Ok(Outcome::Duplicate(Some(until)));
            }
        }
        let charged = match self.charge(parcel, claim, record, now, tx)? {
            Ok(charged) => charged,
            Err(outcome) => return Ok(outcome),
        };
        let (mailbox, hash, payload, expiry) = (claim.mailbox, parcel.hash, &parcel.payload, parcel.expiry);
        let (beside_bytes, is_shared) = (charged.disk_bytes(), parcel.claims.len() > 1);
        let item = Enqueue { mailbox, class, hash, payload, expiry, beside_bytes, is_shared };
        Ok(match mailbox::enqueue(tx, item, &self.limits, now)? {
            Enqueued::Stored(until) => {
                admission::take_use(tx, charged)?;
                self.sessions.wake(&mailbox);
                Outcome::Stored(until)
            }
            Enqueued::Full => Outcome::Full,
            Enqueued::NoDisk => {
                match class {
                    DurableClass::Zero => self.metrics.class_0_refused += 1,
                    DurableClass::One => self.metrics.class_1_delayed += 1,
                }
                Outcome::RetryAfter(self.limits.full_retry_after_ms)
            }
        })
    }

    /// Class 2: to a live session that keeps up, or nowhere.
    #[expect(clippy::too_many_arguments, reason = "the parcel, the recipient, and where both are looked up")]
    fn hand_on<S: Store + ?Sized>(
        &mut self,
        parcel: &Parcel,
        claim: &Claim,
        record: &Mailbox,
        handed: &mut BTreeSet<MailboxId>,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, StoreError> {
        if !handed.insert(claim.mailbox) {
            return Ok(Outcome::Duplicate(None));
        }
        let charged = match self.charge(parcel, claim, record, now, tx)? {
            Ok(charged) => charged,
            Err(outcome) => return Ok(outcome),
        };
        let more = charged.disk_bytes();
        if more > 0 && !usage::fits(tx, more, self.limits.disk_bytes_max)? {
            return Ok(Outcome::RetryAfter(self.limits.full_retry_after_ms));
        }
        admission::take_use(tx, charged)?;
        let Some(conn) = self.sessions.get_mut(&claim.mailbox).map(|session| session.conn) else {
            self.metrics.volatile_unattended += 1;
            return Ok(Outcome::Volatile);
        };
        let behind = self
            .connections
            .get_mut(conn)
            .is_none_or(|connection| connection.backlog_bytes() > self.limits.volatile_backlog_bytes_max);
        if behind {
            self.metrics.volatile_shed += 1;
        } else {
            self.metrics.deliveries += 1;
            let (class, payload) = (u32::from(parcel.class), parcel.payload.clone());
            send(conn, 0, Body::Deliver(wire::Deliver { class, seq: 0, payload }), out);
        }
        Ok(Outcome::Volatile)
    }

    fn charge<S: Store + ?Sized>(
        &mut self,
        parcel: &Parcel,
        claim: &Claim,
        record: &Mailbox,
        now: Timestamp,
        tx: &Overlay<'_, S>,
    ) -> Result<Result<Charged, Outcome>, StoreError> {
        if parcel.expiry <= now {
            return Ok(Err(Outcome::Denied(DenialReason::Expired)));
        }
        let charged = admission::charge(tx, &mut self.token_rates, claim, record, &self.limits, now)?;
        Ok(charged.map_err(|not| match not {
            NotCharged::Denied(reason) => Outcome::Denied(reason),
            NotCharged::TooFast(wait) => {
                self.metrics.rate_limited += 1;
                Outcome::RetryAfter(wait.retry_after_ms)
            }
        }))
    }

    fn payload_bytes_max(&self) -> usize {
        self.limits.payload_bytes_max.min(PAYLOAD_BYTES_MAX)
    }

    fn result(&self, outcome: Outcome) -> wire::RecipientResult {
        let code = |code: ResultCode| wire::RecipientResult { code: code.into(), ..Default::default() };
        let held = |until: Timestamp| until.as_ms();
        match outcome {
            Outcome::Stored(until) => {
                wire::RecipientResult { held_until_ms: held(until), ..code(ResultCode::Stored) }
            }
            Outcome::Volatile => code(ResultCode::Stored),
            Outcome::Duplicate(until) => {
                wire::RecipientResult { held_until_ms: until.map_or(0, held), ..code(ResultCode::Duplicate) }
            }
            Outcome::Full => wire::RecipientResult {
                retry_after_ms: self.limits.full_retry_after_ms,
                ..code(ResultCode::Full)
            },
            Outcome::RetryAfter(retry_after_ms) => {
                wire::RecipientResult { retry_after_ms, ..code(ResultCode::RetryAfter) }
            }
            Outcome::Denied(reason) => {
                wire::RecipientResult { reason: reason.into(), ..code(ResultCode::Denied) }
            }
            Outcome::TooLarge => wire::RecipientResult {
                size_max: u32::try_from(self.payload_bytes_max()).unwrap_or(u32::MAX),
                ..code(ResultCode::TooLarge)
            },
        }
    }

    fn count(&mut self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Stored(_) => &mut self.metrics.results_stored,
            Outcome::Volatile => &mut self.metrics.results_volatile,
            Outcome::Duplicate(_) => &mut self.metrics.results_duplicate,
            Outcome::Full => &mut self.metrics.results_full,
            Outcome::Denied(_) => &mut self.metrics.results_denied,
            Outcome::TooLarge => &mut self.metrics.results_too_large,
            Outcome::RetryAfter(_) => &mut self.metrics.results_retry_after,
        };
        *counter += 1;
    }
}

/// Checks the form of the whole publish before any of it is carried out.
fn parse(publish: wire::Publish) -> Result<(PublishId, Vec<Parcel>), Failed> {
    let publish_id = PublishId::from_slice(&publish.publish_id)?;
    if publish.items.is_empty() {
        return Err(Refused::malformed("a publish without items").into());
    }
    if publish.items.len() > PUBLISH_ITEMS_MAX {
        return Err(Refused::limit(format!("items of a publish: {PUBLISH_ITEMS_MAX}")).into());
    }
    let bytes: usize = publish.items.iter().map(|item| item.payload.len()).sum();
    if bytes > PUBLISH_PAYLOAD_BYTES_MAX {
        return Err(Refused::limit(format!("bytes of a publish: {PUBLISH_PAYLOAD_BYTES_MAX}")).into());
    }
    let parcels = publish.items.into_iter().map(parse_item).collect::<Result<_, _>>()?;
    Ok((publish_id, parcels))
}

fn parse_item(item: wire::PublishItem) -> Result<Parcel, Failed> {
    let Some(Kind::Open(route)) = item.route.and_then(|route| route.kind) else {
        return Err(Refused::malformed("an item without a route that this relay knows").into());
    };
    if route.recipients.is_empty() || item.payload.is_empty() {
        return Err(Refused::malformed("an item without recipients or payload").into());
    }
    if route.recipients.len() > PUBLISH_RECIPIENTS_MAX {
        return Err(Refused::limit(format!("recipients of an item: {PUBLISH_RECIPIENTS_MAX}")).into());
    }
    let class = u8::try_from(item.class).ok().filter(|class| *class <= 2);
    let class = class.ok_or_else(|| Refused::malformed("classes are 0, 1 and 2"))?;
    let claims = route.recipients.iter().map(Claim::from_wire).collect::<Result<_, _>>()?;
    let (hash, payload) = (PayloadHash::of(&item.payload), alone(&item.payload));
    Ok(Parcel { payload, hash, class, expiry: Timestamp::from_ms(item.expiry_ms), claims })
}
