//! What entries say is dropped when their time is over, and when their author deleted them; their headers stay, so that
//! the log holds together (spec: `log.md`, "Without a body").

use undertone_protocol::entry::{Act, Content, EntryBody, EntryHeader, SignedEntry};
use undertone_protocol::ids::EntryId;
use undertone_protocol::limits::{ANNOTATIONS_MAX, DELETED_BODY_LIFE};
use undertone_protocol::time::Timestamp;

use super::circle::Circle;
use super::context::Context;
use crate::event::Event;
use crate::log;
use crate::store::{StoreError, StoredEntry};

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

/// Takes note of a new entry: when it vanishes, and whether it, or the text that it is about, was deleted.
pub(super) fn note(ctx: &mut Context<'_>, circle: &Circle, stored: &StoredEntry) -> Result<(), StoreError> {
    let SignedEntry { id, header, body, .. } = &stored.entry;
    look_at(ctx, header.expires);
    let text = match &body.content {
        Content::Text(_) | Content::Gone => *id,
        Content::Annotation(said) if matches!(said.act, Act::Delete | Act::Edit(_)) => said.entry,
        _ => return Ok(()),
    };
    let Some(text) = ctx.tx.entry(&text)? else { return Ok(()) };
    let is_text = matches!(text.entry.body.content, Content::Text(_) | Content::Gone)
        && text.entry.header.conversation == header.conversation;
    if !is_text || !is_deleted(ctx, circle, &text.entry)? {
        return Ok(());
    }
    if matches!(&body.content, Content::Annotation(said) if said.act != Act::Delete) {
        return drop_later(ctx, &stored.entry);
    }
    drop_later(ctx, &text.entry)?;
    for edit in ctx.tx.edits(&header.conversation, &text.entry.id, ANNOTATIONS_MAX)? {
        if let Some(edit) = ctx.tx.entry(&edit)? {
            drop_later(ctx, &edit.entry)?;
        }
    }
    Ok(())
}

/// To be dropped a day later, if it does not vanish before.
fn drop_later(ctx: &mut Context<'_>, entry: &SignedEntry) -> Result<(), StoreError> {
    let at = ctx.now.after(DELETED_BODY_LIFE);
    if entry.header.expires.is_none_or(|expires| at < expires) {
        ctx.tx.put_expiry(&entry.id, Some(at))?;
        look_at(ctx, Some(at));
    }
    Ok(())
}

fn look_at(ctx: &mut Context<'_>, at: Option<Timestamp>) {
    ctx.agenda.vanishes_at = ctx.agenda.vanishes_at.into_iter().chain(at).min();
}

/// Drops what is over.
pub(super) fn due(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    if ctx.agenda.vanishes_at.is_none_or(|at| at > ctx.now) {
        return Ok(());
    }
    for entry in ctx.tx.expired(ctx.now, DROPPED_MAX)? {
        drop_if_over(ctx, &entry)?;
    }
    ctx.agenda.vanishes_at = ctx.tx.next_expiry()?;
    Ok(())
}

fn drop_if_over(ctx: &mut Context<'_>, entry: &EntryId) -> Result<(), StoreError> {
    let Some(stored) = ctx.tx.entry(entry)? else { return Ok(()) };
    let header = &stored.entry.header;
    if is_over(header, ctx.now) {
        ctx.events.push(Event::Hidden { id: entry.to_hex() });
        return ctx.tx.drop_body(entry);
    }
    let text = match &stored.entry.body.content {
        Content::Annotation(said) => ctx.tx.entry(&said.entry)?,
        _ => Some(stored.clone()),
    };
    match Circle::of(ctx, &header.conversation)?.zip(text) {
        Some((circle, text)) if is_deleted(ctx, &circle, &text.entry)? => ctx.tx.drop_body(entry),
        // The deletion was found not to count.
        _ => ctx.tx.put_expiry(entry, header.expires),
    }
}

/// Whether a deletion of a text by its author is held and counts. That of an admin may be found to be none's.
pub(super) fn is_deleted(
    ctx: &Context<'_>,
    circle: &Circle,
    entry: &SignedEntry,
) -> Result<bool, StoreError> {
    let header = &entry.header;
    let author = circle.user_of(ctx, &header.device);
    for said in ctx.tx.annotations(&header.conversation, &entry.id, ANNOTATIONS_MAX)? {
        let is_deletion =
            matches!(&said.entry.body.content, Content::Annotation(said) if said.act == Act::Delete);
        let maker = circle.user_of(ctx, &said.entry.header.device);
        if is_deletion && maker.is_some() && maker == author && log::counts(ctx.tx, &said)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether an entry may come without what it said: its time is over, or it is known here that its author deleted it.
pub(super) fn may_be_gone(ctx: &Context<'_>, entry: &SignedEntry) -> Result<bool, StoreError> {
    if is_over(&entry.header, ctx.now) {
        return Ok(true);
    }
    match Circle::of(ctx, &entry.header.conversation)? {
        Some(circle) => is_deleted(ctx, &circle, entry),
        None => Ok(false),
    }
}
