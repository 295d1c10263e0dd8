//! Turning people away: declining a request, blocking and unblocking.

use undertone_protocol::entry::BlockedFrom;
use undertone_protocol::ids::Handle;

use super::context::Context;
use super::{acknowledging, groups, introducing, introductions, membership, own, resend, revocations, views};
use crate::command::{CommandError, ErrorKind, quoted};
use crate::event::Event;
use crate::store::{Block, Contact, ContactState, Purpose, StoreError};

type Changed = Result<Contact, CommandError>;

/// Turns a request down. Whoever asked is not told, and does not show again by asking again.
pub(super) fn decline(ctx: &mut Context<'_>, mut contact: Contact) -> Result<Changed, StoreError> {
    let refuse = |message: String| Ok(Err(CommandError::new(ErrorKind::Conflict, message)));
    match contact.state {
        ContactState::Declined => return Ok(Ok(contact)),
        ContactState::Requested => {}
        ContactState::Requesting => {
            return refuse(format!(
                "you asked {}; if you want nothing from them: `undertone contact block {}`",
                contact.name,
                quoted(contact.name.as_str())
            ));
        }
        // They stay a contact, and are not let into the group that they ask for.
        ContactState::Accepted if membership::asks_for(ctx, &contact)?.is_some() => {
            contact.asks_by = None;
            ctx.tx.put_contact(&contact)?;
            return Ok(Ok(contact));
        }
        ContactState::Accepted => {
            let name = quoted(contact.name.as_str());
            return refuse(format!("{} is a contact: `undertone contact block {name}`", contact.name));
        }
        ContactState::Blocked(_) => return refuse(format!("{} is blocked", contact.name)),
        ContactState::Member => return refuse(only_member(&contact)),
    }
    contact.state = ContactState::Declined;
    ctx.tx.put_contact(&contact)?;
    changed(ctx, &contact)?;
    Ok(Ok(contact))
}

/// Wants nothing from them any more: their tokens are taken back, and nothing goes to them.
pub(super) fn block(ctx: &mut Context<'_>, contact: Contact) -> Result<Changed, StoreError> {
    if own::is_me(ctx, &contact) {
        let message = "these are your own devices: see `undertone device revoke`";
        return Ok(Err(CommandError::new(ErrorKind::Conflict, message)));
    }
    let was = match contact.state {
        ContactState::Requesting => BlockedFrom::Requesting,
        ContactState::Requested => BlockedFrom::Requested,
        ContactState::Declined => BlockedFrom::Declined,
        ContactState::Accepted => BlockedFrom::Accepted,
        ContactState::Blocked(_) => return Ok(Ok(contact)),
        ContactState::Member => {
            return Ok(Err(CommandError::new(ErrorKind::Conflict, only_member(&contact))));
        }
    };
    shut_out(ctx, contact.clone(), Block { was, since: ctx.now })?;
    Ok(Ok(Contact { state: ContactState::Blocked(Block { was, since: ctx.now }), ..contact }))
}

fn only_member(contact: &Contact) -> String {
    format!("{} is no contact of yours, but in a group with you, and can't write to you alone", contact.name)
}

/// What a block does, here or on another device of the user.
pub(super) fn shut_out(ctx: &mut Context<'_>, mut contact: Contact, block: Block) -> Result<(), StoreError> {
    revocations::revoke_contact(ctx, &contact)?;
    call_back(ctx, &contact)?;
    contact.state = ContactState::Blocked(block);
    contact.introduction_due = false;
    contact.refused = None;
    ctx.tx.put_contact(&contact)?;
    changed(ctx, &contact)
}

/// Takes what has not reached a relay out of the outbox. Messages wait, to be sealed when they are unblocked.
fn call_back(ctx: &mut Context<'_>, contact: &Contact) -> Result<(), StoreError> {
    let conversation = ctx.me.direct(&contact.user);
    resend::call_back(ctx, &conversation)?;
    let user = contact.user;
    let purposes = [
        Purpose::Acknowledgement(conversation),
        Purpose::Introduction(user),
        Purpose::Retry(user),
        Purpose::DeviceList(user),
        Purpose::History(conversation),
    ];
    for purpose in purposes {
        let items = ctx.tx.outbox_of(&purpose)?.into_iter();
        // Own other devices get history too.
        for item in items.filter(|item| item.recipients.iter().any(|recipient| recipient.user == user)) {
            ctx.tx.delete_outbox(item.id)?;
        }
    }
    // What an acknowledgement said that is gone now, a later one says.
    acknowledging::make_due(ctx, &conversation)
}

/// They are what they were before. A contact gets a new token, with an introduction.
pub(super) fn unblock(ctx: &mut Context<'_>, mut contact: Contact) -> Result<Changed, StoreError> {
    let ContactState::Blocked(block) = contact.state else {
        let message = format!("{} is not blocked", contact.name);
        return Ok(Err(CommandError::new(ErrorKind::Conflict, message)));
    };
    contact.token = Handle::random(ctx.rng);
    let_in(ctx, contact, block.was.into()).map(Ok)
}

/// What the end of a block does, here or on another device of the user. The contact has its new token already.
pub(super) fn let_in(
    ctx: &mut Context<'_>,
    mut contact: Contact,
    state: ContactState,
) -> Result<Contact, StoreError> {
    contact.state = state;
    if matches!(contact.state, ContactState::Requesting | ContactState::Accepted) {
        introducing::answer(ctx, &mut contact);
        // They could not say that they can't read something, so all that they did not acknowledge goes again.
        let devices = own::authorised(ctx, &contact);
        for device in &devices {
            resend::all(ctx, &contact, device)?;
        }
        // What they said anew of how to reach them had no such effect while they were blocked.
        groups::tell_again(ctx, &contact.user, &devices.into_iter().collect())?;
        ctx.agenda.seal.insert(ctx.me.direct(&contact.user));
        acknowledging::make_due(ctx, &ctx.me.direct(&contact.user))?;
    }
    ctx.tx.put_contact(&contact)?;
    changed(ctx, &contact)?;
    Ok(contact)
}

fn changed(ctx: &mut Context<'_>, contact: &Contact) -> Result<(), StoreError> {
    introductions::answered(ctx);
    ctx.agenda.changed.insert(contact.user);
    let view = views::contact(ctx, contact)?;
    ctx.events.push(Event::Contact { contact: view });
    Ok(())
}
