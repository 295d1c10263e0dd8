//! Commands about one message: it is found by the beginning of its id, answered, forwarded, changed, hidden.

use undertone_protocol::entry::{Act, Annotation, Content, EntryBody, Text, check_reaction, check_text};
use undertone_protocol::ids::EntryId;
use undertone_protocol::limits::OUTBOX_ITEMS_MAX;
use undertone_protocol::log::Annotated;

use super::answers::{Answer, error, later, now};
use super::context::Context;
use super::waiters::Condition;
use super::{info, own, shown, texts, views, writing};
use crate::command::{CommandError, CountView, ErrorKind, Response};
use crate::log;
use crate::store::{Contact, ContactState, StoreError, StoredEntry};

/// Digits of an id that name a message at the least.
const DIGITS_MIN: usize = 6;
/// Entries with ids that begin alike, and are looked at.
const ALIKE_MAX: usize = 64;

/// Why nothing can be sent to a contact.
pub(super) fn hindrance(ctx: &Context<'_>, contact: &Contact) -> Result<Option<CommandError>, StoreError> {
    let conflict = |message| Ok(Some(CommandError::new(ErrorKind::Conflict, message)));
    match contact.state {
        ContactState::Requested | ContactState::Declined => {
            conflict(format!("{0} asked you first: `undertone contact accept {0}`", contact.name))
        }
        ContactState::Blocked(_) => conflict(blocked(contact)),
        ContactState::Requesting | ContactState::Accepted if ctx.tx.outbox_len()? >= OUTBOX_ITEMS_MAX => {
            let message =
                format!("{OUTBOX_ITEMS_MAX} things are on their way out already: wait until some arrived");
            Ok(Some(CommandError::new(ErrorKind::Limit, message)))
        }
        ContactState::Requesting | ContactState::Accepted => Ok(None),
    }
}

pub(super) fn blocked(contact: &Contact) -> String {
    format!("{0} is blocked: `undertone contact unblock {0}`", contact.name)
}

/// The message of a conversation whose id begins so, and that the user can see.
fn find(
    ctx: &Context<'_>,
    contact: &Contact,
    prefix: &str,
) -> Result<Result<StoredEntry, CommandError>, StoreError> {
    let prefix = prefix.trim().to_lowercase();
    let Some((first, last)) = bounds(&prefix) else {
        let message = format!(
            "\"{prefix}\" names no message: write at least {DIGITS_MIN} digits of its id, as `undertone history {}` \
             shows them",
            contact.name
        );
        return Ok(Err(CommandError::new(ErrorKind::Invalid, message)));
    };
    let mut found = Vec::new();
    for stored in ctx.tx.entries_within(&ctx.me.direct(&contact.user), &first, &last, ALIKE_MAX)? {
        if log::counts(ctx.tx, &stored)? && shown::is_line(ctx, contact, &stored)? {
            found.push(stored);
        }
    }
    let (kind, message) = match found.len() {
        1 => return Ok(found.pop().ok_or_else(unknown(contact, &prefix))),
        0 => return Ok(Err(unknown(contact, &prefix)())),
        _ => (ErrorKind::Invalid, format!("several messages begin with {prefix}: write more digits")),
    };
    Ok(Err(CommandError::new(kind, message)))
}

fn unknown(contact: &Contact, prefix: &str) -> impl FnOnce() -> CommandError {
    let message = format!("no message with {} begins with {prefix}", contact.name);
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
    contact: &Contact,
    prefix: &str,
) -> Result<Result<Found, CommandError>, StoreError> {
    let stored = match find(ctx, contact, prefix)? {
        Ok(stored) => stored,
        Err(problem) => return Ok(Err(problem)),
    };
    Ok(match shown::annotated(ctx, contact, &stored)? {
        Some(shows) => match shows.text.clone() {
            Some(text) => Ok(Found { stored, shows, text }),
            None => Err(CommandError::new(ErrorKind::Conflict, "the message was deleted")),
        },
        None => Err(CommandError::new(ErrorKind::Invalid, "that is no message that anybody wrote")),
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
    contact: &Contact,
    message: &str,
    text: &str,
) -> Result<Answer, StoreError> {
    unless!(hindrance(ctx, contact));
    let found = found!(find_text(ctx, contact, message));
    match texts::body(ctx, contact, text, Some(found.stored.entry.id)) {
        Ok(body) => append(ctx, contact, body),
        Err(problem) => error(ErrorKind::Invalid, problem.to_string()),
    }
}

/// Sends the text as it shows now. It answers nothing, and mentions nobody.
pub(super) fn forward(
    ctx: &mut Context<'_>,
    contact: &Contact,
    message: &str,
    to: &Contact,
) -> Result<Answer, StoreError> {
    unless!(hindrance(ctx, to));
    let found = found!(find_text(ctx, contact, message));
    let text = Text { forwarded: true, ..Text::plain(&found.text.text) };
    match EntryBody::new(Content::Text(text), ctx.rng) {
        Ok(body) => append(ctx, to, body),
        Err(problem) => error(ErrorKind::Invalid, problem.to_string()),
    }
}

pub(super) fn react(
    ctx: &mut Context<'_>,
    contact: &Contact,
    message: &str,
    reaction: &str,
) -> Result<Answer, StoreError> {
    unless!(hindrance(ctx, contact));
    let reaction = reaction.trim();
    if let Err(problem) = check_reaction(reaction) {
        return error(ErrorKind::Invalid, problem.to_string());
    }
    if reaction.chars().any(char::is_control) {
        return error(ErrorKind::Invalid, "a reaction is one line");
    }
    let found = found!(find_text(ctx, contact, message));
    let known = found.shows.reactions.get(&ctx.me.user).map_or("", String::as_str);
    if known == reaction {
        return as_it_is(ctx, contact, &found.stored);
    }
    annotate(ctx, contact, &found.stored, Act::Reaction(reaction.to_owned()))
}

pub(super) fn edit(
    ctx: &mut Context<'_>,
    contact: &Contact,
    message: &str,
    text: &str,
) -> Result<Answer, StoreError> {
    unless!(hindrance(ctx, contact));
    if let Err(problem) = check_text(text) {
        return error(ErrorKind::Invalid, problem.to_string());
    }
    let found = found!(find_text(ctx, contact, message));
    if !is_mine(ctx, contact, &found.stored) {
        return error(ErrorKind::Conflict, "only who wrote a message can edit it");
    }
    if found.text.text == text {
        return as_it_is(ctx, contact, &found.stored);
    }
    let text = Text { mentions: texts::mentions(ctx, contact, text), ..Text::plain(text) };
    annotate(ctx, contact, &found.stored, Act::Edit(text))
}

pub(super) fn delete(ctx: &mut Context<'_>, contact: &Contact, message: &str) -> Result<Answer, StoreError> {
    unless!(hindrance(ctx, contact));
    let found = found!(find_text(ctx, contact, message));
    // Whom a group's policy lets comes in here.
    if !is_mine(ctx, contact, &found.stored) {
        let message =
            "only who wrote a message can delete it for everyone: `--for-me` takes it off your own devices";
        return error(ErrorKind::Conflict, message);
    }
    annotate(ctx, contact, &found.stored, Act::Delete)
}

pub(super) fn pin(
    ctx: &mut Context<'_>,
    contact: &Contact,
    message: &str,
    pinned: bool,
) -> Result<Answer, StoreError> {
    unless!(hindrance(ctx, contact));
    let found = found!(find_text(ctx, contact, message));
    if found.shows.pinned == pinned {
        return as_it_is(ctx, contact, &found.stored);
    }
    annotate(ctx, contact, &found.stored, Act::Pin(pinned))
}

/// Deletes a message for this user, on all their devices; nobody else is told.
pub(super) fn hide(ctx: &mut Context<'_>, contact: &Contact, message: &str) -> Result<Answer, StoreError> {
    let stored = found!(find(ctx, contact, message));
    let Some(own) = own::own_contact(ctx)? else {
        return error(ErrorKind::Conflict, "this device belongs to no user yet");
    };
    let body = match EntryBody::new(Content::Hidden(vec![stored.entry.id]), ctx.rng) {
        Ok(body) => body,
        Err(problem) => return error(ErrorKind::Internal, problem.to_string()),
    };
    writing::append(ctx, &own, body)?;
    now(Response::Count(CountView { name: contact.name.to_string(), messages: 1 }))
}

pub(super) fn info(ctx: &Context<'_>, contact: &Contact, message: &str) -> Result<Answer, StoreError> {
    let stored = found!(find(ctx, contact, message));
    now(Response::Info(info::view(ctx, contact, &stored)?))
}

fn is_mine(ctx: &Context<'_>, contact: &Contact, stored: &StoredEntry) -> bool {
    shown::user_of(ctx, contact, &stored.entry.header.device) == ctx.me.user
}

fn as_it_is(ctx: &Context<'_>, contact: &Contact, stored: &StoredEntry) -> Result<Answer, StoreError> {
    now(Response::Message(views::message(ctx, contact, stored)?))
}

fn annotate(
    ctx: &mut Context<'_>,
    contact: &Contact,
    stored: &StoredEntry,
    act: Act,
) -> Result<Answer, StoreError> {
    let annotation = Annotation { entry: stored.entry.id, act };
    match EntryBody::new(Content::Annotation(annotation), ctx.rng) {
        Ok(body) => append(ctx, contact, body),
        Err(problem) => error(ErrorKind::Invalid, problem.to_string()),
    }
}

fn append(ctx: &mut Context<'_>, contact: &Contact, body: EntryBody) -> Result<Answer, StoreError> {
    let entry = writing::append(ctx, contact, body)?;
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
