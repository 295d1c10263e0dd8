//! Messages as they show: with what was said of them (spec: `messages.md`).

use std::collections::BTreeSet;

use undertone_protocol::entry::{Content, EntryHeader, Text};
use undertone_protocol::ids::{ConversationId, EntryId, UserId};
use undertone_protocol::limits::ANNOTATIONS_MAX;
use undertone_protocol::log::{Annotated, Authority, Equals, Made, OrderKey};
use undertone_protocol::membership::Role;
use undertone_protocol::time::Timestamp;

use super::circle::{Circle, name_of};
use super::context::Context;
use super::membership;
use super::vanishing::is_over;
use crate::command::{MentionView, MessageView, ReactionView, ReplyView};
use crate::log;
use crate::store::{ContactState, StoreError, StoredEntry};

/// Characters of a message that an answer to it quotes.
const QUOTE_CHARS_MAX: usize = 120;

/// Who may do to others' messages what only their author may else: in a group its admins, as the makers of annotations
/// knew the group.
pub(super) enum Rights {
    Equals,
    /// What admins made.
    Admins(BTreeSet<EntryId>),
}

impl Authority for Rights {
    fn deletes_others(&self, made: &Made<'_>) -> bool {
        match self {
            Self::Equals => Equals.deletes_others(made),
            Self::Admins(made_by_admins) => made_by_admins.contains(&made.place.entry),
        }
    }

    fn pins(&self, made: &Made<'_>) -> bool {
        Equals.pins(made)
    }
}

impl Rights {
    /// Of the makers of these entries.
    pub(super) fn of<'a>(
        ctx: &Context<'_>,
        circle: &Circle,
        entries: impl IntoIterator<Item = &'a StoredEntry>,
    ) -> Self {
        let Circle::Group(group) = circle else { return Self::Equals };
        let by_admin = |stored: &&StoredEntry| {
            let header = &stored.entry.header;
            let user = circle.user_of(ctx, &header.device);
            let view = ctx.groups.view_at(&group.id, &membership::heads_of(header));
            let role = view.zip(user).and_then(|(view, user)| view.role(&user));
            role.is_some_and(|role| role <= Role::Admin)
        };
        Self::Admins(entries.into_iter().filter(by_admin).map(|stored| stored.entry.id).collect())
    }
}

/// Whether this user may delete others' messages for everyone.
pub(super) fn may_delete_others(ctx: &Context<'_>, circle: &Circle) -> bool {
    let Circle::Group(group) = circle else { return false };
    let role = ctx.groups.view(&group.id).and_then(|view| view.role(&ctx.me.user));
    role.is_some_and(|role| role <= Role::Admin)
}

/// Who is in a conversation, with what they are called.
pub(super) fn members(ctx: &Context<'_>, circle: &Circle) -> Result<Vec<(UserId, String)>, StoreError> {
    let mut members = vec![(ctx.me.user, ctx.me.account.name.to_string())];
    let people = circle.people(ctx)?.into_iter().filter(|person| person.user != ctx.me.user);
    members.extend(people.map(|person| (person.user, person.name.to_string())));
    Ok(members)
}

/// Whether something came before its author was blocked, or nobody is.
fn came_in_time(circle: &Circle, stored: &StoredEntry) -> bool {
    let since = match circle.contact().map(|contact| contact.state) {
        Some(ContactState::Blocked(block)) => block.since,
        _ => Timestamp::from_ms(u64::MAX),
    };
    stored.received < since
}

/// Whether the user deleted it for themselves.
fn is_hidden(ctx: &Context<'_>, entry: &EntryId) -> Result<bool, StoreError> {
    ctx.tx.is_hidden(&ctx.me.direct(&ctx.me.user), entry)
}

/// Whether an entry is a line of the conversation with a contact, to be seen by the user. Its cut is not looked at.
pub(super) fn is_line(ctx: &Context<'_>, circle: &Circle, stored: &StoredEntry) -> Result<bool, StoreError> {
    let is_line = match stored.entry.body.content {
        // Deleted, or it would be over.
        Content::Gone => true,
        Content::Text(_) | Content::Devices(_) | Content::Unknown => true,
        // Of a contact alone there is no membership.
        Content::Operation(_) => matches!(circle, Circle::Group(_)),
        Content::Account(_) | Content::Annotation(_) | Content::Hidden(_) => false,
    };
    let is_over = is_over(&stored.entry.header, ctx.now);
    Ok(is_line && !is_over && came_in_time(circle, stored) && !is_hidden(ctx, &stored.entry.id)?)
}

/// The annotations of an entry that may count.
pub(super) fn annotations(
    ctx: &Context<'_>,
    circle: &Circle,
    header: &EntryHeader,
    entry: &EntryId,
) -> Result<Vec<StoredEntry>, StoreError> {
    let mut entries = ctx.tx.annotations(&header.conversation, entry, ANNOTATIONS_MAX)?;
    entries.retain(|stored| came_in_time(circle, stored));
    Ok(entries)
}

/// An annotation with its maker; `None` for what is none.
pub(super) fn made<'a>(ctx: &Context<'_>, circle: &Circle, stored: &'a StoredEntry) -> Option<Made<'a>> {
    let device = stored.entry.header.device;
    let place = OrderKey { effective: stored.effective, device, entry: stored.entry.id };
    Made::of(&stored.entry, circle.user_of(ctx, &device)?, place)
}

/// A text with what was said of it; `None` for what is no text.
pub(super) fn annotated(
    ctx: &Context<'_>,
    circle: &Circle,
    stored: &StoredEntry,
) -> Result<Option<Annotated>, StoreError> {
    let text = match &stored.entry.body.content {
        Content::Text(text) => text,
        Content::Gone => return Ok(Some(Annotated::deleted())),
        _ => return Ok(None),
    };
    let header = &stored.entry.header;
    let entries = annotations(ctx, circle, header, &stored.entry.id)?;
    let Some(author) = circle.user_of(ctx, &header.device) else { return Ok(None) };
    let made = entries.iter().filter_map(|stored| made(ctx, circle, stored));
    Ok(Some(Annotated::of(text, &author, made, &Rights::of(ctx, circle, &entries))))
}

/// Says in a message's view what became of it.
pub(super) fn describe(
    ctx: &Context<'_>,
    circle: &Circle,
    stored: &StoredEntry,
    view: &mut MessageView,
) -> Result<(), StoreError> {
    let Some(annotated) = annotated(ctx, circle, stored)? else { return Ok(()) };
    let Some(text) = annotated.text else {
        view.deleted = true;
        view.text = String::new();
        return Ok(());
    };
    let Text { text, reply_to, forwarded, mentions } = text;
    view.text = text;
    view.forwarded = forwarded;
    view.edited = annotated.edited;
    view.pinned = annotated.pinned;
    if let Some(entry) = reply_to {
        view.reply_to = Some(Box::new(quote(ctx, circle, &stored.entry.header.conversation, &entry)?));
    }
    for user in mentions {
        let (me, name) = (user == ctx.me.user, name_of(ctx, &user)?);
        view.mentions.push(MentionView { user: user.to_hex(), name, me });
    }
    for (user, reaction) in annotated.reactions {
        let (mine, from) = (user == ctx.me.user, name_of(ctx, &user)?);
        view.reactions.push(ReactionView { from, mine, reaction });
    }
    Ok(())
}

/// What an answer shows of the message that it answers.
fn quote(
    ctx: &Context<'_>,
    circle: &Circle,
    conversation: &ConversationId,
    entry: &EntryId,
) -> Result<ReplyView, StoreError> {
    let mut view = ReplyView { id: entry.to_hex(), from: None, text: None, deleted: false };
    let Some(stored) = ctx.tx.entry(entry)? else { return Ok(view) };
    let header = &stored.entry.header;
    if header.conversation != *conversation
        || !log::counts(ctx.tx, &stored)?
        || !is_line(ctx, circle, &stored)?
    {
        return Ok(view);
    }
    let Some(annotated) = annotated(ctx, circle, &stored)? else { return Ok(view) };
    view.deleted = annotated.is_deleted();
    if let Some(text) = annotated.text {
        view.from = Some(circle.author(ctx, &header.device)?);
        view.text = Some(beginning(&text.text));
    }
    Ok(view)
}

/// How a text begins, in one line.
fn beginning(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let mut chars = line.chars();
    let mut beginning: String = chars.by_ref().take(QUOTE_CHARS_MAX).collect();
    if chars.next().is_some() || line.len() < text.len() {
        beginning.push('…');
    }
    beginning
}

/// The bytes of what others wrote in a view: an answer has room for so many.
pub(super) fn bytes(view: &MessageView) -> usize {
    let quote = view.reply_to.as_ref().and_then(|reply| reply.text.as_ref()).map_or(0, String::len);
    let reactions: usize = view.reactions.iter().map(|one| one.reaction.len() + one.from.len()).sum();
    let mentions: usize = view.mentions.iter().map(|one| one.user.len() + one.name.len()).sum();
    view.text.len() + quote + reactions + mentions
}
