//! Invitation links of groups: whoever has one can ask its maker to be let in.

use std::collections::BTreeMap;
use std::time::Duration;

use undertone_protocol::ids::{Handle, OperationHash};
use undertone_protocol::keys::{Invitation, InvitedGroup, Name};
use undertone_protocol::membership::{Action, Link, Role};
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
    let links = ctx.groups.view(&group.id).map(|view| view.links.clone()).unwrap_or_default();
    let (hash, handle) = match find(&group.name, &links, link) {
        Ok(found) => found,
        Err(problem) => return Ok(Err(problem)),
    };
    match groups::operate(ctx, &group, Action::InviteRevoke { link: hash })? {
        Ok(_) => {
            // The relay need not let requests by it pass any more.
            if ctx.tx.invitation(&handle)?.is_some() {
                ctx.tx.delete_invitation(&handle)?;
                revocations::revoke(ctx, vec![handle])?;
            }
            shown(ctx, &group)
        }
        Err(why) => refused(ctx, &group, "the link can't be taken back", &why),
    }
}

/// The link of a group that was made by the operation which begins so.
fn find(
    group: &str,
    links: &BTreeMap<OperationHash, Link>,
    prefix: &str,
) -> Result<(OperationHash, Handle), CommandError> {
    let prefix = prefix.trim().to_lowercase();
    let show = format!("`undertone group show {}`", quoted(group));
    if prefix.len() < DIGITS_MIN {
        let message =
            format!("\"{prefix}\" names no link: write at least {DIGITS_MIN} digits, as {show} shows them");
        return Err(CommandError::new(ErrorKind::Invalid, message));
    }
    let mut named = links.iter().filter(|(hash, _)| hash.to_hex().starts_with(&prefix));
    let (kind, message) = match (named.next(), named.next()) {
        (Some((hash, link)), None) => return Ok((*hash, link.handle)),
        (None, _) => (ErrorKind::Unknown, format!("no link of {group} begins with {prefix}: see {show}")),
        (Some(_), Some(_)) => {
            (ErrorKind::Invalid, format!("several links begin with {prefix}: write more digits"))
        }
    };
    Err(CommandError::new(kind, message))
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

#[cfg(test)]
mod tests {
    use undertone_protocol::ids::UserId;

    use super::*;

    #[test]
    fn of_links_that_begin_alike_none_is_taken() {
        let hash = |last: u8| {
            let mut bytes = [0xab; 32];
            bytes[31] = last;
            OperationHash::new(bytes)
        };
        let link = |n: u8| Link { handle: Handle::new([n; 8]), maker: UserId::new([1; 32]), not_after: None };
        let links = BTreeMap::from([(hash(1), link(1)), (hash(2), link(2))]);
        let refused = |prefix: &str| {
            let problem = find("Book Club", &links, prefix).unwrap_err();
            (problem.kind, problem.message)
        };
        let (kind, message) = refused("abab");
        assert!(kind == ErrorKind::Invalid && message.contains("at least 6 digits"), "{message}");
        assert!(message.contains("`undertone group show 'Book Club'`"), "{message}");
        let (kind, message) = refused("ababab");
        assert!(kind == ErrorKind::Invalid && message.contains("several links"), "{message}");
        assert_eq!(refused("abcdef").0, ErrorKind::Unknown);
        let whole = hash(2).to_hex().to_uppercase();
        assert_eq!(find("Book Club", &links, &whole).unwrap(), (hash(2), Handle::new([2; 8])));
    }
}
