//! What other relays bring: opened, decided as a publish is, and answered to whoever made it.

use bytes::Bytes;
use prost::Message;
use rand_core::CryptoRng;
use undertone_protocol::codec::{Signed, padded_len};
use undertone_protocol::ids::RelayId;
use undertone_protocol::limits::CARRY_PARCELS_MAX;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, DeclinedCode, ResultCode, frame::Body};

use super::outgoing::send;
use super::publish::Parcel;
use super::relay::Relay;
use super::types::Output;
use crate::admission::Claim;
use crate::answer::{Failed, Refused};
use crate::conn::ConnId;
use crate::federation::{self, Arrived, Opened};
use crate::frames::alone;
use crate::store::{Overlay, Store, StoreError, usage};

impl Relay {
    /// Answers each parcel by itself.
    pub(super) fn carry<S: Store + ?Sized>(
        &mut self,
        conn: ConnId,
        from: RelayId,
        carry: &wire::Carry,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<(), Failed> {
        if carry.parcels.is_empty() || carry.parcels.len() > CARRY_PARCELS_MAX {
            return Err(Refused::malformed("1 to 64 parcels are allowed").into());
        }
        for bytes in &carry.parcels {
            let arrived = self.arrivals.open(&from, &self.id, bytes, &self.limits, now, tx)?;
            let body = match arrived {
                Arrived::Again(forwarded) => {
                    self.metrics.parcels_repeated += 1;
                    Body::Forwarded(forwarded)
                }
                Arrived::Declined(declined) => Body::Declined(declined),
                Arrived::New(opened) => self.decide(from, bytes, &opened, now, tx, out)?,
            };
            self.metrics.parcels_declined += u64::from(matches!(body, Body::Declined(_)));
            send(conn, 0, body, out);
        }
        Ok(())
    }

    fn decide<S: Store + ?Sized>(
        &mut self,
        from: RelayId,
        bytes: &Bytes,
        opened: &Opened,
        now: Timestamp,
        tx: &mut Overlay<'_, S>,
        out: &mut Vec<Output>,
    ) -> Result<Body, StoreError> {
        let declined = |code, wait| Ok(Body::Declined(federation::declined(bytes, code, wait)));
        let Ok(parcels) = parcels(opened) else { return declined(DeclinedCode::Malformed, 0) };
        // What is stored must be remembered, so room for that is taken first.
        let room = federation::disk_bytes(answer_bytes_max(opened));
        if !usage::take(tx, room, self.limits.disk_bytes_max)? {
            return declined(DeclinedCode::RetryAfter, self.limits.full_retry_after_ms);
        }
        let mut items = Vec::with_capacity(parcels.len());
        for parcel in &parcels {
            items.push(self.parcel(opened.parcel.forward_id, parcel, now, tx, out)?);
        }
        usage::release(tx, room)?;
        let changed = items.iter().flat_map(|item| &item.recipients).any(|r| r.code() == ResultCode::Stored);
        let published = self.receipt(opened.parcel.forward_id, items);
        let mut rng: &mut dyn CryptoRng = &mut *self.rng;
        let answer = Signed::required("published", "receipt", published.receipt)
            .ok()
            .and_then(|receipt| opened.keys.seal_answer(&opened.parcel, &receipt, &mut rng).ok());
        let Some(answer) = answer else { return Err(StoreError::Corrupt { what: "receipt" }) };
        // Where nothing was stored, deciding it once more does no harm, and is no worse for whoever waits.
        if changed {
            federation::remember(tx, &opened.parcel.place(), &answer, opened.parcel.not_after)?;
            self.with_source(now, out, |source, cx| source.stored_from(&from, cx, tx))?;
        }
        self.metrics.parcels_decided += 1;
        Ok(Body::Forwarded(answer))
    }
}

/// The items with who is to get them, form checked.
fn parcels(opened: &Opened) -> Result<Vec<Parcel>, Failed> {
    let items = opened.parcel.items.iter().zip(&opened.routes);
    let parcels = items.map(|(item, route)| {
        let claims = route.iter().map(Claim::from_wire).collect::<Result<_, _>>()?;
        let (payload, hash) = (alone(&item.payload), item.hash);
        Ok(Parcel { payload, hash, class: item.class, expiry: item.expiry, claims })
    });
    parcels.collect()
}

/// The most bytes that an answer may have: signature and id, hashes, results, each with its tags and lengths.
fn answer_bytes_max(opened: &Opened) -> usize {
    let recipients: usize = opened.routes.iter().map(Vec::len).sum();
    let receipt = 160 + 48 * opened.routes.len() + 24 * recipients;
    padded_len(receipt) + wire::Forwarded::default().encoded_len() + 96
}
