//! Home relays that may have lost what they held for this device: everybody is told, and sends it again.

use undertone_protocol::ids::{Handle, RelayId};
use undertone_protocol::limits::HOME_RELAY_WAIT;
use undertone_protocol::time::Timestamp;

use super::{staying, tell_all};
use crate::LinkId;
use crate::engine::acknowledging;
use crate::engine::context::Context;
use crate::engine::links::Links;
use crate::store::{HomeRelay, StoreError};

/// A relay lost its disk, and what it held: it is left out, if there is another one, until it has the bundle again; else
/// everybody gets another token for the mailbox, and sends again what it held. One that says so again and again must not make
/// everybody move again and again: what comes too soon is done later ([`forgotten_again`]).
pub(in crate::engine) fn forgotten(ctx: &mut Context<'_>, relay: &RelayId) -> Result<(), StoreError> {
    let (forgotten, others): (Vec<_>, Vec<_>) =
        announced(ctx)?.into_iter().partition(|home| home.address.relay == *relay);
    match ctx.agenda.forgotten.get_mut(relay) {
        Some((at, again)) if ctx.now < at.after(HOME_RELAY_WAIT) => {
            *again = true;
            return Ok(());
        }
        _ => ctx.agenda.forgotten.insert(*relay, (ctx.now, false)),
    };
    if others.is_empty() { renew_tokens(ctx, forgotten) } else { leave_out(ctx, forgotten) }
}

/// What home relays held that they lost too soon after another time, its time has come: as [`forgotten`].
pub(super) fn forgotten_again(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    let due = |(at, again): &(_, bool)| *again && ctx.now >= Timestamp::after(*at, HOME_RELAY_WAIT);
    let due = ctx.agenda.forgotten.iter().filter(|(_, when)| due(when)).map(|(relay, _)| *relay);
    for relay in due.collect::<Vec<_>>() {
        forgotten(ctx, &relay)?;
    }
    Ok(())
}

/// Others get another token for these mailboxes: whoever hears that sends again what the relays held. Own other devices see it
/// by what this one says that it holds.
fn renew_tokens(ctx: &mut Context<'_>, homes: Vec<HomeRelay>) -> Result<(), StoreError> {
    if homes.is_empty() {
        return Ok(());
    }
    for home in homes {
        tracing::info!(relay = %home.address.relay.short(), "the only home relay forgot what it held");
        let renewed = Some(Handle::random(ctx.rng));
        ctx.tx.put_home_relay(&HomeRelay { renewed, ..home })?;
    }
    let me = ctx.me.user;
    acknowledging::tell_new_device(ctx, &me)?;
    tell_all(ctx)
}

/// Those that stay, and that others are told of.
fn announced(ctx: &Context<'_>) -> Result<Vec<HomeRelay>, StoreError> {
    let mut homes = staying(ctx)?;
    homes.retain(|home| home.announced);
    Ok(homes)
}

/// A home relay that could not be reached for long while another one could may have died with what it held: it is left out.
pub(super) fn leave_out_unreachable(ctx: &mut Context<'_>, links: &Links) -> Result<(), StoreError> {
    let mut offered = announced(ctx)?;
    if !offered.iter().any(|home| links.is_ready(&LinkId::home(home.address.relay))) {
        return Ok(());
    }
    let is_gone = |home: &HomeRelay| {
        let since = links.unreachable_since(&home.address.relay);
        since.is_some_and(|since| ctx.now >= since.after(HOME_RELAY_WAIT))
    };
    offered.retain(is_gone);
    leave_out(ctx, offered)
}

/// Others are told of these home relays no more: whoever hears that sends again what they held. When they are back, and have
/// the bundle, they are told of like such that were added.
fn leave_out(ctx: &mut Context<'_>, homes: Vec<HomeRelay>) -> Result<(), StoreError> {
    if homes.is_empty() {
        return Ok(());
    }
    for home in homes {
        tracing::info!(relay = %home.address.relay.short(), "a home relay is left out: what it held may be lost");
        ctx.tx.put_home_relay(&HomeRelay { announced: false, ..home })?;
    }
    tell_all(ctx)
}
