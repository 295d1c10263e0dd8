//! What entries say is dropped when their time is over, and when their author deleted them; their headers stay, so that
//! the log holds together (spec: `log.md`, "Without a body").

use std::collections::BTreeSet;

use undertone_protocol::entry::{Act, Content, EntryBody, EntryHeader, SignedEntry};
use undertone_protocol::limits::{ANNOTATIONS_MAX, DELETED_BODY_LIFE};
use undertone_protocol::time::Timestamp;

use super::circle::Circle;
use super::context::Context;
use super::history;
use crate::event::Event;
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

/// Takes note of a new entry: when it vanishes, and whether it, or the one that it is about, was deleted.
pub(super) fn note(ctx: &mut Context<'_>, circle: &Circle, stored: &StoredEntry) -> Result<(), StoreError> {
    let SignedEntry { id, header, body, .. } = &stored.entry;
    look_at(ctx, header.expires);
    let about = match &body.content {
        Content::Annotation(said) if matches!(said.act, Act::Delete | Act::Drop) => said.entry,
        Content::Annotation(_) | Content::Text(_) => *id,
        _ => return Ok(()),
    };
    match ctx.tx.entry(&about)? {
        Some(about) if is_named(ctx, circle, &about.entry)? => drop_later(ctx, &about.entry),
        _ => Ok(()),
    }
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
    let mut lacked = BTreeSet::new();
    for entry in ctx.tx.expired(ctx.now, DROPPED_MAX)? {
        let Some(StoredEntry { entry, .. }) = ctx.tx.entry(&entry)? else { continue };
        drop_if_over(ctx, &entry)?;
        if entry.header.device == ctx.me.device {
            lacked.insert(entry.header.conversation);
        }
    }
    // It is not sealed again any more: whoever waits for it gets what is left.
    for conversation in lacked {
        history::look_at_gone(ctx, &conversation)?;
    }
    ctx.agenda.vanishes_at = ctx.tx.next_expiry()?;
    Ok(())
}

fn drop_if_over(ctx: &mut Context<'_>, entry: &SignedEntry) -> Result<(), StoreError> {
    if is_over(&entry.header, ctx.now) {
        ctx.events.push(Event::Hidden { id: entry.id.to_hex() });
        return ctx.tx.drop_body(&entry.id);
    }
    match Circle::of(ctx, &entry.header.conversation)? {
        Some(circle) if is_named(ctx, &circle, entry)? => {
            if is_of_deleted(ctx, &circle, entry)? {
                ctx.tx.drop_body(&entry.id)
            } else {
                drop_later(ctx, entry)
            }
        }
        // What named it was found not to count.
        _ => ctx.tx.put_expiry(&entry.id, entry.header.expires),
    }
}

/// Whether it is a text, or the text is deleted too that it changed.
fn is_of_deleted(ctx: &Context<'_>, circle: &Circle, entry: &SignedEntry) -> Result<bool, StoreError> {
    let Content::Annotation(said) = &entry.body.content else { return Ok(true) };
    match ctx.tx.entry(&said.entry)? {
        Some(text) if text.entry.header.conversation == entry.header.conversation => {
            is_deleted(ctx, circle, &text.entry)
        }
        _ => Ok(false),
    }
}

/// Whether it is held, and counts, that its author deleted a text. That of an admin may be found to be none's.
pub(super) fn is_deleted(
    ctx: &Context<'_>,
    circle: &Circle,
    entry: &SignedEntry,
) -> Result<bool, StoreError> {
    did_author(ctx, circle, entry, &[Act::Delete])
}

/// Whether the author of an entry deleted it, if it is a text, or had it dropped, if it is an edit. What it was is
/// not known of one that says nothing any more.
fn is_named(ctx: &Context<'_>, circle: &Circle, entry: &SignedEntry) -> Result<bool, StoreError> {
    match &entry.body.content {
        Content::Text(_) => did_author(ctx, circle, entry, &[Act::Delete]),
        Content::Annotation(said) if matches!(said.act, Act::Edit(_)) => {
            did_author(ctx, circle, entry, &[Act::Drop])
        }
        Content::Gone => did_author(ctx, circle, entry, &[Act::Delete, Act::Drop]),
        _ => Ok(false),
    }
}

/// Whether something is held, and counts, that an entry's author did to it.
fn did_author(
    ctx: &Context<'_>,
    circle: &Circle,
    entry: &SignedEntry,
    acts: &[Act],
) -> Result<bool, StoreError> {
    let header = &entry.header;
    let Some(author) = circle.user_of(ctx, &header.device) else { return Ok(false) };
    let mut said = ctx.tx.annotations(&header.conversation, &entry.id, ANNOTATIONS_MAX)?.into_iter();
    Ok(said.any(|said| {
        let Content::Annotation(annotation) = &said.entry.body.content else { return false };
        acts.contains(&annotation.act) && circle.user_of(ctx, &said.entry.header.device) == Some(author)
    }))
}

/// Whether an entry may come without what it said: its time is over, or it is known here that its author deleted it.
pub(super) fn may_be_gone(ctx: &Context<'_>, entry: &SignedEntry) -> Result<bool, StoreError> {
    if is_over(&entry.header, ctx.now) {
        return Ok(true);
    }
    match Circle::of(ctx, &entry.header.conversation)? {
        Some(circle) => is_named(ctx, &circle, entry),
        None => Ok(false),
    }
}
