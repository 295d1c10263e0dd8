//! What entries say is dropped when their time is over; their headers stay, so that the log holds together (spec:
//! `log.md`, "Without a body").

use undertone_protocol::entry::{Content, EntryBody, EntryHeader};
use undertone_protocol::time::Timestamp;

use super::circle::Circle;
use super::context::Context;
use crate::event::Event;
use crate::store::StoreError;

/// Entries that are dropped in one transaction; what is left comes next.
const DROPPED_MAX: usize = 256;

/// When what this device is about to say vanishes: by the conversation's timer; what is said of another entry with that
/// one.
pub(super) fn expiry(
    ctx: &Context<'_>,
    circle: &Circle,
    body: &EntryBody,
) -> Result<Option<Timestamp>, StoreError> {
    Ok(match &body.content {
        Content::Text(_) => circle.timer(ctx).map(|timer| ctx.now.after(timer)),
        Content::Annotation(annotation) => {
            ctx.tx.entry(&annotation.entry)?.and_then(|target| target.entry.header.expires)
        }
        _ => None,
    })
}

/// Whether an entry's time is over.
pub(super) fn is_over(header: &EntryHeader, now: Timestamp) -> bool {
    header.expires.is_some_and(|at| at <= now)
}

/// Takes note of when a new entry vanishes.
pub(super) fn note(ctx: &mut Context<'_>, header: &EntryHeader) {
    ctx.agenda.vanishes_at = ctx.agenda.vanishes_at.into_iter().chain(header.expires).min();
}

/// Drops what is over.
pub(super) fn due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    if ctx.agenda.vanishes_at.is_none_or(|at| at > ctx.now) {
        return Ok(());
    }
    for entry in ctx.tx.expired(ctx.now, DROPPED_MAX)? {
        ctx.tx.drop_body(&entry)?;
        ctx.events.push(Event::Hidden { id: entry.to_hex() });
    }
    ctx.agenda.vanishes_at = ctx.tx.next_expiry()?;
    Ok(())
}
