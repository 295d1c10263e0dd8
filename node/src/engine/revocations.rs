//! Tokens that are taken back: each home relay is told until it confirmed, whatever crashes; where its
//! table is full, the mailbox starts a new epoch.

use undertone_protocol::ids::{Handle, RelayId, Secret};
use undertone_protocol::wire::{self, frame::Body};

use super::asked::Asked;
use super::context::Context;
use super::links::{Links, drop_link};
use super::own;
use super::types::Outputs;
use crate::LinkId;
use crate::store::{Contact, ContactState, HomeRelay, Member, Revocation, StoreError};

/// Revocations that one relay is told at a time.
const TELL_MAX: usize = 16;

/// Takes back the tokens whose path begins so, at all home relays.
pub(super) fn revoke(ctx: &mut Context<'_>, path: Vec<Handle>) -> Result<(), StoreError> {
    for home in ctx.tx.home_relays()? {
        let relay = home.address.relay;
        ctx.tx.put_revocation(&Revocation { relay, path: path.clone(), confirmed: false })?;
    }
    Ok(())
}

/// Takes back a token step wherever it stands: as this device issued it, and as the user's other devices did for
/// mailboxes of this one.
pub(super) fn revoke_everywhere(ctx: &mut Context<'_>, handle: Handle) -> Result<(), StoreError> {
    revoke(ctx, vec![handle])?;
    let Some(own) = own::own_contact(ctx)? else { return Ok(()) };
    for sibling in own::siblings(ctx) {
        revoke(ctx, vec![own::sibling_handle(&own, &sibling), handle])?;
    }
    Ok(())
}

/// Whether tokens of this handle are, or will be, refused here.
pub(super) fn is_revoked(ctx: &Context<'_>, contact: &Contact, handle: &Handle) -> Result<bool, StoreError> {
    let mut revoked = contact.former_tokens.contains(handle);
    for home in ctx.tx.home_relays()? {
        revoked |= ctx.tx.is_revoked(&home.address.relay, &[*handle])?;
    }
    Ok(revoked)
}

/// A contact was introduced to its present token: earlier ones are taken back.
pub(super) fn revoke_former(ctx: &mut Context<'_>, contact: &mut Contact) -> Result<(), StoreError> {
    for handle in std::mem::take(&mut contact.former_tokens) {
        revoke_everywhere(ctx, handle)?;
    }
    Ok(())
}

/// Takes back what a contact may deliver by: the token that was issued to them, and an invitation that was
/// for them alone. Other invitations end by themselves.
pub(super) fn revoke_contact(ctx: &mut Context<'_>, contact: &Contact) -> Result<(), StoreError> {
    if matches!(contact.state, ContactState::Requesting | ContactState::Accepted) {
        revoke_everywhere(ctx, contact.token)?;
    }
    let Some(handle) = contact.invitation else { return Ok(()) };
    match ctx.tx.invitation(&handle)? {
        Some(invitation) if invitation.uses_max == 1 && invitation.used_by == [contact.user] => {
            revoke(ctx, vec![handle])
        }
        _ => Ok(()),
    }
}

/// Tells a home relay what it does not know yet.
pub(super) fn tell(
    ctx: &mut Context<'_>,
    links: &mut Links,
    home: &HomeRelay,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    let relay = home.address.relay;
    for path in ctx.tx.revocations_due(&relay, TELL_MAX)? {
        let asking = |asked: &Asked| matches!(asked, Asked::Revoke(other) if *other == path);
        if links.is_asking(&LinkId::home(relay), asking) {
            continue;
        }
        let revoke = wire::RevokeToken {
            mailbox: home.mailbox.to_wire(),
            epoch: home.epoch,
            handles: path.iter().map(Handle::to_wire).collect(),
        };
        links.ask(&LinkId::home(relay), Asked::Revoke(path), Body::RevokeToken(revoke), ctx.now, out);
    }
    Ok(())
}

/// The relay refuses the token from now on.
pub(super) fn confirmed(ctx: &mut Context<'_>, relay: &RelayId, path: Vec<Handle>) -> Result<(), StoreError> {
    ctx.tx.put_revocation(&Revocation { relay: *relay, path, confirmed: true })
}

/// The relay's table is full: a new secret makes all tokens void, and contacts and members of groups get new ones. Links to this
/// mailbox that were given away end with it.
pub(super) fn new_epoch(
    ctx: &mut Context<'_>,
    links: &mut Links,
    relay: &RelayId,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    let Some(mut home) = ctx.tx.home_relay(relay)? else { return Ok(()) };
    tracing::info!(relay = %relay.short(), epoch = home.epoch.saturating_add(1), "a new epoch of the mailbox");
    home.secret = Secret::random(ctx.rng);
    home.epoch = home.epoch.saturating_add(1);
    home.bundle_stored = false;
    ctx.tx.put_home_relay(&home)?;
    ctx.tx.delete_revocations(relay)?;
    for mut contact in ctx.tx.contacts()? {
        if matches!(contact.state, ContactState::Requesting | ContactState::Accepted) {
            // It goes out when the relay has the new secret.
            contact.introduction_due = true;
            ctx.tx.put_contact(&contact)?;
        }
    }
    introduce_to_members(ctx)?;
    // It registers again as it connects.
    drop_link(ctx, links, &LinkId::home(*relay), "the mailbox starts a new epoch", out);
    Ok(())
}

/// All members of groups get anew what this device has to say of itself.
pub(super) fn introduce_to_members(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for group in ctx.tx.groups()? {
        for mut member in ctx.tx.members(&group.id)?.into_iter().filter(Member::is_in) {
            member.introduction_due = true;
            ctx.tx.put_member(&member)?;
            ctx.agenda.meet.insert((group.id, member.user));
        }
    }
    Ok(())
}
