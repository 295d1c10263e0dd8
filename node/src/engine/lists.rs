//! What contacts are called, and the device lists that they show.

use undertone_protocol::codec::Signed;
use undertone_protocol::ids::{Handle, UserId};
use undertone_protocol::keys::{DeviceList, ListVerdict, Name};
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire;

use super::context::Context;
use super::views;
use crate::event::Event;
use crate::store::{Contact, ContactState, StoreError};

/// A contact of whom nothing is known yet.
pub(super) fn stranger(ctx: &mut Context<'_>, user: UserId, name: Name, state: ContactState) -> Contact {
    Contact {
        user,
        name,
        state,
        verified: false,
        identity_warning: false,
        token: Handle::random(ctx.rng),
        device_list: None,
        bundles: Vec::new(),
        grants: Vec::new(),
        invitation: None,
        introduction_due: false,
        introduced: Timestamp::ZERO,
        refused: None,
        added: ctx.now,
    }
}

/// A name that no other contact has: with the beginning of the user id where it is taken.
pub(super) fn unique_name(contacts: &[Contact], wanted: &Name, user: &UserId) -> Name {
    let taken = |name: &Name| {
        contacts.iter().any(|contact| {
            contact.user != *user && contact.name.as_str().to_lowercase() == name.as_str().to_lowercase()
        })
    };
    if !taken(wanted) {
        return wanted.clone();
    }
    let short: String = wanted.as_str().chars().take(16).collect();
    let longer = [format!("{short}-{}", user.short()), user.to_hex()];
    let free = longer.iter().filter_map(|name| Name::new(name).ok()).find(|name| !taken(name));
    free.unwrap_or_else(|| wanted.clone())
}

/// A device list that came pairwise.
pub(super) fn device_list(
    ctx: &mut Context<'_>,
    user: &UserId,
    signed: wire::Signed,
) -> Result<(), StoreError> {
    let list = Signed::from_wire(signed).map_err(Into::into).and_then(DeviceList::verify);
    match (list, ctx.tx.contact(user)?) {
        (Ok(list), Some(mut contact)) => {
            take_list(ctx, &mut contact, &list)?;
            ctx.tx.put_contact(&contact)
        }
        (Err(error), _) => {
            tracing::warn!(user = %user.short(), %error, "a device list was refused");
            Ok(())
        }
        (Ok(_), None) => Ok(()),
    }
}

/// Takes a contact's list, whose signature holds, if it is newer. The caller keeps the contact.
pub(super) fn take_list(
    ctx: &mut Context<'_>,
    contact: &mut Contact,
    list: &DeviceList,
) -> Result<(), StoreError> {
    if list.user != contact.user {
        return Ok(());
    }
    let verdict = list.judge(contact.device_list.as_ref());
    let (take, warn) = match verdict {
        ListVerdict::Newer => (true, false),
        ListVerdict::Same | ListVerdict::Older => (false, false),
        // A first list again: they re-installed, or somebody replays it. The known one stays.
        ListVerdict::Reset | ListVerdict::Conflict => (false, true),
    };
    if take {
        contact.device_list = Some(list.clone());
    }
    if warn {
        contact.identity_warning = true;
        contact.verified = false;
        if contact.state.is_blocked() {
            return Ok(());
        }
        let view = views::contact(ctx, contact)?;
        ctx.events.push(Event::Contact { contact: view });
    }
    Ok(())
}
