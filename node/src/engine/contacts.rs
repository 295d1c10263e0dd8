//! Contacts: inviting, asking, accepting.

use std::time::Duration;

use undertone_protocol::ids::Handle;
use undertone_protocol::keys::{
    BundleAccess, DeliveryGrant, Invitation, InvitationRelay, InvitedGroup, Name,
};
use undertone_protocol::limits::{INTRODUCTIONS_MAX, INVITATION_RELAYS_MAX, INVITATION_USES_MAX};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::{CLASS_0, DELIVER, Step, TokenGrant};

use super::agenda::Side;
use super::context::Context;
use super::home::{mailbox_address, offered};
use super::introducing;
use super::introductions;
use super::names::{as_said, stranger, unique_name};
use crate::command::{CommandError, ErrorKind, quoted};
use crate::store::{Contact, ContactState, StoreError, StoredInvitation};

const INVITATION_LIFE_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Why an invitation can't be made for so many uses and so long.
pub(super) fn bad_bounds(uses: u32, life: Duration) -> Option<CommandError> {
    if uses == 0 || uses > INVITATION_USES_MAX {
        let message = format!("an invitation has 1 to {INVITATION_USES_MAX} uses, not {uses}");
        return Some(CommandError::new(ErrorKind::Invalid, message));
    }
    let message = "an invitation lives for more than nothing and at most 365 days";
    (life.is_zero() || life > INVITATION_LIFE_MAX).then(|| CommandError::new(ErrorKind::Invalid, message))
}

/// Makes an invitation; the home relays are told as soon as they are there.
pub(super) fn invite(
    ctx: &mut Context<'_>,
    uses_max: u32,
    not_after: Timestamp,
    group: Option<InvitedGroup>,
) -> Result<Result<(Handle, Invitation), CommandError>, StoreError> {
    let homes = offered(ctx)?;
    if homes.is_empty() {
        return Ok(Err(CommandError::new(
            ErrorKind::Conflict,
            "this account has no relay, so nobody could reach it: add one with `undertone relay add ADDR`",
        )));
    }
    if ctx.tx.invitations()?.len() >= INTRODUCTIONS_MAX {
        let message = format!("{INTRODUCTIONS_MAX} invitations are open: wait until some of them end");
        return Ok(Err(CommandError::new(ErrorKind::Limit, message)));
    }
    let handle = Handle::random(ctx.rng);
    let step = Step { rights: DELIVER, classes: CLASS_0, not_after: Some(not_after), ..Step::named(handle) };
    let relays = homes.iter().take(INVITATION_RELAYS_MAX).map(|home| InvitationRelay {
        mailbox: mailbox_address(home),
        introduction: TokenGrant::issue(&home.secret, step.clone()),
        locator: home.locator,
    });
    let invitation = Invitation {
        user: ctx.me.user,
        name: ctx.me.account.name.clone(),
        device: ctx.me.device,
        bundle_key: ctx.me.account.bundle_key.clone(),
        relays: relays.collect(),
        group,
    };
    let unconfirmed = homes.iter().take(INVITATION_RELAYS_MAX).map(|home| home.address.relay).collect();
    ctx.tx.put_invitation(&StoredInvitation {
        handle,
        uses_max,
        used_by: Vec::new(),
        not_after,
        unconfirmed,
    })?;
    Ok(Ok((handle, invitation)))
}

/// Asks the inviter to be a contact.
pub(super) fn add(
    ctx: &mut Context<'_>,
    invitation: &Invitation,
    name: Option<Name>,
) -> Result<Result<Contact, CommandError>, StoreError> {
    let conflict = |message: String| Ok(Err(CommandError::new(ErrorKind::Conflict, message)));
    let user = invitation.user;
    if user == ctx.me.user {
        return conflict("this is your own invitation: send it to somebody else".to_owned());
    }
    if let Some(group) = &invitation.group
        && ctx.groups.view(&group.id).is_some_and(|view| view.is_in(&ctx.me.user))
    {
        return conflict(format!("you are in {} already", group.name));
    }
    let mut contact = match ctx.tx.contact(&user)? {
        Some(known) => match known.state {
            ContactState::Requesting => known,
            ContactState::Member => {
                let name = match name {
                    Some(name) => unique_name(ctx.tx, &name, &user)?,
                    None => as_said(ctx.tx, &known, &invitation.name)?,
                };
                Contact { state: ContactState::Requesting, name, ..known }
            }
            // What we have to say does not reach them: they need to hear from us by another way.
            ContactState::Accepted if known.refused.is_some() => {
                Contact { state: ContactState::Requesting, ..known }
            }
            ContactState::Accepted if invitation.group.is_some() => {
                return Ok(Ok(ask_contact(ctx, known, invitation)?));
            }
            ContactState::Accepted => {
                let name = quoted(known.name.as_str());
                return conflict(format!(
                    "{} is a contact already: `undertone send {name} TEXT`",
                    known.name
                ));
            }
            ContactState::Requested | ContactState::Declined => {
                let name = quoted(known.name.as_str());
                return conflict(format!("{} asked you: `undertone contact accept {name}`", known.name));
            }
            ContactState::Blocked(_) => {
                let name = quoted(known.name.as_str());
                return conflict(format!("{} is blocked: `undertone contact unblock {name}`", known.name));
            }
        },
        None => {
            let name = unique_name(ctx.tx, &name.unwrap_or(invitation.name.clone()), &user)?;
            stranger(ctx, user, name, ContactState::Requesting)
        }
    };
    // Nobody would answer, and all other ways to them would be given up for it.
    if contact.device_list.as_ref().is_some_and(|list| list.has_revoked(&invitation.device)) {
        let message = format!("this link is of a device that {} revoked: ask for a new one", contact.name);
        return conflict(message);
    }
    let handle = handle_of(invitation);
    let joiner = joiner(ctx, &contact, handle);
    let grants = invitation.relays.iter().filter_map(|relay| {
        let token = relay.introduction.extend(joiner.clone())?;
        Some(DeliveryGrant { device: invitation.device, mailbox: relay.mailbox.clone(), token })
    });
    contact.grants = grants.collect();
    let bundles = invitation.relays.iter().map(|relay| BundleAccess {
        device: invitation.device,
        relay: relay.mailbox.relay.clone(),
        locator: relay.locator,
        key: invitation.bundle_key.clone(),
    });
    contact.bundles = bundles.collect();
    // Of their other devices this one tells, or they do: what these said before led nowhere.
    contact.introduced.clear();
    contact.invitation = handle;
    contact.refused = None;
    introducing::answer(ctx, &mut contact);
    ctx.tx.put_contact(&contact)?;
    ctx.agenda.changed.insert(user);
    ctx.agenda.directory.insert(ctx.me.direct(&user), Side::User(user));
    Ok(Ok(contact))
}

/// Asks a contact to let the user into a group: on the ways that there are to them.
fn ask_contact(
    ctx: &mut Context<'_>,
    mut contact: Contact,
    invitation: &Invitation,
) -> Result<Contact, StoreError> {
    contact.join_by = handle_of(invitation);
    introducing::answer(ctx, &mut contact);
    ctx.tx.put_contact(&contact)?;
    Ok(contact)
}

/// What names an invitation.
fn handle_of(invitation: &Invitation) -> Option<Handle> {
    let first = invitation.relays.first().and_then(|relay| relay.introduction.path().first());
    first.map(|step| step.handle)
}

/// The joiner's step. One handle is one use of the invitation, so a repeated request keeps its handle.
fn joiner(ctx: &mut Context<'_>, contact: &Contact, invitation: Option<Handle>) -> Step {
    let again = contact.grants.first().filter(|_| contact.invitation == invitation);
    match again.and_then(|grant| grant.token.path().last()) {
        Some(step) => step.clone(),
        None => Step::named(Handle::random(ctx.rng)),
    }
}

/// Lets somebody in who asked.
pub(super) fn accept(
    ctx: &mut Context<'_>,
    mut contact: Contact,
) -> Result<Result<Contact, CommandError>, StoreError> {
    match contact.state {
        ContactState::Requested | ContactState::Declined => {
            introducing::answer(ctx, &mut contact);
            introductions::accepted(ctx, &mut contact)?;
            Ok(Ok(contact))
        }
        ContactState::Accepted => Ok(Ok(contact)),
        ContactState::Member => {
            let message =
                format!("{} did not ask: add them by their link, `undertone contact add`", contact.name);
            Ok(Err(CommandError::new(ErrorKind::Conflict, message)))
        }
        ContactState::Requesting => {
            let message = format!("you asked {}: it is for them to accept", contact.name);
            Ok(Err(CommandError::new(ErrorKind::Conflict, message)))
        }
        ContactState::Blocked(_) => {
            let name = quoted(contact.name.as_str());
            let message = format!("{} is blocked: `undertone contact unblock {name}`", contact.name);
            Ok(Err(CommandError::new(ErrorKind::Conflict, message)))
        }
    }
}
