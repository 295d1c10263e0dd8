//! Invitation links of groups: whoever has one can ask its maker to be let in.

use std::time::Duration;

use undertone_protocol::ids::Handle;
use undertone_protocol::keys::{Invitation, InvitedGroup, Name};
use undertone_protocol::membership::{Action, Role};
use undertone_protocol::time::Timestamp;

use super::answers::{Answer, Reply, error};
use super::context::Context;
use super::group_commands::{forbidden, refused, shown};
use super::group_names::joined;
use super::waiters::Condition;
use super::{contacts, groups, membership, revocations};
use crate::command::{CommandError, ErrorKind, InvitationView, quoted};
use crate::store::{Contact, Group, StoreError};

/// Digits of an operation that name a link at the least.
const DIGITS_MIN: usize = 6;

/// Makes a link.
pub(super) fn link(
    ctx: &mut Context<'_>,
    group: &str,
    uses: u32,
    life: Duration,
) -> Result<Answer, StoreError> {
    if let Some(problem) = contacts::bad_bounds(uses, life) {
        return Ok(Err(problem));
    }
    let group = match joined(ctx, group)? {
        Ok(group) => group,
        Err(problem) => return Ok(Err(problem)),
    };
    let expires = ctx.now.after(life);
    let name = match Name::new(&group.name) {
        Ok(name) => name,
        Err(problem) => return error(ErrorKind::Internal, problem.to_string()),
    };
    let may_be = Action::InviteLink { handle: Handle::new([0; 8]), not_after: Some(expires) };
    if let Err(why) = groups::may(ctx, &group, &may_be) {
        return refused(ctx, &group, &format!("you can't make a link to {}", group.name), &why);
    }
    let invited = contacts::invite(ctx, uses, expires, Some(InvitedGroup { id: group.id, name }))?;
    let (handle, invitation) = match invited {
        Ok(invited) => invited,
        Err(problem) => return Ok(Err(problem)),
    };
    let action = Action::InviteLink { handle, not_after: Some(expires) };
    match groups::operate(ctx, &group, action)? {
        Ok(_) => Ok(Ok(invited_by((handle, invitation), uses, expires))),
        Err(why) => refused(ctx, &group, &format!("you can't make a link to {}", group.name), &why),
    }
}

/// The answer that gives an invitation, when a relay knows it.
pub(super) fn invited_by((handle, invitation): (Handle, Invitation), uses: u32, expires: Timestamp) -> Reply {
    let view = InvitationView {
        link: invitation.to_string(),
        uses,
        expires_ms: expires.as_ms(),
        ready: false,
        problem: None,
    };
    Reply::Later(Condition::Invited { handle, view })
}

/// Takes a link back, which is named by the beginning of the operation that made it.
pub(super) fn unlink(ctx: &mut Context<'_>, group: &str, link: &str) -> Result<Answer, StoreError> {
    let group = match joined(ctx, group)? {
        Ok(group) => group,
        Err(problem) => return Ok(Err(problem)),
    };
    let wanted = link.trim().to_lowercase();
    let view = ctx.groups.view(&group.id).cloned();
    let named = view.iter().flat_map(|view| &view.links);
    let mut named =
        named.filter(|(hash, _)| wanted.len() >= DIGITS_MIN && hash.to_hex().starts_with(&wanted));
    let Some((hash, link)) = named.next() else {
        let name = quoted(&group.name);
        let message =
            format!("no link of {} begins with {wanted}: see `undertone group show {name}`", group.name);
        return error(ErrorKind::Unknown, message);
    };
    match groups::operate(ctx, &group, Action::InviteRevoke { link: *hash })? {
        Ok(_) => {
            // The relay need not let requests by it pass any more.
            if ctx.tx.invitation(&link.handle)?.is_some() {
                ctx.tx.delete_invitation(&link.handle)?;
                revocations::revoke(ctx, vec![link.handle])?;
            }
            shown(ctx, &group)
        }
        Err(why) => refused(ctx, &group, "the link can't be taken back", &why),
    }
}

/// Somebody is accepted who asked by a group's link: they are let in, if the link still holds. Says into which group, or
/// why they can't be: then nothing was changed.
pub(super) fn let_in(
    ctx: &mut Context<'_>,
    contact: &Contact,
) -> Result<Result<Option<Group>, CommandError>, StoreError> {
    let Some(group) = membership::asks_for(ctx, contact)? else { return Ok(Ok(None)) };
    let what = format!("{} can't be let into {}", contact.name, group.name);
    match groups::operate(ctx, &group, Action::Add { user: contact.user, role: Role::Member })? {
        Ok(_) => Ok(Ok(Some(group))),
        Err(why) => Ok(Err(forbidden(ctx, &group, &what, &why))),
    }
}
