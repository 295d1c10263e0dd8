//! What must hold: the invariants of the design that users, their devices and one relay can break.

use std::collections::{BTreeMap, BTreeSet};

use undertone::engine::Notice;
use undertone::event::Event;
use undertone::store::{
    Contact, ContactState, MemoryStore, NodeStore, NodeTx, OutboxItem, OutboxState, StoreError,
};
use undertone_protocol::entry::Content;
use undertone_protocol::ids::{ConversationId, UserId};
use undertone_protocol::keys::direct_conversation;
use undertone_protocol::receipts::Tick;
use undertone_relay::store::Store;

use super::failed::Failed;
use super::node::Node;
use super::person::MARKER;

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
    let (blocked, pending) = node.disk.transaction(|tx| {
        let blocked: Vec<Contact> =
            tx.contacts()?.into_iter().filter(|contact| contact.state.is_blocked()).collect();
        let pending = if blocked.is_empty() { Vec::new() } else { tx.outbox_pending(0, 10_000)? };
        Ok((blocked, pending))
    })?;
    // What is told may have happened in the moment before the block.
    let names = blocked.iter().map(|contact| contact.name.to_string()).collect();
    let before = std::mem::replace(&mut node.blocked, names);
    let is_blocked = |name: &str| node.blocked.contains(name) && before.contains(name);
    let told = notices.iter().any(|notice| match notice {
        Notice::Event(Event::Message { message }) => is_blocked(&message.contact),
        Notice::Event(Event::Tick { contact, .. }) => is_blocked(contact),
        Notice::Event(Event::Request { contact }) => is_blocked(&contact.name),
        _ => false,
    });
    if told {
        return Err(Failed::new(format!("{}: told of a blocked contact: {notices:?}", node.name)));
    }
    let to_them = pending.iter().find(|item| {
        item.recipients.iter().any(|recipient| {
            blocked.iter().any(|contact| contact.user == recipient.user)
                && matches!(recipient.state, OutboxState::Pending { .. })
        })
    });
    match to_them {
        Some(item) => {
            Err(Failed::new(format!("{}: on its way to a blocked contact: {}", node.name, described(item))))
        }
        None => Ok(()),
    }
}

const MESSAGES_MAX: u64 = 10_000;

fn conversations(tx: &dyn NodeTx) -> Result<Vec<ConversationId>, StoreError> {
    let Some(account) = tx.account()? else { return Ok(Vec::new()) };
    let user = account.certificate.user;
    let others = tx.contacts()?.into_iter().filter(|contact| contact.user != user);
    Ok(others.map(|contact| direct_conversation(&user, &contact.user)).collect())
}

/// What is on one device.
#[derive(Default)]
pub(super) struct View {
    /// In hexadecimal.
    pub(super) user: String,
    /// What its user's identity key is, to be searched for.
    key: Vec<u8>,
    device: String,
    /// Whether it waits to be added by another device.
    linking: bool,
    /// By the other user, in hexadecimal.
    chats: BTreeMap<String, Chat>,
    outbox: Vec<String>,
    quarantine: usize,
}

/// In short: texts stand for their number.
impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let short = |user: &str| user.get(..4).unwrap_or_default().to_owned();
        write!(f, "\n  {} {}", short(&self.user), self.device)?;
        if self.linking {
            f.write_str(" linking")?;
        }
        for (user, chat) in &self.chats {
            let Chat { shown, unread, failed, state, .. } = chat;
            write!(
                f,
                "\n    {}: {} shown, unread {unread:?}, {failed} failed, {state}",
                short(user),
                shown.len()
            )?;
        }
        write!(f, "\n    outbox {:?}, {} in quarantine", self.outbox, self.quarantine)
    }
}

/// One conversation on one device.
#[derive(Debug, Default, PartialEq, Eq)]
struct Chat {
    /// Texts in the order shown.
    shown: Vec<String>,
    /// One's own messages that are not read yet.
    unread: Vec<(u64, Tick)>,
    failed: usize,
    /// How the acquaintance stands.
    state: String,
    is_accepted: bool,
}

pub(super) fn view(disk: &mut MemoryStore) -> Result<View, Failed> {
    Ok(disk.transaction(|tx| {
        let mut view = View::default();
        let Some(account) = tx.account()? else { return Ok(view) };
        let own = account.certificate.user;
        view.user = own.to_hex();
        view.key = own.as_bytes().to_vec();
        view.device = account.certificate.device.short();
        view.linking = account.linking.is_some();
        for contact in tx.contacts()?.into_iter().filter(|contact| contact.user != own) {
            view.chats.insert(contact.user.to_hex(), chat(tx, &own, &contact)?);
        }
        view.outbox = tx.outbox_page(0, 1_000)?.iter().map(described).collect();
        view.quarantine = tx.quarantine(1_000)?.len();
        Ok(view)
    })?)
}

fn described(item: &OutboxItem) -> String {
    let states = item.recipients.iter().map(|recipient| match recipient.state {
        OutboxState::Pending { .. } => "pending",
        OutboxState::Custody { .. } => "in custody",
        OutboxState::Acknowledged => "acknowledged",
        OutboxState::Failed => "failed",
    });
    format!("{:?} {:?}", item.purpose, states.collect::<Vec<_>>())
}

fn chat(tx: &dyn NodeTx, own: &UserId, contact: &Contact) -> Result<Chat, StoreError> {
    let conversation = direct_conversation(own, &contact.user);
    let mut chat = Chat { is_accepted: contact.state == ContactState::Accepted, ..Chat::default() };
    for stored in tx.history(&conversation, None, 10_000)? {
        match stored.entry.body.content {
            Content::Text(text) => chat.shown.push(text),
            Content::Unknown => chat.shown.push("unknown".to_owned()),
            Content::Devices(_) | Content::Account(_) => {}
        }
    }
    for delivery in tx.deliveries_unread(&conversation)? {
        chat.unread.push((delivery.seq, delivery.tick));
        chat.failed += usize::from(delivery.failed.is_some());
    }
    let (state, due, refused) = (contact.state, contact.introduction_due, contact.refused);
    let active = contact.device_list.iter().flat_map(|list| list.active());
    let active: Vec<String> = active.map(|certificate| certificate.device.short()).collect();
    let bundles: BTreeSet<String> = contact.bundles.iter().map(|access| access.device.short()).collect();
    let grants: BTreeSet<String> = contact.grants.iter().map(|grant| grant.device.short()).collect();
    chat.state = format!(
        "{state:?}, introduction due: {due}, refused: {refused:?}, devices {active:?}, bundles {bundles:?}, grants {grants:?}"
    );
    Ok(chat)
}

/// The conversation of a pair on each of their devices.
fn chats<'a>(views: &'a [View], pair: &(String, String)) -> Vec<Option<&'a Chat>> {
    let devices = views.iter().filter_map(|view| {
        let other = if view.user == pair.0 { Some(&pair.1) } else { None };
        let other = other.or_else(|| (view.user == pair.1).then_some(&pair.0))?;
        Some(view.chats.get(other))
    });
    devices.collect()
}

/// Whether all have everything, and know it.
pub(super) fn is_quiet(views: &[View], pairs: &[(String, String)]) -> bool {
    let settled = |view: &View| !view.linking && view.outbox.is_empty();
    let same = |pair: &(String, String)| {
        let chats = chats(views, pair);
        let Some(Some(first)) = chats.first() else { return false };
        chats.iter().all(|chat| {
            chat.is_some_and(|chat| {
                chat.is_accepted && chat.unread.is_empty() && chat.shown.len() == first.shown.len()
            })
        })
    };
    views.iter().all(settled) && pairs.iter().all(same)
}

/// At the end all devices of a pair show the same, once each, and nothing is left anywhere; only what was
/// sealed in lost sessions, or called back with a block, may stay unopened (`may_be_shut`). Gives how many
/// messages are shown.
pub(super) fn at_the_end(
    views: &[View],
    pairs: &[(String, String)],
    kept: &BTreeSet<&String>,
    may_be_shut: bool,
) -> Result<usize, Failed> {
    if !is_quiet(views, pairs) {
        return Err(Failed::new(format!("it does not come to rest: {views:?}")));
    }
    let mut all = BTreeSet::new();
    for pair in pairs {
        let chats = chats(views, pair);
        let first = chats.first().copied().flatten().map(|chat| &chat.shown);
        if let Some(other) = chats.iter().find(|chat| chat.map(|chat| &chat.shown) != first) {
            return Err(Failed::new(format!("devices show different things:\n  {first:?}\n  {other:?}")));
        }
        for text in first.into_iter().flatten() {
            if !all.insert(text) {
                return Err(Failed::new(format!("something shows twice: {text}")));
            }
        }
    }
    if let Some(lost) = kept.iter().find(|text| !all.contains(**text)) {
        return Err(Failed::new(format!("the user was told that \"{lost}\" is kept, and it is gone")));
    }
    let failed = |view: &View| {
        view.chats.values().any(|chat| chat.failed > 0) || (view.quarantine > 0 && !may_be_shut)
    };
    if let Some(view) = views.iter().find(|view| failed(view)) {
        return Err(Failed::new(format!("something failed or was never opened: {view:?}")));
    }
    Ok(all.len())
}

/// The relay's disk holds neither what was said nor who said it.
pub(super) fn relay_is_blind(disk: &dyn Store, views: &[View]) -> Result<(), Failed> {
    let everything =
        disk.range(&[], &[0xff; 64], usize::MAX).map_err(|error| Failed::new(error.to_string()))?;
    let mut secrets: Vec<Vec<u8>> = vec![MARKER.as_bytes().to_vec()];
    secrets.extend(views.iter().map(|view| view.key.clone()));
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
