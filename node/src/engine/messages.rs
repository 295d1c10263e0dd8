//! Commands about one message: it is found by the beginning of its id, answered, forwarded, changed, hidden.

use undertone_protocol::entry::{Act, Annotation, Content, EntryBody, Text, check_reaction, check_text};
use undertone_protocol::ids::EntryId;
use undertone_protocol::limits::OUTBOX_ITEMS_MAX;
use undertone_protocol::log::Annotated;

use super::answers::{Answer, error, later, now};
use super::circle::Circle;
use super::context::Context;
use super::waiters::Condition;
use super::{info, own, shown, texts, views, writing};
use crate::command::{CommandError, CountView, ErrorKind, Response, quoted};
use crate::log;
use crate::store::{Contact, ContactState, StoreError, StoredEntry};

/// Edits of one text that are dropped with it; each is an entry of its own.
const EDITS_DROPPED_MAX: usize = 64;

/// Digits of an id that name a message at the least.
const DIGITS_MIN: usize = 6;
/// Entries with ids that begin alike, and are looked at.
const ALIKE_MAX: usize = 64;

/// Why nothing can be written in a conversation.
pub(super) fn hindrance(ctx: &Context<'_>, circle: &Circle) -> Result<Option<CommandError>, StoreError> {
    let why = match circle {
        Circle::Direct(contact) => not_to(contact),
        Circle::Group(group) if !circle.is_open() => {
            Some(format!("you are not in {} any more: it only shows what was said", group.name))
        }
        Circle::Group(group) => {
            let may_write = ctx.groups.view(&group.id).is_some_and(|view| view.may_write(&ctx.me.user));
            (!may_write).then(|| {
                let name = quoted(&group.name);
                format!("you may not write in {}: `undertone group show {name}` says who may", group.name)
            })
        }
    };
    if let Some(why) = why {
        return Ok(Some(CommandError::new(ErrorKind::Conflict, why)));
    }
    let is_full = ctx.tx.outbox_len()? >= OUTBOX_ITEMS_MAX;
    let message = format!("{OUTBOX_ITEMS_MAX} things are on their way out already: wait until some arrived");
    Ok(is_full.then(|| CommandError::new(ErrorKind::Limit, message)))
}

fn not_to(contact: &Contact) -> Option<String> {
    match contact.state {
        ContactState::Requested | ContactState::Declined => {
            let name = quoted(contact.name.as_str());
            Some(format!("{} asked you first: `undertone contact accept {name}`", contact.name))
        }
        ContactState::Blocked(_) => Some(blocked(contact)),
        ContactState::Member => Some(format!(
            "{} is in a group with you, and no contact: ask them for a link, `undertone contact add`",
            contact.name
        )),
        ContactState::Requesting | ContactState::Accepted => None,
    }
}

pub(super) fn blocked(contact: &Contact) -> String {
    format!("{} is blocked: `undertone contact unblock {}`", contact.name, quoted(contact.name.as_str()))
}

/// The message of a conversation whose id begins so, and that the user can see.
fn find(
    ctx: &Context<'_>,
    circle: &Circle,
    prefix: &str,
) -> Result<Result<StoredEntry, CommandError>, StoreError> {
    let prefix = prefix.trim().to_lowercase();
    let Some((first, last)) = bounds(&prefix) else {
        let message = format!(
            "\"{prefix}\" names no message: write at least {DIGITS_MIN} digits of its id, as `undertone history {}` \
             shows them",
            quoted(&circle.name())
        );
        return Ok(Err(CommandError::new(ErrorKind::Invalid, message)));
    };
    let mut found = Vec::new();
    for stored in ctx.tx.entries_within(&circle.conversation(ctx), &first, &last, ALIKE_MAX)? {
        if log::counts(ctx.tx, &stored)? && shown::is_line(ctx, circle, &stored)? {
            found.push(stored);
        }
    }
    let (kind, message) = match found.len() {
        1 => return Ok(found.pop().ok_or_else(unknown(circle, &prefix))),
        0 => return Ok(Err(unknown(circle, &prefix)())),
        _ => (ErrorKind::Invalid, format!("several messages begin with {prefix}: write more digits")),
    };
    Ok(Err(CommandError::new(kind, message)))
}

fn unknown(circle: &Circle, prefix: &str) -> impl FnOnce() -> CommandError {
    let message = format!("no message in {} begins with {prefix}", circle.name());
    move || CommandError::new(ErrorKind::Unknown, message)
}

/// The first and the last id that begin with these digits.
fn bounds(prefix: &str) -> Option<(EntryId, EntryId)> {
    let is_hex = prefix.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_hex || !(DIGITS_MIN..=2 * EntryId::LEN).contains(&prefix.len()) {
        return None;
    }
    let filled = |with: char| {
        let digits: String = prefix.chars().chain(std::iter::repeat(with)).take(2 * EntryId::LEN).collect();
        let bytes = data_encoding::HEXLOWER.decode(digits.as_bytes()).ok()?;
        EntryId::from_slice(&bytes).ok()
    };
    Some((filled('0')?, filled('f')?))
}

/// A message that is a text, and not deleted.
struct Found {
    stored: StoredEntry,
    shows: Annotated,
    text: Text,
}

fn find_text(
    ctx: &Context<'_>,
    circle: &Circle,
    prefix: &str,
) -> Result<Result<Found, CommandError>, StoreError> {
    let stored = match find(ctx, circle, prefix)? {
        Ok(stored) => stored,
        Err(problem) => return Ok(Err(problem)),
    };
    Ok(match shown::annotated(ctx, circle, &stored)? {
        Some(shows) => match shows.text.clone() {
            Some(text) => Ok(Found { stored, shows, text }),
            None => Err(CommandError::new(ErrorKind::Conflict, "the message was deleted")),
        },
        None => {
            Err(CommandError::new(ErrorKind::Invalid, "that is a notice, and no message that anybody wrote"))
        }
    })
}

/// Unwraps, or answers with the error.
macro_rules! found {
    ($result:expr) => {
        match $result? {
            Ok(found) => found,
            Err(problem) => return Ok(Err(problem)),
        }
    };
}

/// Answers with the error, if there is one.
macro_rules! unless {
    ($hindrance:expr) => {
        if let Some(problem) = $hindrance? {
            return Ok(Err(problem));
        }
    };
}

pub(super) fn reply(
    ctx: &mut Context<'_>,
    circle: &Circle,
    message: &str,
    text: &str,
) -> Result<Answer, StoreError> {
    unless!(hindrance(ctx, circle));
    let found = found!(find_text(ctx, circle, message));
    match texts::body(ctx, circle, text, Some(found.stored.entry.id))? {
        Ok(body) => append(ctx, circle, body),
        Err(problem) => error(ErrorKind::Invalid, problem.to_string()),
    }
}

/// Sends the text as it shows now. It answers nothing, and mentions nobody.
pub(super) fn forward(
    ctx: &mut Context<'_>,
    circle: &Circle,
    message: &str,
    to: &Circle,
) -> Result<Answer, StoreError> {
    unless!(hindrance(ctx, to));
    let found = found!(find_text(ctx, circle, message));
    let text = Text { forwarded: true, ..Text::plain(&found.text.text) };
    match EntryBody::new(Content::Text(text), ctx.rng) {
        Ok(body) => append(ctx, to, body),
        Err(problem) => error(ErrorKind::Invalid, problem.to_string()),
    }
}

pub(super) fn react(
    ctx: &mut Context<'_>,
    circle: &Circle,
    message: &str,
    reaction: &str,
) -> Result<Answer, StoreError> {
    unless!(hindrance(ctx, circle));
    let reaction = reaction.trim();
    if let Err(problem) = check_reaction(reaction) {
        return error(ErrorKind::Invalid, problem.to_string());
    }
    if reaction.chars().any(char::is_control) {
        return error(ErrorKind::Invalid, "a reaction is one line");
    }
    let found = found!(find_text(ctx, circle, message));
    let known = found.shows.reactions.get(&ctx.me.user).map_or("", String::as_str);
    if known == reaction {
        return as_it_is(ctx, circle, &found.stored);
    }
    annotate(ctx, circle, &found.stored, Act::Reaction(reaction.to_owned()))
}

pub(super) fn edit(
    ctx: &mut Context<'_>,
    circle: &Circle,
    message: &str,
    text: &str,
) -> Result<Answer, StoreError> {
    unless!(hindrance(ctx, circle));
    if let Err(problem) = check_text(text) {
        return error(ErrorKind::Invalid, problem.to_string());
    }
    let found = found!(find_text(ctx, circle, message));
    if !is_mine(ctx, circle, &found.stored) {
        return error(ErrorKind::Conflict, "only who wrote a message can edit it");
    }
    if found.text.text == text {
        return as_it_is(ctx, circle, &found.stored);
    }
    let text = Text { mentions: texts::mentions(ctx, circle, text)?, ..Text::plain(text) };
    annotate(ctx, circle, &found.stored, Act::Edit(text))
}

pub(super) fn delete(ctx: &mut Context<'_>, circle: &Circle, message: &str) -> Result<Answer, StoreError> {
    unless!(hindrance(ctx, circle));
    let found = found!(find_text(ctx, circle, message));
    if !is_mine(ctx, circle, &found.stored) && !shown::may_delete_others(ctx, circle) {
        let message =
            "only who wrote a message can delete it for everyone: `--for-me` takes it off your own devices";
        return error(ErrorKind::Conflict, message);
    }
    let answer = annotate(ctx, circle, &found.stored, Act::Delete)?;
    if is_mine(ctx, circle, &found.stored) {
        drop_edits(ctx, circle, &found.stored)?;
    }
    Ok(answer)
}

/// What a text was changed to goes with it.
fn drop_edits(ctx: &mut Context<'_>, circle: &Circle, text: &StoredEntry) -> Result<(), StoreError> {
    for id in ctx.tx.edits(&text.entry.header.conversation, &text.entry.id, EDITS_DROPPED_MAX)? {
        let held = ctx.tx.entry(&id)?;
        if held.is_none_or(|edit| edit.entry.body.is_gone() || !is_mine(ctx, circle, &edit)) {
            continue;
        }
        let drop = Content::Annotation(Annotation { entry: id, act: Act::Drop });
        if let Ok(body) = EntryBody::new(drop, ctx.rng) {
            writing::append_to(ctx, circle, body)?;
        }
    }
    Ok(())
}

pub(super) fn pin(
    ctx: &mut Context<'_>,
    circle: &Circle,
    message: &str,
    pinned: bool,
) -> Result<Answer, StoreError> {
    unless!(hindrance(ctx, circle));
    let found = found!(find_text(ctx, circle, message));
    if found.shows.pinned == pinned {
        return as_it_is(ctx, circle, &found.stored);
    }
    annotate(ctx, circle, &found.stored, Act::Pin(pinned))
}

/// Deletes a message for this user, on all their devices; nobody else is told.
pub(super) fn hide(ctx: &mut Context<'_>, circle: &Circle, message: &str) -> Result<Answer, StoreError> {
    let stored = found!(find(ctx, circle, message));
    let Some(own) = own::own_contact(ctx)? else {
        return error(ErrorKind::Conflict, "this device belongs to no user yet");
    };
    let body = match EntryBody::new(Content::Hidden(vec![stored.entry.id]), ctx.rng) {
        Ok(body) => body,
        Err(problem) => return error(ErrorKind::Internal, problem.to_string()),
    };
    writing::append(ctx, &own, body)?;
    now(Response::Count(CountView { name: circle.name(), messages: 1 }))
}

pub(super) fn info(ctx: &Context<'_>, circle: &Circle, message: &str) -> Result<Answer, StoreError> {
    let stored = found!(find(ctx, circle, message));
    now(Response::Info(info::view(ctx, circle, &stored)?))
}

fn is_mine(ctx: &Context<'_>, circle: &Circle, stored: &StoredEntry) -> bool {
    circle.user_of(ctx, &stored.entry.header.device) == Some(ctx.me.user)
}

fn as_it_is(ctx: &Context<'_>, circle: &Circle, stored: &StoredEntry) -> Result<Answer, StoreError> {
    now(Response::Message(views::message(ctx, circle, stored)?))
}

fn annotate(
    ctx: &mut Context<'_>,
    circle: &Circle,
    stored: &StoredEntry,
    act: Act,
) -> Result<Answer, StoreError> {
    let annotation = Annotation { entry: stored.entry.id, act };
    match EntryBody::new(Content::Annotation(annotation), ctx.rng) {
        Ok(body) => append(ctx, circle, body),
        Err(problem) => error(ErrorKind::Invalid, problem.to_string()),
    }
}

fn append(ctx: &mut Context<'_>, circle: &Circle, body: EntryBody) -> Result<Answer, StoreError> {
    let entry = writing::append_to(ctx, circle, body)?;
    later(Condition::Sent { entry })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_an_id_has_bounds() {
        let (first, last) = bounds("0aBcde7".to_lowercase().as_str()).unwrap();
        assert_eq!(first.as_bytes()[..4], [0x0a, 0xbc, 0xde, 0x70]);
        assert_eq!(last.as_bytes()[..4], [0x0a, 0xbc, 0xde, 0x7f]);
        assert_eq!((first.as_bytes()[31], last.as_bytes()[31]), (0, 0xff));
        for bad in ["", "abcde", "abcdeg", "äbcdef", &"a".repeat(65)] {
            assert!(bounds(bad).is_none(), "{bad}");
        }
        assert!(bounds(&"a".repeat(64)).is_some_and(|(first, last)| first == last));
    }
}
