//! What must hold: the invariants of the design that two users and one relay can break.

use std::collections::BTreeSet;

use undertone::engine::Notice;
use undertone::event::Event;
use undertone::store::{MemoryStore, NodeStore, NodeTx, StoreError};
use undertone_protocol::entry::Content;
use undertone_protocol::ids::{ConversationId, UserId};
use undertone_protocol::keys::direct_conversation;
use undertone_protocol::receipts::Tick;
use undertone_relay::store::Store;

use super::failed::Failed;
use super::node::Node;
use super::user::MARKER;

/// Ticks never go back, whatever crashes.
pub(super) fn ticks_advance(node: &mut Node) -> Result<(), Failed> {
    let seen = node.disk.transaction(|tx| {
        let mut seen = Vec::new();
        for conversation in conversations(tx)? {
            for delivery in tx.deliveries_between(&conversation, 1, MESSAGES_MAX)? {
                seen.push((delivery.entry.to_hex(), delivery.tick));
            }
        }
        Ok(seen)
    })?;
    for (entry, tick) in seen {
        let before = node.ticks.insert(entry.clone(), tick);
        if before.is_some_and(|before| before > tick) {
            return Err(Failed::new(format!(
                "{}: the tick of {entry} went from {before:?} to {tick:?}",
                node.name
            )));
        }
    }
    Ok(())
}

/// Of somebody who is blocked nothing is told, and nothing is on its way to them.
pub(super) fn blocked_are_shut_out(node: &mut Node, notices: &[Notice]) -> Result<(), Failed> {
    let name = node.name;
    let (blocked, pending) = node.disk.transaction(|tx| {
        let blocked = tx.contacts()?.iter().any(|contact| contact.state.is_blocked());
        Ok((blocked, tx.outbox_pending(0, 1)?.len()))
    })?;
    let told = notices.iter().any(|notice| {
        matches!(notice, Notice::Event(Event::Message { .. } | Event::Tick { .. } | Event::Request { .. }))
    });
    if blocked && (told || pending > 0) {
        return Err(Failed::new(format!(
            "{name}: told of a blocked contact: {notices:?}, {pending} on the way"
        )));
    }
    Ok(())
}

const MESSAGES_MAX: u64 = 10_000;

fn conversations(tx: &dyn NodeTx) -> Result<Vec<ConversationId>, StoreError> {
    let Some(account) = tx.account()? else { return Ok(Vec::new()) };
    let user = account.certificate.user;
    let others = tx.contacts()?.into_iter().filter(|contact| contact.user != user);
    Ok(others.map(|contact| direct_conversation(&user, &contact.user)).collect())
}

/// One node's view of the conversation.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    /// Texts in the order shown.
    pub(super) shown: Vec<String>,
    /// One's own messages that are not read yet.
    pub(super) unread: Vec<(u64, Tick)>,
    pub(super) failed: usize,
    pub(super) outbox: usize,
    pub(super) quarantine: usize,
    /// How the acquaintance stands.
    pub(super) contacts: Vec<String>,
    user: Option<UserId>,
}

pub(super) fn view(disk: &mut MemoryStore) -> Result<View, Failed> {
    Ok(disk.transaction(|tx| {
        let mut view =
            View { user: tx.account()?.map(|account| account.certificate.user), ..View::default() };
        for conversation in conversations(tx)? {
            for stored in tx.history(&conversation, None, 10_000)? {
                match stored.entry.body.content {
                    Content::Text(text) => view.shown.push(text),
                    Content::Unknown => view.shown.push("unknown".to_owned()),
                    Content::Devices(_) | Content::Account(_) => {}
                }
            }
            for delivery in tx.deliveries_unread(&conversation)? {
                view.unread.push((delivery.seq, delivery.tick));
                view.failed += usize::from(delivery.failed.is_some());
            }
        }
        let contacts = tx.contacts()?;
        view.contacts = contacts
            .iter()
            .map(|contact| {
                let (state, due, refused) = (contact.state, contact.introduction_due, contact.refused);
                format!("{}: {state:?}, introduction due: {due}, refused: {refused:?}", contact.name)
            })
            .collect();
        view.outbox = tx.outbox_len()?;
        view.quarantine = tx.quarantine(1_000)?.len();
        Ok(view)
    })?)
}

/// Whether both have everything, and know it.
pub(super) fn is_quiet(views: &[View]) -> bool {
    let all_read = views.iter().all(|view| view.unread.is_empty() && view.outbox == 0);
    all_read && views.iter().all(|view| !view.shown.is_empty())
}

/// At the end both show the same, once each, and nothing is left anywhere; only what was sealed in
/// lost sessions, or called back with a block, may stay unopened (`may_be_shut`).
pub(super) fn at_the_end(
    views: &[View],
    answered: &BTreeSet<String>,
    may_be_shut: bool,
) -> Result<(), Failed> {
    let [first, second] = views else { return Err(Failed::new("a world has two users")) };
    if !is_quiet(views) {
        return Err(Failed::new(format!("it does not come to rest: {views:?}")));
    }
    if first.shown != second.shown {
        return Err(Failed::new(format!(
            "they show different things:\n  {:?}\n  {:?}",
            first.shown, second.shown
        )));
    }
    let once: BTreeSet<&String> = first.shown.iter().collect();
    if once.len() != first.shown.len() {
        return Err(Failed::new(format!("something shows twice: {:?}", first.shown)));
    }
    if let Some(lost) = answered.iter().find(|text| !once.contains(text)) {
        return Err(Failed::new(format!("the user was told that \"{lost}\" is kept, and it is gone")));
    }
    if views.iter().any(|view| view.failed > 0 || (view.quarantine > 0 && !may_be_shut)) {
        return Err(Failed::new(format!("something failed or was never opened: {views:?}")));
    }
    Ok(())
}

/// The relay's disk holds neither what was said nor who said it.
pub(super) fn relay_is_blind(disk: &dyn Store, views: &[View]) -> Result<(), Failed> {
    let everything =
        disk.range(&[], &[0xff; 64], usize::MAX).map_err(|error| Failed::new(error.to_string()))?;
    let mut secrets: Vec<Vec<u8>> = vec![MARKER.as_bytes().to_vec()];
    secrets.extend(views.iter().filter_map(|view| view.user).map(|user| user.as_bytes().to_vec()));
    for (key, value) in &everything {
        for secret in &secrets {
            let inside = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_slice());
            if inside(key) || inside(value) {
                return Err(Failed::new("the relay's disk holds a message or an identity in the clear"));
            }
        }
    }
    Ok(())
}
