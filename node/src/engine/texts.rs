//! Texts are made from what the user wrote.

use undertone_protocol::codec::Malformed;
use undertone_protocol::entry::{Content, EntryBody, Text};
use undertone_protocol::ids::{EntryId, UserId};
use undertone_protocol::limits::MENTIONS_MAX;

use super::circle::Circle;
use super::context::Context;
use super::shown;
use crate::store::StoreError;

/// A text of this user, with whom it mentions.
pub(super) fn body(
    ctx: &mut Context<'_>,
    circle: &Circle,
    text: &str,
    reply_to: Option<EntryId>,
) -> Result<Result<EntryBody, Malformed>, StoreError> {
    let mentions = mentions(ctx, circle, text)?;
    let text = Text { text: text.to_owned(), reply_to, forwarded: false, mentions };
    Ok(EntryBody::new(Content::Text(text), ctx.rng))
}

/// Whom a text mentions, ascending.
pub(super) fn mentions(ctx: &Context<'_>, circle: &Circle, text: &str) -> Result<Vec<UserId>, StoreError> {
    // Who is in costs a look at each.
    if !text.contains('@') {
        return Ok(Vec::new());
    }
    Ok(mentioned(text, &shown::members(ctx, circle)?))
}

/// Members whose names stand behind an `@` in a text, ascending.
fn mentioned(text: &str, members: &[(UserId, String)]) -> Vec<UserId> {
    let text = text.to_lowercase();
    let ends = |rest: &str| !rest.chars().next().is_some_and(char::is_alphanumeric);
    let is_mentioned = |name: &str| {
        let name = name.to_lowercase();
        text.split('@').skip(1).any(|behind| behind.strip_prefix(&name).is_some_and(ends))
    };
    let found = members.iter().filter(|(_, name)| is_mentioned(name)).map(|(user, _)| *user);
    let mut mentioned: Vec<UserId> = found.collect();
    mentioned.sort();
    mentioned.dedup();
    mentioned.truncate(MENTIONS_MAX);
    mentioned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_are_names_behind_an_at() {
        let [ann, bob, bobby] = [1, 2, 3].map(|n| UserId::new([n; 32]));
        let members = [(bobby, "Bobby".to_owned()), (bob, "Bob".to_owned()), (ann, "Ann Lee".to_owned())];
        let of = |text: &str| mentioned(text, &members);
        assert_eq!(of("@bob, and @ANN LEE!"), [ann, bob]);
        assert_eq!(of("@bobby"), [bobby], "not Bob");
        assert_eq!(of("@Bob@bob"), [bob]);
        assert_eq!(of("bob, b@ob, @annlee, @"), []);
    }
}
