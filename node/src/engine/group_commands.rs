//! Commands about groups.

use undertone_protocol::ids::UserId;
use undertone_protocol::keys::Name;
use undertone_protocol::limits::{GROUP_DESCRIPTION_BYTES_MAX, GROUPS_MAX, TIMER_MAX};
use undertone_protocol::membership::{Action, Role, SettingsChange};

use super::answers::{Answer, Reply, error, now};
use super::circle::Circle;
use super::context::Context;
use super::groups;
use super::waiters::Condition;
use crate::command::{CommandError, ErrorKind, GroupChange, Response};
use crate::store::{Contact, ContactState, Group, Standing, StoreError};

/// Makes a group with some contacts in it.
pub(super) fn create(ctx: &mut Context<'_>, name: &str, members: &[String]) -> Result<Answer, StoreError> {
    let name = match Name::new(name) {
        Ok(name) => name,
        Err(problem) => return error(ErrorKind::Invalid, problem.to_string()),
    };
    if ctx.tx.groups()?.len() >= GROUPS_MAX {
        return error(ErrorKind::Limit, format!("you are in {GROUPS_MAX} groups already: leave one first"));
    }
    let people = match contacts(ctx, members)? {
        Ok(people) => people,
        Err(problem) => return Ok(Err(problem)),
    };
    let group = match groups::create(ctx, name)? {
        Ok(group) => group,
        Err(why) => return error(ErrorKind::Internal, why),
    };
    add_all(ctx, &group, people, Role::Member)
}

/// Lets contacts into a group.
pub(super) fn add(
    ctx: &mut Context<'_>,
    group: &str,
    members: &[String],
    role: &str,
) -> Result<Answer, StoreError> {
    let role = match role_called(role) {
        Ok(role) => role,
        Err(problem) => return Ok(Err(problem)),
    };
    let group = match joined(ctx, group)? {
        Ok(group) => group,
        Err(problem) => return Ok(Err(problem)),
    };
    match contacts(ctx, members)? {
        Ok(people) => add_all(ctx, &group, people, role),
        Err(problem) => Ok(Err(problem)),
    }
}

fn add_all(
    ctx: &mut Context<'_>,
    group: &Group,
    people: Vec<Contact>,
    role: Role,
) -> Result<Answer, StoreError> {
    for person in people {
        let action = Action::Add { user: person.user, role };
        if let Err(why) = groups::operate(ctx, group, action)? {
            return refused(&format!("{} can't be added to {}", person.name, group.name), &why);
        }
        groups::welcome(ctx, &group.id, &person.user)?;
    }
    shown(ctx, group)
}

/// Puts a member out.
pub(super) fn remove(ctx: &mut Context<'_>, group: &str, member: &str) -> Result<Answer, StoreError> {
    with_member(ctx, group, member, |ctx, group, user, name| {
        if user == ctx.me.user {
            return error(
                ErrorKind::Conflict,
                format!("to go yourself: `undertone group leave {}`", group.name),
            );
        }
        let cut = groups::cut_of(ctx, &group.id, &user)?;
        let known = ctx.groups.heads(&group.id);
        match groups::operate(ctx, group, Action::Remove { user, cut })? {
            Ok(_) => {
                groups::tell_removed(ctx, &group.id, &user, known)?;
                shown(ctx, group)
            }
            Err(why) => refused(&format!("{name} can't be removed from {}", group.name), &why),
        }
    })
}

/// Gives a member another role.
pub(super) fn role(
    ctx: &mut Context<'_>,
    group: &str,
    member: &str,
    role: &str,
) -> Result<Answer, StoreError> {
    let role = match role_called(role) {
        Ok(role) => role,
        Err(problem) => return Ok(Err(problem)),
    };
    with_member(ctx, group, member, |ctx, group, user, name| {
        match groups::operate(ctx, group, Action::SetRole { user, role })? {
            Ok(_) => shown(ctx, group),
            Err(why) => refused(&format!("{name} can't be made {} of {}", role.as_str(), group.name), &why),
        }
    })
}

/// Goes out of a group. The last owner names who comes after them.
pub(super) fn leave(
    ctx: &mut Context<'_>,
    group: &str,
    successor: Option<&str>,
) -> Result<Answer, StoreError> {
    let group = match joined(ctx, group)? {
        Ok(group) => group,
        Err(problem) => return Ok(Err(problem)),
    };
    let successor = match successor.map(|name| member_called(ctx, &group, name)).transpose()? {
        None => None,
        Some(Ok((user, _))) => Some(user),
        Some(Err(problem)) => return Ok(Err(problem)),
    };
    match groups::operate(ctx, &group, Action::Leave { successor })? {
        Ok(_) => shown(ctx, &group),
        Err(why) => refused(
            &format!("you can't leave {} so (`--successor MEMBER` names the next owner)", group.name),
            &why,
        ),
    }
}

/// Changes a group's settings.
pub(super) fn set(ctx: &mut Context<'_>, group: &str, change: GroupChange) -> Result<Answer, StoreError> {
    let group = match joined(ctx, group)? {
        Ok(group) => group,
        Err(problem) => return Ok(Err(problem)),
    };
    let change = match settings(change) {
        Ok(change) => change,
        Err(problem) => return Ok(Err(problem)),
    };
    if change == SettingsChange::default() {
        return error(ErrorKind::Invalid, "nothing to change was given: see `undertone group set --help`");
    }
    match groups::operate(ctx, &group, Action::Settings(change))? {
        Ok(_) => shown(ctx, &group),
        Err(why) => refused(&format!("{} can't be changed", group.name), &why),
    }
}

fn settings(change: GroupChange) -> Result<SettingsChange, CommandError> {
    let invalid = |message: String| CommandError::new(ErrorKind::Invalid, message);
    let name = change.name.map(|name| Name::new(&name)).transpose();
    if change.description.as_ref().is_some_and(|text| text.len() > GROUP_DESCRIPTION_BYTES_MAX) {
        return Err(invalid(format!("a description has at most {GROUP_DESCRIPTION_BYTES_MAX} bytes")));
    }
    if change.timer_s.is_some_and(|timer_s| timer_s > TIMER_MAX.as_secs()) {
        let days = TIMER_MAX.as_secs() / (24 * 3_600);
        return Err(invalid(format!("messages vanish after {days} days at most")));
    }
    Ok(SettingsChange {
        name: name.map_err(|problem| invalid(problem.to_string()))?,
        description: change.description,
        picture: None,
        timer_s: change.timer_s,
        may_add: change.may_add.as_deref().map(role_called).transpose()?,
        may_write: change.may_write.as_deref().map(role_called).transpose()?,
        history: change.history,
    })
}

/// All groups.
pub(super) fn list(ctx: &Context<'_>) -> Result<Answer, StoreError> {
    let mut views = Vec::new();
    for group in ctx.tx.groups()? {
        // One that another began to tell of is none yet.
        if group.standing == Standing::In || !ctx.tx.frontier(&group.id)?.is_empty() {
            views.extend(groups::view(ctx, &group.id)?);
        }
    }
    views.sort_by_key(|view| (view.name.to_lowercase(), view.group.clone()));
    now(Response::Groups(views))
}

/// One group.
pub(super) fn show(ctx: &Context<'_>, group: &str) -> Result<Answer, StoreError> {
    match find(ctx, group)? {
        Ok(group) => shown(ctx, &group),
        Err(problem) => Ok(Err(problem)),
    }
}

pub(super) fn shown(ctx: &Context<'_>, group: &Group) -> Result<Answer, StoreError> {
    match groups::view(ctx, &group.id)? {
        Some(view) => Ok(Ok(Reply::Later(Condition::Told { group: group.id, view: Box::new(view) }))),
        None => error(ErrorKind::Unknown, format!("{} is not known here", group.name)),
    }
}

pub(super) fn refused(what: &str, why: &str) -> Result<Answer, StoreError> {
    error(ErrorKind::Conflict, format!("{what}: {why}"))
}

fn role_called(name: &str) -> Result<Role, CommandError> {
    match name.trim().to_lowercase().as_str() {
        "owner" => Ok(Role::Owner),
        "admin" => Ok(Role::Admin),
        "member" => Ok(Role::Member),
        other => {
            let message = format!("\"{other}\" is no role: owner, admin or member");
            Err(CommandError::new(ErrorKind::Invalid, message))
        }
    }
}

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
            let message =
                format!("several groups are called so: use the beginning of an id ({})", ids.join(", "));
            Err(CommandError::new(ErrorKind::Conflict, message))
        }
    })
}

/// The contacts of these names, who can be added.
fn contacts(ctx: &Context<'_>, names: &[String]) -> Result<Result<Vec<Contact>, CommandError>, StoreError> {
    let all = ctx.tx.contacts()?;
    let mut people = Vec::new();
    for name in names {
        let wanted = name.trim().to_lowercase();
        let Some(person) = all.iter().find(|contact| {
            contact.user != ctx.me.user
                && (contact.name_folded() == wanted
                    || (wanted.len() >= 8 && contact.user.to_hex().starts_with(&wanted)))
        }) else {
            let message = format!("no contact is called \"{}\": see `undertone contact list`", name.trim());
            return Ok(Err(CommandError::new(ErrorKind::Unknown, message)));
        };
        if person.state != ContactState::Accepted {
            let message = format!(
                "{} is no contact that let you in: only such can be added to a group, so that nobody is added \
                 whom a stranger picked",
                person.name
            );
            return Ok(Err(CommandError::new(ErrorKind::Conflict, message)));
        }
        people.push(person.clone());
    }
    Ok(Ok(people))
}

fn with_member(
    ctx: &mut Context<'_>,
    group: &str,
    member: &str,
    work: impl FnOnce(&mut Context<'_>, &Group, UserId, String) -> Result<Answer, StoreError>,
) -> Result<Answer, StoreError> {
    let group = match joined(ctx, group)? {
        Ok(group) => group,
        Err(problem) => return Ok(Err(problem)),
    };
    match member_called(ctx, &group, member)? {
        Ok((user, name)) => work(ctx, &group, user, name),
        Err(problem) => Ok(Err(problem)),
    }
}

/// Who in a group is called so, or was.
fn member_called(
    ctx: &Context<'_>,
    group: &Group,
    name: &str,
) -> Result<Result<(UserId, String), CommandError>, StoreError> {
    let wanted = name.trim().to_lowercase();
    let view = ctx.groups.view(&group.id).cloned();
    let users = view.iter().flat_map(|view| view.members.keys().chain(view.past_members.keys()));
    for user in users {
        let called = super::circle::name_of(ctx, user)?;
        if called.to_lowercase() == wanted || (wanted.len() >= 8 && user.to_hex().starts_with(&wanted)) {
            return Ok(Ok((*user, called)));
        }
    }
    let message = format!(
        "nobody in {0} is called \"{1}\": see `undertone group show {0}`",
        Circle::Group(group.clone()).name(),
        name.trim()
    );
    Ok(Err(CommandError::new(ErrorKind::Unknown, message)))
}
