//! Messages as they show: with what was said of them (spec: `messages.md`).

use undertone_protocol::entry::{Content, EntryHeader, Text};
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId, UserId};
use undertone_protocol::limits::ANNOTATIONS_MAX;
use undertone_protocol::log::{Annotated, Authority, Equals, Made, OrderKey};
use undertone_protocol::time::Timestamp;

use super::context::Context;
use super::own;
use crate::command::{MentionView, MessageView, ReactionView, ReplyView};
use crate::log;
use crate::store::{Contact, ContactState, StoreError, StoredEntry};

/// Characters of a message that an answer to it quotes.
const QUOTE_CHARS_MAX: usize = 120;

/// Who may do to others' messages what only their author may else.
pub(super) const fn authority(_: &Contact) -> &'static dyn Authority {
    &Equals
}

/// The user whose device it is.
pub(super) fn user_of(ctx: &Context<'_>, contact: &Contact, device: &DeviceId) -> UserId {
    if own::is_own(ctx, device) { ctx.me.user } else { contact.user }
}

/// Who is in a conversation, with what they are called.
pub(super) fn members(ctx: &Context<'_>, contact: &Contact) -> Vec<(UserId, String)> {
    let me = (ctx.me.user, ctx.me.account.name.to_string());
    let other = (contact.user, contact.name.to_string());
    if own::is_me(ctx, contact) { vec![me] } else { vec![me, other] }
}

/// What a user is called here.
fn name_of(ctx: &Context<'_>, user: &UserId) -> Result<String, StoreError> {
    if *user == ctx.me.user {
        return Ok(ctx.me.account.name.to_string());
    }
    Ok(ctx.tx.contact(user)?.map_or_else(|| user.short(), |contact| contact.name.to_string()))
}

/// Whether something came before its author was blocked, or nobody is.
fn came_in_time(contact: &Contact, stored: &StoredEntry) -> bool {
    let since = match contact.state {
        ContactState::Blocked(block) => block.since,
        _ => Timestamp::from_ms(u64::MAX),
    };
    stored.received < since
}

/// Whether the user deleted it for themselves.
fn is_hidden(ctx: &Context<'_>, entry: &EntryId) -> Result<bool, StoreError> {
    ctx.tx.is_hidden(&ctx.me.direct(&ctx.me.user), entry)
}

/// Whether an entry is a line of the conversation with a contact, to be seen by the user. Its cut is not looked at.
pub(super) fn is_line(
    ctx: &Context<'_>,
    contact: &Contact,
    stored: &StoredEntry,
) -> Result<bool, StoreError> {
    let is_line = match stored.entry.body.content {
        Content::Text(_) | Content::Devices(_) | Content::Unknown => true,
        Content::Account(_) | Content::Annotation(_) | Content::Hidden(_) => false,
    };
    Ok(is_line && came_in_time(contact, stored) && !is_hidden(ctx, &stored.entry.id)?)
}

/// The annotations of an entry that may count.
pub(super) fn annotations(
    ctx: &Context<'_>,
    contact: &Contact,
    header: &EntryHeader,
    entry: &EntryId,
) -> Result<Vec<StoredEntry>, StoreError> {
    let mut entries = ctx.tx.annotations(&header.conversation, entry, ANNOTATIONS_MAX)?;
    entries.retain(|stored| came_in_time(contact, stored));
    Ok(entries)
}

/// An annotation with its maker; `None` for what is none.
pub(super) fn made<'a>(ctx: &Context<'_>, contact: &Contact, stored: &'a StoredEntry) -> Option<Made<'a>> {
    let device = stored.entry.header.device;
    let place = OrderKey { effective: stored.effective, device, entry: stored.entry.id };
    Made::of(&stored.entry, user_of(ctx, contact, &device), place)
}

/// A text with what was said of it; `None` for what is no text.
pub(super) fn annotated(
    ctx: &Context<'_>,
    contact: &Contact,
    stored: &StoredEntry,
) -> Result<Option<Annotated>, StoreError> {
    let Content::Text(text) = &stored.entry.body.content else { return Ok(None) };
    let header = &stored.entry.header;
    let entries = annotations(ctx, contact, header, &stored.entry.id)?;
    let author = user_of(ctx, contact, &header.device);
    let made = entries.iter().filter_map(|stored| made(ctx, contact, stored));
    Ok(Some(Annotated::of(text, &author, made, authority(contact))))
}

/// Says in a message's view what became of it.
pub(super) fn describe(
    ctx: &Context<'_>,
    contact: &Contact,
    stored: &StoredEntry,
    view: &mut MessageView,
) -> Result<(), StoreError> {
    let Some(annotated) = annotated(ctx, contact, stored)? else { return Ok(()) };
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
        view.reply_to = Some(Box::new(quote(ctx, contact, &stored.entry.header.conversation, &entry)?));
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
    contact: &Contact,
    conversation: &ConversationId,
    entry: &EntryId,
) -> Result<ReplyView, StoreError> {
    let mut view = ReplyView { id: entry.to_hex(), from: None, text: None, deleted: false };
    let Some(stored) = ctx.tx.entry(entry)? else { return Ok(view) };
    let header = &stored.entry.header;
    if header.conversation != *conversation
        || !log::counts(ctx.tx, &stored)?
        || !is_line(ctx, contact, &stored)?
    {
        return Ok(view);
    }
    let Some(annotated) = annotated(ctx, contact, &stored)? else { return Ok(view) };
    view.deleted = annotated.is_deleted();
    if let Some(text) = annotated.text {
        view.from = Some(name_of(ctx, &user_of(ctx, contact, &header.device))?);
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
