//! Home relays that may have lost what they held for this device: everybody is told, and sends it again.

use undertone_protocol::ids::{Handle, RelayId};
use undertone_protocol::limits::HOME_RELAY_WAIT;
use undertone_protocol::time::Timestamp;

use super::{staying, tell_all};
use crate::LinkId;
use crate::engine::acknowledging;
use crate::engine::context::Context;
use crate::engine::home::offered;
use crate::engine::links::Links;
use crate::store::{HomeRelay, StoreError};

/// A relay lost its disk, and what it held: it is left out, if there is another one, until it has the bundle again; else
/// everybody gets another token for the mailbox, and sends again what it held. One that says so again and again must not make
/// everybody move again and again: what comes too soon is done later ([`forgotten_again`]).
pub(in crate::engine) fn forgotten(ctx: &mut Context<'_>, relay: &RelayId) -> Result<(), StoreError> {
    // Those that were given up count as long as they serve.
    let (forgotten, others): (Vec<_>, Vec<_>) =
        offered(ctx)?.into_iter().partition(|home| home.address.relay == *relay);
    let due = ctx.agenda.forgotten.get(relay).map(|at| at.after(HOME_RELAY_WAIT));
    if let Some(due) = due.filter(|due| ctx.now < *due) {
        // Kept, as the relay's new generation is: nothing else would tell of it again.
        for home in forgotten {
            ctx.tx.put_home_relay(&HomeRelay { lost_due: Some(due), ..home })?;
        }
        return Ok(());
    }
    ctx.agenda.forgotten.insert(*relay, ctx.now);
    let is_another_known = others.iter().any(|home| home.announced);
    if is_another_known { leave_out(ctx, forgotten) } else { renew_tokens(ctx, forgotten) }
}

/// What home relays held that they lost too soon after another time, its time has come: as [`forgotten`].
pub(super) fn forgotten_again(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for home in ctx.tx.home_relays()? {
        if is_due(home.lost_due, ctx.now) {
            let relay = home.address.relay;
            ctx.tx.put_home_relay(&HomeRelay { lost_due: None, ..home })?;
            forgotten(ctx, &relay)?;
        }
    }
    Ok(())
}

/// Whether the time has come for what was put off for HOME_RELAY_WAIT, by a clock that may have been ahead.
pub(super) fn is_due(due: Option<Timestamp>, now: Timestamp) -> bool {
    due.is_some_and(|due| due <= now || due > now.after(HOME_RELAY_WAIT))
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
        ctx.tx.put_home_relay(&HomeRelay { renewed, lost_due: None, ..home })?;
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
        let since = links.unreachable_since(&home.address.relay, ctx.now);
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
        ctx.tx.put_home_relay(&HomeRelay { announced: false, lost_due: None, ..home })?;
    }
    tell_all(ctx)
}
