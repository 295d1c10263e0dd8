//! Commands about groups.

use undertone_protocol::ids::UserId;
use undertone_protocol::keys::Name;
use undertone_protocol::limits::{GROUP_DESCRIPTION_BYTES_MAX, GROUP_MEMBERS_MAX, GROUPS_MAX, TIMER_MAX};
use undertone_protocol::membership::{Action, Role, SettingsChange};

use super::answers::{Answer, Reply, error, now};
use super::context::Context;
use super::group_names::{contacts, find, joined, member_called};
use super::groups;
use super::waiters::Condition;
use crate::command::{CommandError, ErrorKind, GroupChange, Response, quoted};
use crate::store::{Contact, Group, Standing, StoreError};

/// Makes a group with some contacts in it.
pub(super) fn create(ctx: &mut Context<'_>, name: &str, members: &[String]) -> Result<Answer, StoreError> {
    let name = match Name::new(name) {
        Ok(name) => name,
        Err(problem) => return error(ErrorKind::Invalid, problem.to_string()),
    };
    if !groups::make_room(ctx, &ctx.me.user)? {
        return error(ErrorKind::Limit, format!("you are in {GROUPS_MAX} groups already: leave one first"));
    }
    let people = match contacts(ctx, members)? {
        Ok(people) => people,
        Err(problem) => return Ok(Err(problem)),
    };
    if people.len() >= GROUP_MEMBERS_MAX {
        return error(ErrorKind::Limit, format!("a group has at most {GROUP_MEMBERS_MAX} members"));
    }
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
    let people = match contacts(ctx, members)? {
        Ok(people) => people,
        Err(problem) => return Ok(Err(problem)),
    };
    match hinders_adding(ctx, &group, &people, role) {
        Some(problem) => Ok(Err(problem)),
        None => add_all(ctx, &group, people, role),
    }
}

/// Why they can't all be let in: then none of them is.
fn hinders_adding(
    ctx: &mut Context<'_>,
    group: &Group,
    people: &[Contact],
    role: Role,
) -> Option<CommandError> {
    let view = ctx.groups.view(&group.id).cloned()?;
    if let Some(person) = people.iter().find(|person| view.is_in(&person.user)) {
        let message = format!("{} is in {} already", person.name, group.name);
        return Some(CommandError::new(ErrorKind::Conflict, message));
    }
    if view.members.len() + people.len() > view.cap {
        let message =
            format!("{} has at most {} members, and {} now", group.name, view.cap, view.members.len());
        return Some(CommandError::new(ErrorKind::Limit, message));
    }
    people.iter().find_map(|person| {
        let why = groups::may(ctx, group, &Action::Add { user: person.user, role }).err()?;
        Some(forbidden(ctx, group, &format!("{} can't be added to {}", person.name, group.name), &why))
    })
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
            return refused(ctx, group, &format!("{} can't be added to {}", person.name, group.name), &why);
        }
        groups::welcome(ctx, &group.id, &person.user)?;
    }
    shown(ctx, group)
}

/// Puts a member out.
pub(super) fn remove(ctx: &mut Context<'_>, group: &str, member: &str) -> Result<Answer, StoreError> {
    with_member(ctx, group, member, |ctx, group, user, name| {
        if user == ctx.me.user {
            let message =
                format!("that is you: to go yourself, `undertone group leave {}`", quoted(&group.name));
            return error(ErrorKind::Conflict, message);
        }
        if !is_in(ctx, group, &user) {
            return not_in(&name, group);
        }
        let cut = groups::cut_of(ctx, &group.id, &user)?;
        let known = ctx.groups.heads(&group.id);
        match groups::operate(ctx, group, Action::Remove { user, cut })? {
            Ok(entry) => {
                groups::tell_removed(ctx, &group.id, &user, &known, entry)?;
                shown(ctx, group)
            }
            Err(why) => refused(ctx, group, &format!("{name} can't be removed from {}", group.name), &why),
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
        if !is_in(ctx, group, &user) {
            return not_in(&name, group);
        }
        if ctx.groups.view(&group.id).and_then(|view| view.role(&user)) == Some(role) {
            return shown(ctx, group);
        }
        match groups::operate(ctx, group, Action::SetRole { user, role })? {
            Ok(_) => shown(ctx, group),
            Err(why) => refused(
                ctx,
                group,
                &format!("{name} can't be made {} of {}", role.as_str(), group.name),
                &why,
            ),
        }
    })
}

fn is_in(ctx: &Context<'_>, group: &Group, user: &UserId) -> bool {
    ctx.groups.view(&group.id).is_some_and(|view| view.is_in(user))
}

fn not_in(name: &str, group: &Group) -> Result<Answer, StoreError> {
    error(ErrorKind::Conflict, format!("{name} is not in {} any more", group.name))
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
    if let Some(problem) = hinders_leaving(ctx, &group, successor.as_ref()) {
        return error(ErrorKind::Conflict, problem);
    }
    match groups::operate(ctx, &group, Action::Leave { successor })? {
        Ok(_) => shown(ctx, &group),
        Err(why) => refused(ctx, &group, &format!("you can't leave {} so", group.name), &why),
    }
}

/// Why this user can't go so, in words that say how they can.
fn hinders_leaving(ctx: &mut Context<'_>, group: &Group, successor: Option<&UserId>) -> Option<String> {
    let why = groups::may(ctx, group, &Action::Leave { successor: successor.copied() }).err()?;
    let view = ctx.groups.view(&group.id)?;
    let name = quoted(&group.name);
    Some(match successor {
        None => format!(
            "you are the last owner of {}: name the next one by `undertone group leave {name} --successor MEMBER`",
            group.name
        ),
        Some(user) if *user == ctx.me.user => "`--successor` names another member, not you".to_owned(),
        Some(user) if !view.is_in(user) => "whom `--successor` names is not in the group any more".to_owned(),
        Some(_) if view.role(&ctx.me.user) != Some(Role::Owner) => {
            format!("only an owner names a successor: `undertone group leave {name}` will do")
        }
        Some(user) if view.role(user) == Some(Role::Owner) => {
            format!("whom `--successor` names is an owner already: `undertone group leave {name}` will do")
        }
        Some(_) => format!("you can't leave {} so: {why}", group.name),
    })
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
        Err(why) => refused(ctx, &group, &format!("{} can't be changed", group.name), &why),
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

pub(super) fn refused(ctx: &Context<'_>, group: &Group, what: &str, why: &str) -> Result<Answer, StoreError> {
    Ok(Err(forbidden(ctx, group, what, why)))
}

/// What this user may not do, and who may.
pub(super) fn forbidden(ctx: &Context<'_>, group: &Group, what: &str, why: &str) -> CommandError {
    let role = ctx.groups.view(&group.id).and_then(|view| view.role(&ctx.me.user));
    let whoever = match role {
        Some(Role::Member) => "; you are a member there",
        Some(Role::Admin) => "; you are an admin there",
        Some(Role::Owner) | None => "",
    };
    let show = format!("`undertone group show {}` says who is what", quoted(&group.name));
    let hint = if whoever.is_empty() { String::new() } else { format!("{whoever}, and {show}") };
    CommandError::new(ErrorKind::Conflict, format!("{what}: {why}{hint}"))
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
