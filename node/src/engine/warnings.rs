//! What users are warned of: what is wrong with their own device or identity, and with contacts; and what to do.

use std::collections::BTreeSet;

use undertone_protocol::ids::{ConversationId, DeviceId};
use undertone_protocol::keys::Name;
use undertone_protocol::receipts::Denial;

use super::context::Context;
use super::own;
use crate::command::quoted;
use crate::store::{Contact, ContactState, CutReason, Fault, StoreError};

/// What is said when this user's identity, or this device, is in two places.
const OWN_WARNING: &str = "your identity is in use in two places: a primary device was set up anew by \
     your recovery phrase, or its files were copied. Was it not you, begin a new identity in another directory \
     (`undertone --home DIR init`), and tell your contacts";

/// What is said when nothing goes out of this device's store any more, and what to do.
pub(super) fn fault(ctx: &Context<'_>, fault: Fault) -> String {
    let what = match fault {
        Fault::RolledBack => {
            "this device's files are an old copy: a relay knows of what was sent since. Nothing goes out of it any \
             more, as keys would be used twice; it shows what it has"
        }
        Fault::Copied => {
            "a copy of this device's files is in use, or they are an old copy: others hold what this device did not \
             write here. Nothing goes out of it any more: what is written in two places does not count, and shows as \
             failed"
        }
    };
    let remedy = if ctx.me.account.identity_seed.is_some() {
        "start anew in another directory with your recovery phrase: `undertone --home DIR init --recover`"
    } else {
        "revoke it on your primary device (`undertone device revoke NAME`), and link it anew from another directory: \
         `undertone --home DIR device link`"
    };
    format!("{what}. To go on, {remedy}; never restore or copy its files")
}

/// What the user has to know of their own identity or device.
pub(super) fn of_own(ctx: &Context<'_>) -> Result<Option<String>, StoreError> {
    if let Some(found) = ctx.me.account.fault {
        return Ok(Some(fault(ctx, found)));
    }
    let own = own::own_contact(ctx)?;
    if own.is_some_and(|own| own.identity_warning) {
        return Ok(Some(OWN_WARNING.to_owned()));
    }
    let forked = own_forked(ctx)?;
    let certificate = forked.iter().find_map(|device| ctx.me.account.device_list.active_device(device));
    Ok(certificate.map(|certificate| {
        let name = &certificate.name;
        format!(
            "{}: `undertone device revoke \"{name}\"` on your primary device, and link it anew",
            device_forked(&format!("your device {name}"))
        )
    }))
}

/// Other active devices of this user that wrote two things in one place, in any conversation.
pub(super) fn own_forked(ctx: &Context<'_>) -> Result<BTreeSet<DeviceId>, StoreError> {
    let mut devices = BTreeSet::new();
    for conversation in ctx.agenda.directory.keys() {
        let forked = forked(ctx, conversation)?;
        devices.extend(forked.into_iter().filter(|device| own::is_sibling(ctx, device)));
    }
    Ok(devices)
}

fn forked(ctx: &Context<'_>, conversation: &ConversationId) -> Result<Vec<DeviceId>, StoreError> {
    let cuts = ctx.tx.cuts(conversation)?.into_iter();
    Ok(cuts.filter(|(_, cut)| cut.why == CutReason::Forked).map(|(device, _)| device).collect())
}

pub(super) fn device_forked(whose: &str) -> String {
    format!(
        "{whose} wrote two things in one place, as a copied store does: what it writes from there on is left out"
    )
}

/// What is wrong with a contact, the worst first.
pub(super) fn of_contact(ctx: &Context<'_>, contact: &Contact) -> Result<Option<String>, StoreError> {
    if let Some(denial) = contact.refused {
        return Ok(Some(refusal(contact, denial)));
    }
    if let Some(warning) = identity_warning(contact) {
        return Ok(Some(warning));
    }
    let forked = forked(ctx, &ctx.me.direct(&contact.user))?;
    let certificate = contact
        .device_list
        .as_ref()
        .and_then(|list| forked.iter().find_map(|device| list.active_device(device)));
    Ok(certificate
        .map(|certificate| device_forked(&format!("{}'s device {}", contact.name, certificate.name))))
}

fn identity_warning(contact: &Contact) -> Option<String> {
    let (name, named) = (&contact.name, quoted(contact.name.as_str()));
    if contact.identity_warning {
        return Some(format!(
            "{name}'s identity is in two hands (theirs, or somebody else's): `undertone contact verify {named}`"
        ));
    }
    contact.reinstalled.then(|| {
        format!("{name} re-installed, or somebody has their phrase: `undertone contact verify {named}`")
    })
}

/// Why a request or an accept was refused, and what to do.
pub(super) fn refusal(contact: &Contact, denial: Denial) -> String {
    if contact.state == ContactState::Accepted {
        unreachable(contact)
    } else {
        refused_request(contact, denial)
    }
}

/// A contact takes nothing from us, and does not know how to reach us.
fn unreachable(contact: &Contact) -> String {
    format!(
        "{0}'s relay refuses what you send, and {0} may be unable to write to you: ask {0} for a new link, and \
         use it by `undertone contact add`",
        contact.name
    )
}

/// Why a request by an invitation was refused, and what to do.
fn refused_request(contact: &Contact, denial: Denial) -> String {
    let name: &Name = &contact.name;
    match denial {
        Denial::Expired => {
            format!("the invitation has expired, or the request by it: ask {name} for a new link")
        }
        Denial::UsedUp => format!("the invitation was used up: ask {name} for a new link"),
        Denial::Revoked => format!("{name} took the invitation back: ask for a new link"),
        other => format!("{name}'s relay refused the request ({}): ask for a new link", denied(other)),
    }
}

pub(super) fn denied(denial: Denial) -> &'static str {
    match denial {
        Denial::UnknownMailbox => "the mailbox is unknown there",
        Denial::Epoch => "the mailbox's tokens were renewed",
        Denial::Proof => "the token does not match",
        Denial::Revoked => "the token was revoked",
        Denial::Expired => "the token expired",
        Denial::UsedUp => "the token was used up",
        Denial::Rights => "the token does not allow it",
    }
}
