//! What becomes of forwards: the destination's answer, another attempt, or a dead letter.

use std::time::Duration;

use undertone_protocol::federation::{DeadLetter, DeadLetterReason, Parcel};
use undertone_protocol::ids::{PublishId, RelayId};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, DeclinedCode};

use super::Source;
use crate::federation::act::Cx;
use crate::federation::answers::{self, Answer};
use crate::federation::link::Link;
use crate::federation::outbox::{self, Forward};
use crate::store::{Overlay, Store, StoreError};

/// How much larger than its parcel an answer may be, in bytes: it takes the parcel's room.
const ANSWER_EXTRA_BYTES: usize = 128;
/// What a destination that declines without a reason known here is spared, in milliseconds.
const UNKNOWN_PAUSE_MS: u64 = 60_000;

impl Source {
    /// The destination decided a parcel.
    pub(super) fn forwarded<S: Store + ?Sized>(
        &mut self,
        relay: &RelayId,
        forwarded: wire::Forwarded,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let Some((id, forward)) = self.answered(relay, &forwarded.forward_id, cx, tx)? else {
            return Ok(());
        };
        let room = usize::try_from(forward.size).unwrap_or(usize::MAX).saturating_add(ANSWER_EXTRA_BYTES);
        if forwarded.answer.len() > room || forwarded.salt.len() != 16 {
            return self.give_up(&id, &forward, DeadLetterReason::Malformed, cx, tx);
        }
        cx.metrics.forwards_answered += 1;
        self.used(relay, cx, tx)?;
        self.settle(&id, &forward, Answer::Forwarded(forwarded), cx, tx)
    }

    /// The destination does not decide a parcel.
    pub(super) fn declined<S: Store + ?Sized>(
        &mut self,
        relay: &RelayId,
        declined: &wire::Declined,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        if declined.forward_id.is_empty() {
            return self.unnamed(relay, declined, cx, tx);
        }
        let code = declined.code();
        let reason = match code {
            DeclinedCode::Refused => DeadLetterReason::Refused,
            DeclinedCode::Key => DeadLetterReason::Key,
            DeclinedCode::Malformed => DeadLetterReason::Malformed,
            DeclinedCode::Ended => DeadLetterReason::Expired,
            DeclinedCode::RetryAfter | DeclinedCode::Unspecified => {
                return self.put_off(relay, declined, cx, tx);
            }
        };
        let Some((id, forward)) = self.answered(relay, &declined.forward_id, cx, tx)? else { return Ok(()) };
        if code == DeclinedCode::Key
            && let Ok(parcel) = Parcel::read(&outbox::parcel(tx, &id)?)
        {
            // A client may seal to whatever it likes; that makes another's key no worse.
            self.keys.forget(relay, &parcel.routing_key);
        }
        self.give_up(&id, &forward, reason, cx, tx)
    }

    /// The destination can't read which parcel it declines. Where one is on its way it is that; where there are more, one at
    /// a time is tried.
    fn unnamed<S: Store + ?Sized>(
        &mut self,
        relay: &RelayId,
        declined: &wire::Declined,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let Some(up) = self.links.get_mut(relay).and_then(Link::up) else { return Ok(()) };
        let mut on_the_way = up.in_flight.keys();
        match (on_the_way.next(), on_the_way.next()) {
            (None, _) => Ok(()),
            (Some(id), None) => {
                let declined = wire::Declined { forward_id: id.to_wire(), ..declined.clone() };
                self.declined(relay, &declined, cx, tx)
            }
            (Some(_), Some(_)) => self.failed(relay, Duration::ZERO, cx, tx),
        }
    }

    fn put_off<S: Store + ?Sized>(
        &mut self,
        relay: &RelayId,
        declined: &wire::Declined,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let Ok(id) = PublishId::from_slice(&declined.forward_id) else { return Ok(()) };
        let Some(link) = self.links.get_mut(relay) else { return Ok(()) };
        if link.up().and_then(|up| up.land(&id, cx.now)).is_none() {
            return Ok(());
        }
        let is_known = declined.code() == DeclinedCode::RetryAfter;
        link.pause(if is_known { declined.retry_after_ms } else { UNKNOWN_PAUSE_MS }, cx.now);
        // It was answered, so that is no attempt that failed: where there is too much, that is not the parcel's doing.
        match outbox::forward(tx, &id)? {
            Some(forward) => outbox::put_back(tx, &id, forward),
            None => Ok(()),
        }
    }

    /// The forward that an answer is for, if it waits for this relay.
    fn answered<S: Store + ?Sized>(
        &mut self,
        relay: &RelayId,
        id: &[u8],
        cx: &Cx<'_>,
        tx: &Overlay<'_, S>,
    ) -> Result<Option<(PublishId, Forward)>, StoreError> {
        let Ok(id) = PublishId::from_slice(id) else { return Ok(None) };
        if let Some(link) = self.links.get_mut(relay) {
            link.answered(&id, cx.now);
        }
        let forward = outbox::forward(tx, &id)?.filter(|forward| forward.is_for(relay));
        Ok(forward.map(|forward| (id, forward)))
    }

    /// A parcel was carried and not decided: it goes to the end of its queue, until it was there too often.
    pub(super) fn in_vain<S: Store + ?Sized>(
        &mut self,
        id: &PublishId,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let Some(mut forward) = outbox::forward(tx, id)? else { return Ok(()) };
        forward.attempts = forward.attempts.saturating_add(1);
        if forward.attempts < cx.limits.forward_attempts_max {
            return outbox::put_back(tx, id, forward);
        }
        self.give_up(id, &forward, DeadLetterReason::Attempts, cx, tx)
    }

    /// Gives up what waited for too long, and what waits in vain; whether there is more. `from` is a moment before which
    /// nothing ends any more.
    pub(crate) fn sweep<S: Store + ?Sized>(
        &mut self,
        from: Timestamp,
        budget: usize,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<bool, StoreError> {
        let more_excluded = self.give_up_excluded(budget, cx, tx)?;
        let ended = outbox::ended(tx, from, cx.now, budget)?;
        for id in &ended {
            let Some(forward) = outbox::forward(tx, id)? else { continue };
            if let Some(up) = self.links.get_mut(&forward.relay()?).and_then(Link::up) {
                up.land(id, cx.now);
            }
            self.give_up(id, &forward, DeadLetterReason::Expired, cx, tx)?;
        }
        Ok(more_excluded || ended.len() >= budget)
    }

    pub(super) fn give_up<S: Store + ?Sized>(
        &mut self,
        id: &PublishId,
        forward: &Forward,
        reason: DeadLetterReason,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        cx.metrics.dead_letters += 1;
        let notice = DeadLetter { forward_id: *id, reason }.sign(cx.key).to_wire();
        self.settle(id, forward, Answer::DeadLetter(wire::DeadLetter { notice: Some(notice) }), cx, tx)
    }

    /// The answer takes the forward's place, until its device has it.
    fn settle<S: Store + ?Sized>(
        &mut self,
        id: &PublishId,
        forward: &Forward,
        answer: Answer,
        cx: &mut Cx<'_>,
        tx: &mut Overlay<'_, S>,
    ) -> Result<(), StoreError> {
        let owner = forward.owner()?;
        let relay = forward.relay()?;
        let is_last = outbox::remove(tx, id, forward)?;
        if is_last && let Some(up) = self.links.get_mut(&relay).and_then(Link::up) {
            up.rewind();
        }
        let end = cx.now.after(Duration::from_millis(cx.limits.answer_kept_ms_max));
        answers::put(tx, &owner, id, answer, (forward.until(), end))?;
        self.senders.more(&owner, *id, cx, tx)
    }
}
