//! What is kept of a group's members beside the membership document: the tokens that they have from this user, and those
//! that this device has from them.

use undertone_protocol::ids::{ConversationId, DeviceId, Handle};
use undertone_protocol::keys::{DeliveryGrant, DeviceList};

use super::context::Context;
use super::home::{mailbox_address, offered, token};
use super::{own, revocations};
use crate::store::{HomeRelay, Member, StoreError};

/// The handle under which all tokens of a group are issued: with it they all end.
pub(super) fn group_handle(ctx: &Context<'_>, group: &ConversationId) -> Result<Option<Handle>, StoreError> {
    let own = own::own_contact(ctx)?;
    Ok(own.map(|own| {
        let parts: [&[u8]; 2] = [own.token.as_bytes(), group.as_bytes()];
        Handle::derive("undertone v1 handle of a group's tokens", &parts)
    }))
}

/// This device's mailboxes, for a member: `[g, member]`.
pub(super) fn own_grants(ctx: &Context<'_>, member: &Member) -> Result<Vec<DeliveryGrant>, StoreError> {
    let Some(group) = group_handle(ctx, &member.group)? else { return Ok(Vec::new()) };
    let homes = offered(ctx)?;
    let grant = |home: &HomeRelay| {
        let token = token(home, &[group, member.token])?;
        Some(DeliveryGrant { device: ctx.me.device, mailbox: mailbox_address(home), token })
    };
    Ok(homes.iter().filter_map(grant).collect())
}

/// A member has other devices: one that was revoked knows their token, so they get another one.
pub(super) fn list_changed(
    ctx: &mut Context<'_>,
    list: &DeviceList,
    revoked: &[DeviceId],
) -> Result<(), StoreError> {
    for group in ctx.tx.groups_of(&list.user)? {
        let Some(mut member) = ctx.tx.member(&group, &list.user)? else { continue };
        member.grants.retain(|grant| !revoked.contains(&grant.device));
        member.introduced.retain(|(device, _)| !revoked.contains(device));
        let next = member.token.after(&list.hash());
        let former = std::mem::replace(&mut member.token, next);
        member.former_tokens.push(former);
        member.introduction_due = member.is_in();
        ctx.tx.put_member(&member)?;
        ctx.agenda.meet.insert((group, list.user));
        ctx.agenda.progress.remove(&group);
    }
    Ok(())
}

/// Takes back tokens that members had before, or that former members have.
pub(super) fn revoke(ctx: &mut Context<'_>, member: &Member, handles: &[Handle]) -> Result<(), StoreError> {
    let Some(group) = group_handle(ctx, &member.group)? else { return Ok(()) };
    for handle in handles {
        revocations::revoke(ctx, vec![group, *handle])?;
    }
    Ok(())
}
