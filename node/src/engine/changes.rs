//! What is done to messages: told as it comes, and listed (spec: `messages.md`).

use undertone_protocol::entry::{Act, Annotation, Content};
use undertone_protocol::ids::EntryId;
use undertone_protocol::log::may_annotate;

use super::circle::Circle;
use super::context::Context;
use super::shown::{Rights, annotations, is_line, made};
use super::views;
use crate::command::{ChangeView, MessageView};
use crate::event::Event;
use crate::log;
use crate::store::{StoreError, StoredEntry};

/// A message by its id; by that of an annotation, the message that it changes, and the change.
pub(super) fn message_by_id(ctx: &Context<'_>, id: &EntryId) -> Result<Option<MessageView>, StoreError> {
    let Some(stored) = ctx.tx.entry(id)? else { return Ok(None) };
    let Some(circle) = Circle::of(ctx, &stored.entry.header.conversation)? else { return Ok(None) };
    if let Content::Annotation(annotation) = &stored.entry.body.content
        && let Some(target) = ctx.tx.entry(&annotation.entry)?
    {
        let change = change(ctx, &circle, &stored)?.map(Box::new);
        return Ok(Some(MessageView { change, ..views::message(ctx, &circle, &target)? }));
    }
    Ok(Some(views::message(ctx, &circle, &stored)?))
}

/// Tells of an entry that came and counts.
pub(super) fn tell(ctx: &mut Context<'_>, circle: &Circle, stored: &StoredEntry) -> Result<(), StoreError> {
    match &stored.entry.body.content {
        Content::Annotation(annotation) => tell_change(ctx, circle, stored, annotation),
        Content::Hidden(entries) if circle.is_account(ctx) => {
            let hidden = entries.iter().map(|entry| Event::Hidden { id: entry.to_hex() });
            ctx.events.extend(hidden);
            Ok(())
        }
        _ if is_line(ctx, circle, stored)? => {
            let message = views::message(ctx, circle, stored)?;
            ctx.events.push(Event::Message { message });
            Ok(())
        }
        _ => Ok(()),
    }
}

fn tell_change(
    ctx: &mut Context<'_>,
    circle: &Circle,
    stored: &StoredEntry,
    annotation: &Annotation,
) -> Result<(), StoreError> {
    // Where it came first, the message is told as it shows by then.
    let Some(target) = ctx.tx.entry(&annotation.entry)? else { return Ok(()) };
    let header = &target.entry.header;
    if header.conversation != stored.entry.header.conversation
        || !matches!(target.entry.body.content, Content::Text(_) | Content::Gone)
        || !log::counts(ctx.tx, &target)?
        || !is_line(ctx, circle, &target)?
    {
        return Ok(());
    }
    let rights = Rights::of(ctx, circle, [stored]);
    let author = circle.user_of(ctx, &header.device);
    let may = made(ctx, circle, stored)
        .zip(author)
        .is_some_and(|(made, author)| may_annotate(&made, &author, &rights));
    if !may {
        let device = stored.entry.header.device;
        tracing::warn!(device = %device.short(), "somebody changed a message that they may not change");
        return Ok(());
    }
    let message = views::message(ctx, circle, &target)?;
    ctx.events.push(Event::Changed { message });
    Ok(())
}

/// What was done to a message and counts, in order.
pub(super) fn of(
    ctx: &Context<'_>,
    circle: &Circle,
    target: &StoredEntry,
) -> Result<Vec<ChangeView>, StoreError> {
    let header = &target.entry.header;
    let Some(author) = circle.user_of(ctx, &header.device) else { return Ok(Vec::new()) };
    let mut entries = annotations(ctx, circle, header, &target.entry.id)?;
    entries.sort_by_key(|stored| (stored.effective, stored.entry.header.device, stored.entry.id));
    let rights = Rights::of(ctx, circle, &entries);
    let mut changes = Vec::new();
    for stored in entries {
        let Some(made) = made(ctx, circle, &stored) else { continue };
        if may_annotate(&made, &author, &rights) {
            changes.extend(change(ctx, circle, &stored)?);
        }
    }
    Ok(changes)
}

/// An annotation by itself; `None` for what is none.
fn change(
    ctx: &Context<'_>,
    circle: &Circle,
    stored: &StoredEntry,
) -> Result<Option<ChangeView>, StoreError> {
    let Content::Annotation(annotation) = &stored.entry.body.content else { return Ok(None) };
    let kind = match &annotation.act {
        Act::Reaction(reaction) if reaction.is_empty() => "reaction_off",
        Act::Reaction(_) => "reaction",
        Act::Edit(_) => "edit",
        Act::Delete => "delete",
        Act::Pin(true) => "pin",
        Act::Pin(false) => "pin_off",
        Act::Drop | Act::Unknown => return Ok(None),
    };
    let MessageView { id, from, mine, time_ms, state, failed, retry, note, .. } =
        views::message(ctx, circle, stored)?;
    Ok(Some(ChangeView { id, kind: kind.to_owned(), from, mine, time_ms, state, failed, retry, note }))
}
