//! Which mailboxes something goes to: those of a contact, or of a member of a group.

use std::collections::BTreeSet;

use undertone_protocol::ids::{ConversationId, DeviceId, UserId};
use undertone_protocol::keys::DeliveryGrant;

use super::agenda::Side;
use super::context::Context;
use crate::store::{Purpose, StoreError};

/// The group that an item is of.
pub(super) fn group_of(ctx: &Context<'_>, purpose: &Purpose) -> Result<Option<ConversationId>, StoreError> {
    let conversation = match purpose {
        Purpose::Entry(entry) | Purpose::Key(entry) => {
            ctx.tx.delivery(entry)?.map(|delivery| delivery.conversation)
        }
        Purpose::Acknowledgement(conversation)
        | Purpose::History(conversation)
        | Purpose::Group(conversation) => Some(*conversation),
        Purpose::Introduction(_)
        | Purpose::Retry(_)
        | Purpose::OwnEntry(_)
        | Purpose::OwnKey(_)
        | Purpose::OwnAcknowledgement(_)
        | Purpose::Link(_)
        | Purpose::DeviceList(_) => None,
    };
    let is_group = |of: &ConversationId| ctx.agenda.directory.get(of) == Some(&Side::Group);
    Ok(conversation.filter(is_group))
}

/// A user's mailboxes: by the tokens of a group, and where there are none by any other that this device has.
pub(super) fn grants_of(
    ctx: &Context<'_>,
    group: Option<&ConversationId>,
    user: &UserId,
) -> Result<Vec<DeliveryGrant>, StoreError> {
    let mut grants = Vec::new();
    if let Some(group) = group {
        grants = ctx.tx.member(group, user)?.map(|member| member.grants).unwrap_or_default();
    }
    let contact = ctx.tx.contact(user)?.filter(|contact| !contact.state.is_blocked());
    let of_contact = contact.map(|contact| contact.grants).unwrap_or_default();
    extend(&mut grants, of_contact);
    if group.is_none() && grants.is_empty() {
        for common in ctx.tx.groups_of(user)? {
            extend(
                &mut grants,
                ctx.tx.member(&common, user)?.map(|member| member.grants).unwrap_or_default(),
            );
        }
    }
    Ok(grants)
}

/// All of a user's mailboxes that are known, whatever the tokens are for.
pub(super) fn all_of(ctx: &Context<'_>, user: &UserId) -> Result<Vec<DeliveryGrant>, StoreError> {
    let mut grants = ctx.tx.contact(user)?.map(|contact| contact.grants).unwrap_or_default();
    for group in ctx.tx.groups_of(user)? {
        grants.extend(ctx.tx.member(&group, user)?.map(|member| member.grants).unwrap_or_default());
    }
    Ok(grants)
}

/// Adds the mailboxes of devices of which there is none yet.
fn extend(grants: &mut Vec<DeliveryGrant>, others: Vec<DeliveryGrant>) {
    let known: BTreeSet<DeviceId> = grants.iter().map(|grant| grant.device).collect();
    grants.extend(others.into_iter().filter(|grant| !known.contains(&grant.device)));
}
