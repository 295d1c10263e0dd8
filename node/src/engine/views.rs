//! What users see: records turned into the views of commands and events.

use std::collections::BTreeSet;

use undertone_protocol::entry::{Content, DeviceChange};
use undertone_protocol::ids::{ConversationId, DeviceId};
use undertone_protocol::keys::{Certificate, DeviceList, ListedDevice};
use undertone_protocol::limits::{ENVELOPE_TTL_MAX, EXPIRY_GRACE};
use undertone_protocol::receipts::Tick;

use super::circle::Circle;
use super::context::Context;
use super::{elsewhere, membership, own, shown, warnings};
use crate::command::{ContactView, DeviceCodeView, DeviceView, IdView, MessageView};
use crate::store::{
    Contact, ContactState, Delivery, Failure, OutboxItem, OutboxState, Purpose, StoreError, StoredEntry,
};

/// Entries among which the text of a request is.
const FIRST_TEXT_AMONG: usize = 64;

/// What a conversation is called.
pub(super) fn conversation_name(
    ctx: &Context<'_>,
    conversation: &ConversationId,
) -> Result<String, StoreError> {
    let circle = Circle::of(ctx, conversation)?;
    Ok(circle.map_or_else(|| conversation.short(), |circle| circle.name()))
}

/// Who this node is.
pub(super) fn id(ctx: &Context<'_>) -> IdView {
    IdView {
        name: ctx.me.account.name.to_string(),
        user: ctx.me.user.to_hex(),
        device: ctx.me.device.to_hex(),
    }
}

/// A contact or a request.
pub(super) fn contact(ctx: &Context<'_>, contact: &Contact) -> Result<ContactView, StoreError> {
    let pending = ctx.tx.outbox_of(&Purpose::Introduction(contact.user))?;
    let state = match contact.state {
        ContactState::Requesting => "requesting",
        ContactState::Requested => "requested",
        ContactState::Declined => "declined",
        ContactState::Accepted => "accepted",
        ContactState::Member => "member",
        ContactState::Blocked(_) => "blocked",
    };
    Ok(ContactView {
        name: contact.name.to_string(),
        user: contact.user.to_hex(),
        state: state.to_owned(),
        verified: contact.verified,
        warning: warnings::of_contact(ctx, contact)?,
        message: first_text(ctx, contact)?,
        group: membership::asks_for(ctx, contact)?.map(|group| group.name),
        introduced: !contact.introduction_due && !pending.iter().any(OutboxItem::is_pending),
    })
}

fn first_text(ctx: &Context<'_>, contact: &Contact) -> Result<Option<String>, StoreError> {
    if contact.state != ContactState::Requested {
        return Ok(None);
    }
    let history = ctx.tx.history(&ctx.me.direct(&contact.user), None, FIRST_TEXT_AMONG)?;
    let first = history.iter().find(|stored| matches!(stored.entry.body.content, Content::Text(_)));
    let circle = Circle::Direct(Box::new(contact.clone()));
    Ok(first.map(|first| message(ctx, &circle, first)).transpose()?.map(|view| view.text))
}

/// Why a message does not get further.
pub(super) fn failure(failure: Failure) -> String {
    match failure {
        Failure::Unreachable => {
            "unreachable: your relay could not reach the contact's relay in time".to_owned()
        }
        Failure::Expired => "expired: no device of the contact fetched it in time".to_owned(),
        Failure::Denied(denial) => format!("denied: {}", warnings::denied(denial)),
        Failure::TooLarge { bytes_max } => format!("too large: the relay takes {bytes_max} bytes"),
        Failure::Copied => {
            "a copy of this device wrote in its place, so nobody is shown it: write it again on a \
                            device that was set up anew (see `undertone status`)"
                .to_owned()
        }
    }
}

/// The answer to a device's code does not get to the device.
pub(super) fn link_refused(name: &str, why: Failure) -> String {
    format!(
        "the relay of \"{name}\" did not take what makes it yours ({}): show its code again by `undertone device \
         link`, and add that one; does it fail again, revoke the device and install it anew",
        failure(why)
    )
}

fn text(ctx: &Context<'_>, stored: &StoredEntry) -> Result<String, StoreError> {
    Ok(match &stored.entry.body.content {
        Content::Text(text) => text.text.clone(),
        Content::Annotation(_) | Content::Hidden(_) | Content::Gone => String::new(),
        Content::Devices(change) => devices(change),
        Content::Account(_) => "(what your devices know of a contact)".to_owned(),
        Content::Operation(signed) => membership::told(ctx, signed)?,
        Content::Unknown => "(made by a newer version: update to see it)".to_owned(),
    })
}

/// What kind of message an entry shows as.
const fn kind(content: &Content) -> &'static str {
    match content {
        Content::Text(_) | Content::Gone => "text",
        Content::Unknown => "unknown",
        Content::Devices(_)
        | Content::Operation(_)
        | Content::Account(_)
        | Content::Annotation(_)
        | Content::Hidden(_) => "notice",
    }
}

/// Which devices a change leaves active.
fn devices(change: &DeviceChange) -> String {
    match DeviceList::verify(change.device_list.clone()) {
        Ok(list) => {
            let names: Vec<&str> = list.active().map(|certificate| certificate.name.as_str()).collect();
            format!("(uses these devices from here on: {})", names.join(", "))
        }
        Err(_) => "(a change of devices that can't be read)".to_owned(),
    }
}

/// A message of a conversation.
pub(super) fn message(
    ctx: &Context<'_>,
    circle: &Circle,
    stored: &StoredEntry,
) -> Result<MessageView, StoreError> {
    let entry = &stored.entry;
    let mine = own::is_own(ctx, &entry.header.device);
    let delivery = if mine { ctx.tx.delivery(&entry.id)? } else { None };
    let elsewhere = match &delivery {
        None if mine => Some(elsewhere::tick(ctx, circle, &entry.header)?),
        _ => None,
    };
    let state = match delivery.as_ref().map(|delivery| delivery.tick).or(elsewhere) {
        Some(tick) => tick.as_str(),
        None => {
            let own = ctx.tx.own_receipts(&entry.header.conversation)?;
            if own.read.covers(&entry.header.device, entry.header.seq) { "read" } else { "received" }
        }
    };
    let failed = match &delivery {
        Some(delivery) => delivery.failed,
        None => has_expired(ctx, circle, elsewhere, stored)?.then_some(Failure::Expired),
    };
    let mut view = MessageView {
        kind: kind(&entry.body.content).to_owned(),
        id: entry.id.to_hex(),
        contact: circle.name(),
        from: circle.author(ctx, &entry.header.device)?,
        mine,
        text: text(ctx, stored)?,
        time_ms: entry.header.claimed.as_ms(),
        state: state.to_owned(),
        failed: failed.map(failure),
        retry: delivery.as_ref().and_then(|delivery| delivery.failed).is_some_and(Failure::may_pass),
        note: match (&delivery, elsewhere) {
            (Some(delivery), _) => note(ctx, circle, delivery)?,
            (None, Some(Tick::Queued)) => {
                Some("written on another device, which has not told yet that a relay took it".to_owned())
            }
            (None, _) if failed.is_some() => {
                Some("written on another device: it can be tried again there".to_owned())
            }
            (None, _) => None,
        },
        ..MessageView::default()
    };
    shown::describe(ctx, circle, stored, &mut view)?;
    Ok(view)
}

/// Whether a message that another own device wrote was fetched by nobody in time, as that device must see it too. In a
/// group one who was away says nothing of the others.
fn has_expired(
    ctx: &Context<'_>,
    circle: &Circle,
    elsewhere: Option<Tick>,
    stored: &StoredEntry,
) -> Result<bool, StoreError> {
    let is_old = ctx.now.since(stored.received) > ENVELOPE_TTL_MAX + EXPIRY_GRACE;
    Ok(elsewhere == Some(Tick::Sent)
        && is_old
        && !elsewhere::somebody_has(ctx, circle, &stored.entry.header)?)
}

/// What a queued message waits for.
fn note(ctx: &Context<'_>, circle: &Circle, delivery: &Delivery) -> Result<Option<String>, StoreError> {
    if delivery.tick > Tick::Queued || delivery.failed.is_some() {
        return Ok(None);
    }
    let blocked = circle.contact().is_some_and(|contact| contact.state.is_blocked());
    let note = match (circle, circle.is_open(), delivery.sealed) {
        (_, true, true) if was_put_off(ctx, delivery)? => {
            "their relay takes nothing more for them just now (a full mailbox, or too much at once): it is tried again"
        }
        (_, true, true) => "waiting for a relay",
        (Circle::Direct(_), true, false) => "waiting for the contact's keys",
        (Circle::Group(_), true, false) => "waiting for the members' keys",
        (Circle::Direct(_), false, _) if blocked => "you blocked the contact",
        (Circle::Direct(_), false, _) => "awaiting acceptance",
        (Circle::Group(_), false, _) => "you are not in the group any more",
    };
    Ok(Some(note.to_owned()))
}

/// Whether a relay answered that it can't take a message yet.
fn was_put_off(ctx: &Context<'_>, delivery: &Delivery) -> Result<bool, StoreError> {
    let items = ctx.tx.outbox_of(&Purpose::Entry(delivery.entry))?;
    let put_off = |state: OutboxState| matches!(state, OutboxState::Pending { attempts: 1.., .. });
    Ok(items.iter().flat_map(|item| &item.recipients).any(|recipient| put_off(recipient.state)))
}

/// Whether a queued message can get further without somebody else's doing.
pub(super) fn can_progress(ctx: &Context<'_>, delivery: &Delivery) -> Result<bool, StoreError> {
    let circle = Circle::of(ctx, &delivery.conversation)?;
    Ok(delivery.sealed || circle.is_some_and(|circle| circle.is_open()))
}

/// How many things are on their way out: items that no relay has yet.
pub(super) fn outbox_pending(ctx: &Context<'_>, limit: usize) -> Result<usize, StoreError> {
    ctx.tx.outbox_pending_len(limit)
}

/// A device of this user. `own`: what is known of the other ones; `forked`: those that wrote two things in one place.
pub(super) fn device(
    ctx: &Context<'_>,
    own: Option<&Contact>,
    forked: &BTreeSet<DeviceId>,
    listed: &ListedDevice,
) -> Result<DeviceView, StoreError> {
    let Certificate { device, name, created, .. } = &listed.certificate;
    let this = *device == ctx.me.device;
    let is_known = this || own.is_some_and(|own| own.has_introduced(device));
    let state = match (listed.revoked, is_known) {
        (true, _) => "revoked",
        (false, true) => "active",
        (false, false) if ctx.tx.outbox_heads_of(&Purpose::Link(*device))?.is_empty() => "linking",
        (false, false) => "waiting",
    };
    Ok(DeviceView {
        name: name.to_string(),
        device: device.to_hex(),
        this,
        state: state.to_owned(),
        added_ms: created.as_ms(),
        warning: forked.contains(device).then(|| warnings::device_forked("it")),
    })
}

/// A device that belongs to a user already shows no code.
pub(super) const fn no_code() -> DeviceCodeView {
    DeviceCodeView { code: None, ready: true, problem: None }
}
