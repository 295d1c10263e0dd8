//! What a conversation shows: its last messages, and that they were read.

use std::collections::VecDeque;

use undertone_protocol::log::OrderKey;

use super::answers::{Answer, Reply, error, now};
use super::circle::Circle;
use super::context::Context;
use super::waiters::Condition;
use super::{acknowledging, losses, messages, shown, views};
use crate::command::{CountView, ErrorKind, HistoryItem, Response};
use crate::store::StoreError;

const HISTORY_MAX: usize = 10_000;
/// Their bytes, as entries: an answer of the local API has room for them, even where each byte takes six as JSON.
const HISTORY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Marks everything received as read.
pub(super) fn read(ctx: &mut Context<'_>, circle: Circle) -> Result<Answer, StoreError> {
    if let Some(contact) = circle.contact().filter(|contact| contact.state.is_blocked()) {
        return error(ErrorKind::Conflict, messages::blocked(contact));
    }
    let conversation = circle.conversation(ctx);
    let (before, after) = acknowledging::mark_read(ctx, &conversation)?;
    let messages = shown::lines_between(ctx, &circle, &before, &after)?;
    let view = CountView { name: circle.name(), messages };
    Ok(Ok(Reply::Later(Condition::Flushed { conversation, view })))
}

/// The last messages.
pub(super) fn history(ctx: &mut Context<'_>, circle: &Circle, limit: usize) -> Result<Answer, StoreError> {
    if limit > HISTORY_MAX {
        return error(
            ErrorKind::Limit,
            format!("at most the last {HISTORY_MAX} messages can be shown at once"),
        );
    }
    let conversation = circle.conversation(ctx);
    let mut lost = losses::before(ctx, circle, &conversation)?;
    let (mut bytes, mut messages) = (0, 0);
    let mut items: VecDeque<HistoryItem> = VecDeque::new();
    let mut before = None;
    while messages < limit {
        let page = ctx.tx.history(&conversation, before.as_ref(), limit)?;
        let Some(first) = page.first() else { break };
        before = Some(OrderKey {
            effective: first.effective,
            device: first.entry.header.device,
            entry: first.entry.id,
        });
        for stored in page.into_iter().rev() {
            if messages == limit {
                break;
            }
            if shown::is_line(ctx, circle, &stored)? {
                let view = views::message(ctx, circle, &stored)?;
                bytes += shown::bytes(&view);
                if bytes > HISTORY_BYTES_MAX {
                    let message = format!("they are too long for one answer: the last {messages} would fit");
                    return error(ErrorKind::Limit, message);
                }
                messages += 1;
                items.push_front(HistoryItem::Message(view));
            }
            let place = (stored.entry.header.device, stored.entry.header.seq);
            if let Some(lost) = lost.remove(&place) {
                items.push_front(HistoryItem::Lost(lost));
            }
        }
    }
    now(Response::History(items.into()))
}
