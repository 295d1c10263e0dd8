//! Groups and people as users name them.

use undertone_protocol::ids::UserId;

use super::circle::name_of;
use super::context::Context;
use crate::command::{CommandError, ErrorKind, quoted};
use crate::store::{Contact, ContactState, Group, Standing, StoreError};

/// A group that the user is in.
pub(super) fn joined(ctx: &Context<'_>, name: &str) -> Result<Result<Group, CommandError>, StoreError> {
    Ok(find(ctx, name)?.and_then(|group| match group.standing {
        Standing::In => Ok(group),
        Standing::Out => {
            let message = format!("you are not in {} any more: it only shows what was said", group.name);
            Err(CommandError::new(ErrorKind::Conflict, message))
        }
    }))
}

/// Finds a group by name (letter case aside) or by the beginning of its id, eight digits at least.
pub(super) fn find(ctx: &Context<'_>, name: &str) -> Result<Result<Group, CommandError>, StoreError> {
    let wanted = name.trim().to_lowercase();
    let groups = ctx.tx.groups()?;
    let is_meant = |group: &&Group| {
        group.name.to_lowercase() == wanted || (wanted.len() >= 8 && group.id.to_hex().starts_with(&wanted))
    };
    let mut found: Vec<&Group> = groups.iter().filter(is_meant).collect();
    if found.iter().any(|group| group.standing == Standing::In) {
        found.retain(|group| group.standing == Standing::In);
    }
    Ok(match found.as_slice() {
        [group] => Ok((*group).clone()),
        [] => {
            let message = format!("no group is called \"{}\": see `undertone group list`", name.trim());
            Err(CommandError::new(ErrorKind::Unknown, message))
        }
        several => {
            let ids: Vec<String> =
                several.iter().map(|group| group.id.to_hex().chars().take(12).collect()).collect();
            let message = format!(
                "several groups are called \"{}\": write the beginning of an id instead ({}); `undertone group list` \
                 shows which is which",
                name.trim(),
                ids.join(", ")
            );
            Err(CommandError::new(ErrorKind::Conflict, message))
        }
    })
}

/// The contacts of these names, who can be added; each once.
pub(super) fn contacts(
    ctx: &Context<'_>,
    names: &[String],
) -> Result<Result<Vec<Contact>, CommandError>, StoreError> {
    let all = ctx.tx.contacts()?;
    let mut people: Vec<Contact> = Vec::new();
    for name in names {
        match contact(ctx, &all, name) {
            Ok(person) if people.iter().any(|known| known.user == person.user) => {}
            Ok(person) => people.push(person.clone()),
            Err(problem) => return Ok(Err(problem)),
        }
    }
    Ok(Ok(people))
}

fn contact<'a>(ctx: &Context<'_>, all: &'a [Contact], name: &str) -> Result<&'a Contact, CommandError> {
    let wanted = name.trim().to_lowercase();
    let others = || all.iter().filter(|contact| contact.user != ctx.me.user);
    let named = others().find(|contact| contact.name_folded() == wanted);
    let by_id = |contact: &&Contact| wanted.len() >= 8 && contact.user.to_hex().starts_with(&wanted);
    let Some(person) = named.or_else(|| others().find(by_id)) else {
        let message = format!("no contact is called \"{}\": see `undertone contact list`", name.trim());
        return Err(CommandError::new(ErrorKind::Unknown, message));
    };
    let why = match person.state {
        ContactState::Accepted => return Ok(person),
        ContactState::Member => format!(
            "{} is in a group with you, and no contact: ask them for a link, or give them one of the group \
             (`undertone group link`)",
            person.name
        ),
        ContactState::Requesting => {
            format!("{} has not answered your request yet: only who did can be added to a group", person.name)
        }
        ContactState::Requested | ContactState::Declined => {
            format!(
                "{} asked you first: `undertone contact accept {}`",
                person.name,
                quoted(person.name.as_str())
            )
        }
        ContactState::Blocked(_) => {
            format!(
                "{} is blocked: `undertone contact unblock {}`",
                person.name,
                quoted(person.name.as_str())
            )
        }
    };
    Err(CommandError::new(ErrorKind::Conflict, why))
}

/// Who in a group is called so, or was.
pub(super) fn member_called(
    ctx: &Context<'_>,
    group: &Group,
    name: &str,
) -> Result<Result<(UserId, String), CommandError>, StoreError> {
    let wanted = name.trim().to_lowercase();
    let view = ctx.groups.view(&group.id).cloned();
    let users = view.iter().flat_map(|view| view.members.keys().chain(view.past_members.keys()));
    let mut by_id = None;
    for user in users {
        let called = name_of(ctx, user)?;
        if called.to_lowercase() == wanted {
            return Ok(Ok((*user, called)));
        }
        if wanted.len() >= 8 && user.to_hex().starts_with(&wanted) {
            by_id = Some((*user, called));
        }
    }
    if let Some(found) = by_id {
        return Ok(Ok(found));
    }
    let message = format!(
        "nobody in {} is called \"{}\": see `undertone group show {}`",
        group.name,
        name.trim(),
        quoted(&group.name)
    );
    Ok(Err(CommandError::new(ErrorKind::Unknown, message)))
}
