//! What goes over a home relay to another one: handed over, waiting there, answered (`spec/federation.md`).

use std::time::Duration;

use undertone_protocol::codec::Signed;
use undertone_protocol::federation::{
    AnswerKey, DeadLetter, DeadLetterReason, Outgoing, OutgoingItem, RoutingKey, Waiting,
};
use undertone_protocol::ids::{PublishId, RelayId};
use undertone_protocol::keys::RelayAddress;
use undertone_protocol::limits::{ENVELOPE_TTL_MAX, FORWARD_ADDRESSES_MAX, SEALED_LIFE};
use undertone_protocol::receipts::Tick;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, frame::Body};

use super::asked::Asked;
use super::context::Context;
use super::drafts::{Draft, Proved};
use super::link::Link;
use super::links::{Links, drop_link};
use super::outcomes;
use super::routing::Topic;
use super::ticks::raise_tick;
use super::types::Outputs;
use crate::LinkId;
use crate::store::{Purpose, SentItem, StoreError, StoredForward};

/// However old something is, relays have at least so long for it.
const LIFE_MIN: Duration = Duration::from_secs(60);
/// An answer is waited for so much longer than relays try.
const GRACE: Duration = Duration::from_secs(600);

/// Hands something to a home relay, for another relay. It is kept first: the answer may come much later.
pub(super) fn send(
    ctx: &mut Context<'_>,
    links: &mut Links,
    (relay, via, topic): (RelayId, RelayId, Topic),
    drafts: Vec<Draft>,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    // Beyond what may be unanswered nothing is sealed in vain: an answer begins another walk.
    if !links.get(&LinkId::home(via)).is_some_and(Link::takes_publishes)
        || ctx.agenda.routing.crowded_until(&via, &relay).is_some()
    {
        return Ok(());
    }
    let grants = drafts.iter().flat_map(|draft| &draft.recipients).map(|recipient| &recipient.grant);
    let Some(destination) = grants.map(|grant| named(&grant.mailbox.relay)).next() else { return Ok(()) };
    let forward_id = PublishId::random(ctx.rng);
    let expiry = ctx.now.after(ENVELOPE_TTL_MAX);
    // So that no envelope outlives its key (`spec/receipts.md`): beyond that it is sealed anew.
    let sealed = drafts.iter().map(|draft| draft.created).min().unwrap_or(ctx.now);
    let not_after = sealed.after(SEALED_LIFE).clamp(ctx.now.after(LIFE_MIN), ctx.now.after(SEALED_LIFE));
    let (mut sent, mut items) = (Vec::with_capacity(drafts.len()), Vec::with_capacity(drafts.len()));
    for draft in drafts {
        let Proved { sent: item, payload, class, route } = draft.prove(forward_id, relay, expiry);
        sent.push(item);
        items.push(OutgoingItem { payload, class, expiry, recipients: route });
    }
    let circuit = ctx.agenda.routing.circuit(relay, topic, ctx.rng, ctx.now);
    let sealed = circuit.map(|circuit| circuit?.seal(Outgoing { forward_id, not_after, items }));
    let (parcel, answer) = match sealed {
        Some(Ok(sealed)) => sealed,
        Some(Err(error)) => {
            tracing::error!(relay = %relay.short(), %error, "could not seal a forward");
            ctx.agenda.routing.shut(via, relay, None, ctx.now);
            ctx.agenda.publish = true;
            return Ok(());
        }
        None => return Ok(()),
    };
    let body = Body::Forward(wire::Forward { destination: Some(destination), parcel });
    if links.ask(&LinkId::home(via), Asked::Forward(forward_id), body, ctx.now, out) {
        keep(ctx, &StoredForward { answer, via, made: ctx.now, not_after, waits_until: None, items: sent })?;
    }
    Ok(())
}

fn named(address: &RelayAddress) -> wire::RelayAddress {
    let mut named = address.to_wire();
    named.addresses.truncate(FORWARD_ADDRESSES_MAX);
    named
}

fn keep(ctx: &mut Context<'_>, forward: &StoredForward) -> Result<(), StoreError> {
    ctx.agenda.routing.note(forward);
    ctx.tx.put_forward(forward)
}

fn forget(ctx: &mut Context<'_>, forward: &StoredForward) -> Result<(), StoreError> {
    ctx.agenda.routing.forget(forward);
    ctx.agenda.publish = true;
    ctx.tx.delete_forward(&forward.answer.forward_id)
}

/// Asks home relays for routing keys that are wanted.
pub(super) fn ask_for_keys(ctx: &mut Context<'_>, links: &mut Links, out: &mut Outputs) {
    for address in ctx.agenda.routing.keys_due(ctx.now) {
        let relay = address.relay;
        let homes = links.homes().filter(|(via, link)| link.is_attached() && **via != relay);
        let homes = homes.filter(|(via, _)| ctx.agenda.routing.serves(via, &relay, ctx.now));
        let best = homes.filter_map(|(via, link)| Some((link.health(ctx.now)?, *via))).min();
        let body = Body::GetRoutingKey(wire::GetRoutingKey { relay: Some(named(&address)) });
        let is_asked = best.is_some_and(|(_, via)| {
            links.ask(&LinkId::home(via), Asked::RoutingKey(relay), body, ctx.now, out)
        });
        if !is_asked {
            ctx.agenda.routing.not_found(&relay, Duration::ZERO, ctx.now);
        }
    }
}

/// A home relay gave another relay's routing key.
pub(super) fn key_found(
    ctx: &mut Context<'_>,
    links: &mut Links,
    via: &RelayId,
    relay: &RelayId,
    answer: wire::RoutingKeyAnswer,
    out: &mut Outputs,
) {
    let signed = Signed::required("routing key answer", "key", answer.key);
    match signed
        .map_err(|error| error.to_string())
        .and_then(|signed| RoutingKey::verify(signed, relay).map_err(|error| error.to_string()))
    {
        Ok(key) => ctx.agenda.routing.found(key, ctx.now),
        Err(reason) => drop_link(
            ctx,
            links,
            &LinkId::home(*via),
            &format!("the relay broke the protocol: {reason}"),
            out,
        ),
    }
    ctx.agenda.publish = true;
}

/// A home relay does not give another relay's routing key now, or ever.
pub(super) fn key_refused(ctx: &mut Context<'_>, via: &RelayId, relay: &RelayId, refusal: &wire::Refusal) {
    let routing = &mut ctx.agenda.routing;
    match wait(refusal) {
        Some(wait) => routing.not_found(relay, wait, ctx.now),
        None => routing.shut(*via, *relay, None, ctx.now),
    }
    ctx.agenda.publish = true;
}

fn wait(refusal: &wire::Refusal) -> Option<Duration> {
    let says = refusal.code() == wire::RefusalCode::RetryAfter;
    says.then(|| Duration::from_millis(refusal.retry_after_ms))
}

/// A home relay says that it holds a forward durably.
pub(super) fn waits(
    ctx: &mut Context<'_>,
    links: &mut Links,
    via: &RelayId,
    id: &PublishId,
    waiting: wire::Waiting,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    let signed = Signed::required("waiting", "notice", waiting.notice).map_err(|error| error.to_string());
    let notice = signed.and_then(|signed| Waiting::verify(&signed, via).map_err(|error| error.to_string()));
    let notice = notice.and_then(|notice| {
        if notice.forward_id == *id { Ok(notice) } else { Err("it is for something else".to_owned()) }
    });
    ctx.agenda.publish = true;
    let until = match notice {
        Ok(Waiting { until, .. }) => until,
        Err(reason) => {
            let reason = format!("the relay's word that something waits there is no good: {reason}");
            drop_link(ctx, links, &LinkId::home(*via), &reason, out);
            return Ok(());
        }
    };
    // It may have been answered before.
    let Some(mut forward) = ctx.tx.forward(id)? else { return Ok(()) };
    forward.waits_until = Some(until);
    keep(ctx, &forward)?;
    for item in &forward.items {
        note_waiting(ctx, item)?;
    }
    Ok(())
}

/// A message that waits at home relays for all that it is not in custody for shows that.
fn note_waiting(ctx: &mut Context<'_>, item: &SentItem) -> Result<(), StoreError> {
    let pending = ctx.tx.outbox_pending(item.outbox.saturating_sub(1), 1)?;
    let Some(pending) = pending.first().filter(|pending| pending.id == item.outbox) else { return Ok(()) };
    let Purpose::Entry(entry) = pending.purpose else { return Ok(()) };
    let routing = &ctx.agenda.routing;
    let waits = |device| routing.carrying(item.outbox, device).any(|forward| forward.waits);
    if pending.recipients.iter().all(|recipient| waits(recipient.device)) {
        raise_tick(ctx, &entry, Tick::Waiting)?;
    }
    Ok(())
}

/// A home relay does not take a forward: for a while its relay is reached by another one, or straight.
pub(super) fn refused(
    ctx: &mut Context<'_>,
    via: &RelayId,
    id: &PublishId,
    refusal: &wire::Refusal,
) -> Result<(), StoreError> {
    let Some(forward) = ctx.tx.forward(id)? else { return Ok(()) };
    ctx.agenda.routing.shut(*via, forward.answer.relay, wait(refusal), ctx.now);
    forget(ctx, &forward)
}

/// The destination decided: its receipt came back, sealed. It is kept before the home relay is told to forget it.
pub(super) fn answered(
    ctx: &mut Context<'_>,
    links: &mut Links,
    via: &RelayId,
    forwarded: &wire::Forwarded,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    let Ok(id) = PublishId::from_slice(&forwarded.forward_id) else { return Ok(()) };
    if let Some(forward) = ctx.tx.forward(&id)?.filter(|forward| forward.via == *via) {
        if let Some(home) = links.get(&LinkId::home(*via)) {
            ctx.agenda.routing.answered(&id, home.changed(), ctx.now);
        }
        forget(ctx, &forward)?;
        let relay = forward.answer.relay;
        let receipt = AnswerKey::open(&forward.answer, forwarded).map_err(|error| error.to_string());
        let receipt = receipt.and_then(|receipt| {
            let fits = outcomes::fits(&receipt, &forward.items);
            if fits { Ok(receipt) } else { Err("it is for something else".to_owned()) }
        });
        match receipt {
            Ok(receipt) => outcomes::settle(ctx, links, &relay, &forward.items, receipt)?,
            Err(reason) => {
                tracing::warn!(relay = %relay.short(), via = %via.short(), reason, "an answer that is none");
                ctx.agenda.routing.shut(*via, relay, None, ctx.now);
            }
        }
    }
    taken(ctx, links, via, &id, out);
    Ok(())
}

/// A home relay gave a forward up.
pub(super) fn given_up(
    ctx: &mut Context<'_>,
    links: &mut Links,
    via: &RelayId,
    letter: wire::DeadLetter,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    let signed = Signed::required("dead letter", "notice", letter.notice).map_err(|error| error.to_string());
    let letter =
        signed.and_then(|signed| DeadLetter::verify(&signed, via).map_err(|error| error.to_string()));
    let DeadLetter { forward_id, reason } = match letter {
        Ok(letter) => letter,
        Err(reason) => {
            drop_link(
                ctx,
                links,
                &LinkId::home(*via),
                &format!("the relay's dead letter is no good: {reason}"),
                out,
            );
            return Ok(());
        }
    };
    if let Some(forward) = ctx.tx.forward(&forward_id)?.filter(|forward| forward.via == *via) {
        forget(ctx, &forward)?;
        let relay = forward.answer.relay;
        tracing::info!(relay = %relay.short(), via = %via.short(), ?reason, "a dead letter");
        match reason {
            DeadLetterReason::Expired | DeadLetterReason::Attempts => {
                outcomes::unreachable(ctx, links, &relay, &forward.items)?;
            }
            DeadLetterReason::Key => ctx.agenda.routing.key_unknown(*via, relay, ctx.now),
            DeadLetterReason::Refused | DeadLetterReason::Malformed => {
                ctx.agenda.routing.shut(*via, relay, None, ctx.now);
            }
        }
    }
    taken(ctx, links, via, &forward_id, out);
    Ok(())
}

/// Goes out when what it answers is durable: then the home relay forgets it.
fn taken(ctx: &Context<'_>, links: &mut Links, via: &RelayId, id: &PublishId, out: &mut Outputs) {
    let taken = wire::ForwardsTaken { forward_ids: vec![id.to_wire()] };
    links.tell(&LinkId::home(*via), Body::ForwardsTaken(taken), ctx.now, out);
}

/// What was handed to a home relay that did not confirm it, and does not any more, as the connection ended, is not waited for:
/// it is handed over anew. Should the first get there all the same, the second does no harm.
pub(super) fn drop_unconfirmed(ctx: &mut Context<'_>, links: &Links) -> Result<(), StoreError> {
    for (id, via) in ctx.agenda.routing.unconfirmed() {
        let is_it = |asked: &Asked| matches!(asked, Asked::Forward(asked) if *asked == id);
        if !links.is_asking(&LinkId::home(via), is_it)
            && let Some(forward) = ctx.tx.forward(&id)?
        {
            forget(ctx, &forward)?;
        }
    }
    Ok(())
}

/// Home relays that do not answer other ones say whether they answer this device: what waits goes over them then.
pub(super) fn sound(ctx: &Context<'_>, links: &mut Links, out: &mut Outputs) {
    let is_doubted = |(relay, link): &(&RelayId, &Link)| {
        link.is_attached() && ctx.agenda.routing.doubts(relay, link.last_heard(), ctx.now)
    };
    let doubted: Vec<RelayId> = links.homes().filter(is_doubted).map(|(relay, _)| *relay).collect();
    for relay in doubted {
        if let Some(link) = links.get_mut(&LinkId::home(relay)) {
            link.sound(ctx.now, out);
        }
    }
}

/// A home relay lost its disk, and what it held for other relays: that goes out again.
pub(super) fn lost(ctx: &mut Context<'_>, via: &RelayId) -> Result<(), StoreError> {
    drop_those(ctx, |forward, _| forward.via == *via)
}

/// Forgets those of which nothing was heard by their end.
pub(super) fn sweep(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    drop_those(ctx, |forward, now| now >= forward.not_after.after(GRACE) || forward.made > now)
}

fn drop_those(
    ctx: &mut Context<'_>,
    which: impl Fn(&StoredForward, Timestamp) -> bool,
) -> Result<(), StoreError> {
    for forward in ctx.tx.forwards()? {
        if which(&forward, ctx.now) {
            forget(ctx, &forward)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
