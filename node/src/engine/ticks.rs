//! How far this device's messages have come: ticks rise, and failures are told.

use undertone_protocol::ids::{ConversationId, EntryId};
use undertone_protocol::receipts::Tick;

use super::context::Context;
use super::{acknowledging, views};
use crate::event::Event;
use crate::store::{Delivery, Failure, StoreError};

/// Messages that are looked at in one go.
const VOID_PAGE: usize = 256;

/// Moves a message's tick forward, never back.
pub(super) fn raise_tick(ctx: &mut Context<'_>, entry: &EntryId, tick: Tick) -> Result<(), StoreError> {
    match ctx.tx.delivery(entry)? {
        Some(mut delivery) if delivery.tick < tick => {
            delivery.tick = tick;
            // That it waits here is no news for the user's other devices.
            if tick > Tick::Waiting {
                acknowledging::make_own_due(ctx, &delivery.conversation)?;
            }
            keep(ctx, &delivery)
        }
        _ => Ok(()),
    }
}

/// Flags a message as failed, unless a device has it by now.
pub(super) fn fail(ctx: &mut Context<'_>, entry: &EntryId, failure: Failure) -> Result<(), StoreError> {
    match ctx.tx.delivery(entry)? {
        Some(mut delivery)
            if delivery.tick < Tick::Delivered && delivery.failed != Some(failure) && !delivery.is_void() =>
        {
            delivery.failed = Some(failure);
            keep(ctx, &delivery)
        }
        _ => Ok(()),
    }
}

/// What this device wrote from a number on counts nowhere, whoever has it.
pub(super) fn void_from(
    ctx: &mut Context<'_>,
    conversation: &ConversationId,
    seq: u64,
) -> Result<(), StoreError> {
    let mut from = seq;
    loop {
        let page = ctx.tx.deliveries_between(conversation, from, u64::MAX, VOID_PAGE)?;
        let Some(last) = page.last() else { return Ok(()) };
        from = last.seq.saturating_add(1);
        for mut delivery in page.into_iter().filter(|delivery| !delivery.is_void()) {
            delivery.failed = Some(Failure::Copied);
            keep(ctx, &delivery)?;
        }
    }
}

/// Keeps how far a message has come, and tells it.
pub(super) fn keep(ctx: &mut Context<'_>, delivery: &Delivery) -> Result<(), StoreError> {
    tracing::trace!(me = ctx.me.device.short(), entry = ?delivery.entry, tick = ?delivery.tick, "has come");
    ctx.tx.put_delivery(delivery)?;
    let contact = views::conversation_name(ctx, &delivery.conversation)?;
    ctx.events.push(Event::Tick {
        contact,
        id: delivery.entry.to_hex(),
        state: delivery.tick.as_str().to_owned(),
        failed: delivery.failed.map(views::failure),
    });
    Ok(())
}
