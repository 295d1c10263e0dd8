//! What a group's membership document says of those who write and read there.

use undertone_protocol::codec::Signed;
use undertone_protocol::entry::{Content, EntryHeader, SignedEntry};
use undertone_protocol::ids::{ConversationId, DeviceId, Handle, OperationHash, UserId};
use undertone_protocol::membership::{Action, Link, Operation, SettingsChange, View};

use super::circle::{Circle, name_of};
use super::context::Context;
use super::own;
use crate::command::span;
use crate::store::{Contact, ContactState, Group, StoreError};

/// The operations that the author of a group's entry knew.
pub(super) fn heads_of(header: &EntryHeader) -> Vec<OperationHash> {
    header.membership_heads.iter().map(|hash| OperationHash::new(*hash.as_bytes())).collect()
}

/// Whether a device of a group can't send what it wrote any more: its user is out, or it was revoked.
pub(super) fn is_gone(ctx: &Context<'_>, circle: &Circle, user: &UserId, device: &DeviceId) -> bool {
    match circle {
        Circle::Direct(_) => false,
        Circle::Group(group) => ctx.groups.view(&group.id).is_some_and(|view| !view.is_active(user, device)),
    }
}

/// Whether somebody may have an entry: they were in when it was written, it let them in, or the group shows its history to
/// who comes later.
pub(super) fn is_entitled(ctx: &Context<'_>, circle: &Circle, to: &Contact, entry: &SignedEntry) -> bool {
    let Circle::Group(group) = circle else { return true };
    own::is_me(ctx, to)
        || ctx.groups.view(&group.id).is_some_and(|view| view.settings.history)
        || was_told(ctx, circle, &to.user, &entry.header)
        || lets_in(entry, &to.user)
}

fn lets_in(entry: &SignedEntry, who: &UserId) -> bool {
    let Content::Operation(signed) = &entry.body.content else { return false };
    let made = Operation::from_bytes(&signed.body).map(|made| made.action);
    matches!(made, Ok(Action::Add { user, .. }) if user == *who)
}

/// Whether somebody was in when an entry was written, as its author knew.
pub(super) fn was_told(ctx: &Context<'_>, circle: &Circle, user: &UserId, header: &EntryHeader) -> bool {
    match circle {
        Circle::Direct(_) => true,
        Circle::Group(group) => {
            ctx.groups.view_at(&group.id, &heads_of(header)).is_some_and(|view| view.is_in(user))
        }
    }
}

/// Whether an entry is for somebody: whoever came in since, or is back, gets what comes next. That they came in, whoever
/// brought it, they see.
pub(super) fn is_for(
    ctx: &Context<'_>,
    circle: &Circle,
    person: &Contact,
    entry: &SignedEntry,
) -> Result<bool, StoreError> {
    let Circle::Group(group) = circle else { return Ok(true) };
    let member = ctx.tx.member(&group.id, &person.user)?;
    let begins_later = member.is_some_and(|member| entry.header.seq < member.from_seq);
    let is_operation = matches!(entry.body.content, Content::Operation(_));
    Ok(!begins_later && (is_operation || is_entitled(ctx, circle, person, entry)))
}

/// Whether an entry waits for somebody who is in: it was for them, and they never went since.
pub(super) fn waits_for(ctx: &Context<'_>, circle: &Circle, user: &UserId, header: &EntryHeader) -> bool {
    let Circle::Group(group) = circle else { return true };
    let heads = heads_of(header);
    was_told(ctx, circle, user, header)
        && !went_between(ctx, &group.id, user, &heads, &ctx.groups.heads(&group.id))
}

/// Whether somebody went between two moments of a group: was removed, or left.
pub(super) fn went_between(
    ctx: &Context<'_>,
    group: &ConversationId,
    user: &UserId,
    before: &[OperationHash],
    after: &[OperationHash],
) -> bool {
    let is_theirs = |device: &DeviceId| match own::is_own(ctx, device) {
        true => *user == ctx.me.user,
        false => ctx.agenda.devices.get(device) == Some(user),
    };
    ctx.groups.between(group, before, after, |made| match &made.action {
        Action::Remove { user: gone, .. } => gone == user,
        Action::Leave { .. } => is_theirs(&made.device),
        _ => false,
    })
}

/// The group that somebody asks to be let into, with its name: by a link that still holds.
pub(super) fn asks_for(ctx: &Context<'_>, contact: &Contact) -> Result<Option<Group>, StoreError> {
    let link = match contact.state {
        ContactState::Requested => contact.invitation,
        ContactState::Accepted => contact.asks_by,
        _ => None,
    };
    link.map_or(Ok(None), |link| group_of(ctx, &link, &contact.user))
}

/// The group of a link by which a user can be let in now, by this user.
pub(super) fn group_of(ctx: &Context<'_>, link: &Handle, user: &UserId) -> Result<Option<Group>, StoreError> {
    for group in ctx.tx.groups()? {
        let Some(view) = ctx.groups.view(&group.id) else { continue };
        let holds = |known: &Link| known.handle == *link && known.not_after.is_none_or(|end| end >= ctx.now);
        if view.links.values().any(holds) && !view.is_in(user) && may_add(view, &ctx.me.user) {
            return Ok(Some(group));
        }
    }
    Ok(None)
}

fn may_add(view: &View, user: &UserId) -> bool {
    let is_owner = view.acting_owner == Some(*user);
    view.role(user).is_some_and(|role| is_owner || role <= view.settings.may_add)
}

/// An operation in words.
pub(super) fn told(ctx: &Context<'_>, signed: &Signed) -> Result<String, StoreError> {
    let Ok(operation) = Operation::from_bytes(&signed.body) else {
        return Ok("(a change of the group that can't be read)".to_owned());
    };
    let name = |user: &UserId| name_of(ctx, user);
    let what = match &operation.action {
        Action::Create(_) => "made the group".to_owned(),
        Action::Add { user, role } => format!("added {} as {}", name(user)?, role.as_str()),
        Action::Remove { user, .. } => format!("removed {}", name(user)?),
        Action::SetRole { user, role } => format!("made {} {}", name(user)?, role.as_str()),
        Action::Leave { successor: None } => "left".to_owned(),
        Action::Leave { successor: Some(user) } => format!("left, and made {} owner", name(user)?),
        Action::DeviceRevoke(_) => "took a device out of use".to_owned(),
        Action::Settings(change) => settings(change),
        Action::InviteLink { .. } => "made an invitation link".to_owned(),
        Action::InviteRevoke { .. } => "took an invitation link back".to_owned(),
    };
    Ok(format!("({what})"))
}

fn settings(change: &SettingsChange) -> String {
    let mut parts = Vec::new();
    if let Some(called) = &change.name {
        parts.push(format!("named the group {called}"));
    }
    if change.description.is_some() {
        parts.push("changed the description".to_owned());
    }
    if change.picture.is_some() {
        parts.push("changed the picture".to_owned());
    }
    match change.timer_s {
        Some(0) => parts.push("lets messages stay".to_owned()),
        Some(seconds) => parts.push(format!("lets messages vanish after {}", span(seconds))),
        None => {}
    }
    if let Some(role) = change.may_add {
        parts.push(format!("lets {}s and above add members", role.as_str()));
    }
    if let Some(role) = change.may_write {
        parts.push(format!("lets {}s and above write", role.as_str()));
    }
    if let Some(shown) = change.history {
        let whether = if shown { "shows" } else { "hides" };
        parts.push(format!("{whether} the history to new members"));
    }
    parts.join(", ")
}
