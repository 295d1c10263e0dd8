//! The user's own other devices. They are kept as a contact, the one with the user's own id: so they are reached
//! like anybody else's, and the direct conversation with them is the account conversation.

use std::time::Duration;

use undertone_protocol::ids::{ConversationId, DeviceId, Handle, UserId};
use undertone_protocol::keys::{DeviceList, Name};
use undertone_protocol::time::Timestamp;

use super::context::Context;
use crate::store::{Contact, ContactState, StoreError};

/// How long something sealed may need to arrive, and an acknowledgement of it to come back.
pub(super) const ARRIVAL: Duration = Duration::from_secs(30);
/// What the user calls the conversation with themselves.
const OWN_NAME: &str = "me";

/// The contact that stands for the own devices of a new account.
pub(super) fn contact(user: UserId, token: Handle, list: DeviceList, now: Timestamp) -> Option<Contact> {
    let name = Name::new(OWN_NAME).ok()?;
    let contact = Contact::new(user, name, ContactState::Accepted, token, now);
    Some(Contact { verified: true, device_list: Some(list), ..contact })
}

/// The handle of the token that a sibling gets: another one for each, so that each can be taken back.
pub(super) fn sibling_handle(own: &Contact, sibling: &DeviceId) -> Handle {
    let parts: [&[u8]; 2] = [own.token.as_bytes(), sibling.as_bytes()];
    Handle::derive("undertone v1 handle of a sibling's token", &parts)
}

/// The other active devices of the user.
pub(super) fn siblings(ctx: &Context<'_>) -> Vec<DeviceId> {
    authorised_of(ctx, Some(&ctx.me.account.device_list))
}

/// Whether it is another active device of the user.
pub(super) fn is_sibling(ctx: &Context<'_>, device: &DeviceId) -> bool {
    *device != ctx.me.device && ctx.me.account.device_list.active_device(device).is_some()
}

/// Whether it is, or was, a device of the user.
pub(super) fn is_own(ctx: &Context<'_>, device: &DeviceId) -> bool {
    *device == ctx.me.device || ctx.me.account.device_list.device(device).is_some()
}

/// Whether the conversation with this contact is the one with oneself.
pub(super) fn is_me(ctx: &Context<'_>, contact: &Contact) -> bool {
    contact.user == ctx.me.user
}

/// D: the active devices of a contact's newest list, this one left out.
pub(super) fn authorised(ctx: &Context<'_>, contact: &Contact) -> Vec<DeviceId> {
    if is_me(ctx, contact) { siblings(ctx) } else { authorised_of(ctx, contact.device_list.as_ref()) }
}

fn authorised_of(ctx: &Context<'_>, list: Option<&DeviceList>) -> Vec<DeviceId> {
    let devices = list.into_iter().flat_map(DeviceList::active).map(|certificate| certificate.device);
    devices.filter(|device| *device != ctx.me.device).collect()
}

/// The contact that stands for the own devices.
pub(super) fn own_contact(ctx: &Context<'_>) -> Result<Option<Contact>, StoreError> {
    ctx.tx.contact(&ctx.me.user)
}

/// Own other devices may lack what was just sealed for them, or came to this one: it is looked at when what is on
/// its way had time to arrive.
pub(super) fn look_later(ctx: &mut Context<'_>, conversation: &ConversationId) {
    for sibling in siblings(ctx) {
        let at = ctx.now.after(ARRIVAL);
        ctx.agenda.compare.entry((sibling, *conversation)).or_insert(at);
    }
}
