//! What must hold at the end.

use std::collections::BTreeSet;

use memchr::memmem::Finder;
use prost::Message;
use undertone::command::MessageView;
use undertone::store::{
    Contact, ContactState, HomeRelay, MemoryStore, NodeStore, NodeTx, OutboxItem, OutboxState, Purpose,
    Standing, StoreError, StoredEntry,
};
use undertone_protocol::entry::{Act, Annotation, Content};
use undertone_protocol::ids::{ConversationId, EntryId, PayloadHash, UserId};
use undertone_protocol::keys::direct_conversation;
use undertone_protocol::receipts::Tick;
use undertone_protocol::wire::{self, SealedEntry};
use undertone_relay::store::Store;

use super::failed::{Check, Failed};
use super::node::Node;
use super::reference::{Bodies, Expected};
use super::sent::is_for_former;
use super::user::MARKER;
use super::watch::{all, outbox_items};

/// What one device shows of one acquaintance.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct View {
    /// Whose device, and of whom.
    pub(super) title: String,
    /// Whether the device waits to be added by another one.
    linking: bool,
    /// The device's home relays.
    homes: Vec<String>,
    /// How the acquaintance stands.
    contact: String,
    accepted: bool,
    /// Texts in the order shown.
    pub(super) shown: Vec<String>,
    /// Ids of what was said of them, likewise.
    changes: Vec<String>,
    /// One's own messages that are not read yet.
    unread: Vec<(u64, Tick)>,
    failed: usize,
    /// Gaps that nobody is waited for to fill any more.
    lost: usize,
    /// Of the whole device.
    outbox: usize,
    quarantine: usize,
    contacts: usize,
    /// It knows a group that its user is not in, any more or yet: what was sealed for it there may never be opened.
    out: bool,
}

/// What a device shows of an acquaintance. What is on its way to `hostile` alone, or to former
/// members of a group, is not counted: it may never arrive. What was dropped is taken from `bodies`.
pub(super) fn view(
    title: String,
    disk: &mut MemoryStore,
    user: &UserId,
    peer: &UserId,
    hostile: Option<&UserId>,
    bodies: &Bodies,
) -> Result<View, StoreError> {
    disk.transaction(|tx| {
        let mut view = View {
            title,
            outbox: outbox(tx, hostile)?,
            quarantine: tx.quarantine(1_000)?.len(),
            contacts: tx.contacts()?.iter().filter(|contact| is_met(contact, user)).count(),
            out: tx.groups()?.iter().any(|group| group.standing == Standing::Out),
            linking: tx.account()?.is_some_and(|account| account.linking.is_some()),
            homes: tx.home_relays()?.iter().map(home).collect(),
            ..View::default()
        };
        if let Some(contact) = tx.contact(peer)? {
            view.accepted = contact.state == ContactState::Accepted;
            view.contact = described(&contact);
        }
        fill(&mut view, tx, user, peer, bodies)?;
        Ok(view)
    })
}

/// Whether they are more than a member of a common group.
fn is_met(contact: &Contact, user: &UserId) -> bool {
    contact.user != *user && contact.state != ContactState::Member
}

fn outbox(tx: &dyn NodeTx, hostile: Option<&UserId>) -> Result<usize, StoreError> {
    let mut count = 0;
    for item in outbox_items(tx)? {
        let waits = match hostile {
            Some(hostile) => waits_for_others(tx, &item, hostile)?,
            None => true,
        };
        count += usize::from(waits && !is_for_former(tx, &item)?);
    }
    Ok(count)
}

/// Whether something waits for somebody else than who cheats. In a group others may have acknowledged what the cheat never
/// does; and a key that a relay has stays as long as the message does that it went out with.
fn waits_for_others(tx: &dyn NodeTx, item: &OutboxItem, hostile: &UserId) -> Result<bool, StoreError> {
    let stays = match item.purpose {
        Purpose::Key(entry) => !tx.outbox_heads_of(&Purpose::Entry(entry))?.is_empty(),
        _ => false,
    };
    let waits = |state: OutboxState| match state {
        OutboxState::Acknowledged => false,
        OutboxState::Custody { .. } => !stays,
        _ => true,
    };
    Ok(item.recipients.iter().any(|recipient| recipient.user != *hostile && waits(recipient.state)))
}

fn home(home: &HomeRelay) -> String {
    let state = match (home.stays(), home.announced) {
        (false, _) => "given up",
        (true, false) => "not told of",
        (true, true) => "told of",
    };
    format!("{}, {state}", home.address.relay.short())
}

fn described(contact: &Contact) -> String {
    let (state, due, refused) = (contact.state, contact.introduction_due, contact.refused);
    let active = contact.device_list.iter().flat_map(|list| list.active());
    let active: Vec<String> = active.map(|certificate| certificate.device.short()).collect();
    let bundles: BTreeSet<String> = contact.bundles.iter().map(|access| access.device.short()).collect();
    let grants = contact.grants.iter().map(|grant| {
        let (device, relay) = (grant.device.short(), grant.mailbox.relay.relay.short());
        format!("{device} at {relay}")
    });
    let grants: BTreeSet<String> = grants.collect();
    format!(
        "{state:?}, introduction due: {due}, refused: {refused:?}, devices {active:?}, bundles {bundles:?}, grants {grants:?}"
    )
}

fn fill(
    view: &mut View,
    tx: &dyn NodeTx,
    user: &UserId,
    peer: &UserId,
    bodies: &Bodies,
) -> Result<(), StoreError> {
    let conversation = direct_conversation(user, peer);
    for stored in tx.history(&conversation, None, 10_000)? {
        match stored.entry.body.content {
            Content::Text(text) => view.shown.push(text.text),
            Content::Unknown => view.shown.push("unknown".to_owned()),
            Content::Annotation(_) => view.changes.push(stored.entry.id.to_hex()),
            Content::Gone => was(view, &stored.entry.id, bodies),
            Content::Devices(_) | Content::Account(_) | Content::Hidden(_) | Content::Operation(_) => {}
        }
    }
    for delivery in tx.deliveries_unread(&conversation)? {
        view.unread.push((delivery.seq, delivery.tick));
        view.failed += usize::from(delivery.failed.is_some());
    }
    view.lost = tx.gaps(&conversation)?.iter().filter(|(_, gap)| gap.is_lost()).count();
    Ok(())
}

/// What an entry was before what it said was dropped.
fn was(view: &mut View, id: &EntryId, bodies: &Bodies) {
    let body = bodies.get(id.as_bytes()).and_then(|body| wire::EntryBody::decode(body.clone()).ok());
    match body.and_then(|body| body.content) {
        Some(wire::entry_body::Content::Text(text)) => view.shown.push(text.text),
        Some(wire::entry_body::Content::Annotation(_)) => view.changes.push(id.to_hex()),
        _ => view.shown.push(format!("unknown: {}", id.to_hex())),
    }
}

/// What is in an outbox.
pub(super) fn left(name: &str, disk: &mut MemoryStore) -> Vec<String> {
    let items = disk.transaction(|tx| outbox_items(tx));
    let describe = |item: &OutboxItem| {
        let states: Vec<(String, OutboxState)> =
            item.recipients.iter().map(|recipient| (recipient.device.short(), recipient.state)).collect();
        let hash = PayloadHash::of(&item.payload);
        format!("{name} #{} {}: {:?} of {:?}, {states:?}", item.id, hash.short(), item.purpose, item.created)
    };
    items.map(|items| items.iter().map(describe).collect()).unwrap_or_default()
}

/// Whether all devices of both sides of an acquaintance have everything, and know it.
pub(super) fn is_quiet(views: &[View]) -> bool {
    let Some(first) = views.first().filter(|view| !view.shown.is_empty()) else { return false };
    let settled = |view: &View| view.accepted && !view.linking && view.unread.is_empty() && view.outbox == 0;
    let same = |view: &View| view.shown == first.shown && view.changes == first.changes;
    views.iter().all(|view| settled(view) && same(view))
}

/// What all devices of both sides must show of a message alike. `other`: the device is of the other side.
pub(super) fn as_shown(view: &MessageView, other: bool) -> String {
    let side = |mine: bool| mine != other;
    let mut reactions: Vec<_> = view.reactions.iter().map(|one| (side(one.mine), &one.reaction)).collect();
    reactions.sort();
    let quote = view.reply_to.as_ref().map(|reply| (&reply.id, &reply.text, reply.deleted));
    let marks = (view.edited, view.deleted, view.pinned, view.forwarded);
    format!("{} {} {:?} {marks:?} {reactions:?} {quote:?}", view.id, side(view.mine), view.text)
}

/// The message that an entry deletes.
pub(super) fn deletes(stored: &StoredEntry) -> Option<String> {
    match &stored.entry.body.content {
        Content::Annotation(Annotation { entry, act: Act::Delete }) => Some(entry.to_hex()),
        _ => None,
    }
}

/// A message without what it shows of these that it answers.
pub(super) fn without_quotes_of(mut view: MessageView, these: &BTreeSet<String>) -> MessageView {
    view.reply_to = view.reply_to.filter(|reply| !these.contains(&reply.id));
    view
}

/// At the end all devices of both sides show the same, once each, and nothing is left anywhere; only what was
/// sealed in lost sessions, called back with a block, overtaken, or outlived by its key may stay unopened (`may_be_shut`).
pub(super) fn at_the_end(views: &[View], answered: &[&String], may_be_shut: bool) -> Result<(), Failed> {
    if !is_quiet(views) {
        return Err(Failed::by(Check::Rest, format!("it does not come to rest: {views:#?}")));
    }
    let Some(first) = views.first() else { return Err(Failed::by(Check::Rest, "nobody has a device")) };
    let once: BTreeSet<&String> = first.shown.iter().collect();
    if once.len() != first.shown.len() {
        return Err(Failed::by(Check::Once, format!("something shows twice: {:?}", first.shown)));
    }
    if let Some(lost) = answered.iter().find(|text| !once.contains(**text)) {
        return Err(Failed::by(
            Check::Kept,
            format!("the user was told that \"{lost}\" is kept, and it is gone"),
        ));
    }
    let shut = |view: &View| view.quarantine > 0 && !may_be_shut && !view.out;
    if views.iter().any(|view| view.failed > 0 || view.lost > 0 || shut(view)) {
        return Err(Failed::by(
            Check::Settled,
            format!("something failed, is lost, or was never opened: {views:#?}"),
        ));
    }
    Ok(())
}

/// The devices of one user show the same of somebody who cheats, and have taken it all in. Who cheats may never accept;
/// until then each device keeps for itself what waits for that.
pub(super) fn converged(views: &[View]) -> bool {
    let Some(first) = views.first() else { return false };
    let same = |view: &View| view.accepted == first.accepted && (!view.accepted || view.shown == first.shown);
    views.iter().all(|view| !view.linking && same(view))
}

/// Takes note of what all entries say that a device holds. One that cheats is not asked: of what it wrote, dropped and
/// then handed on without what it said nobody else can know what it was.
pub(super) fn note_bodies(node: &mut Node, bodies: &mut Bodies) -> Result<(), StoreError> {
    if node.cheat.is_some() {
        return Ok(());
    }
    let user = node.user;
    let conversations = node.disk.transaction(|tx| {
        let contacts = tx.contacts()?.into_iter().map(|contact| direct_conversation(&user, &contact.user));
        let groups = tx.groups()?.into_iter().map(|group| group.id);
        Ok(contacts.chain(groups).collect::<Vec<_>>())
    })?;
    for conversation in conversations {
        for entry in
            entries(&mut node.disk, &conversation)?.into_iter().filter(|entry| !entry.body.is_empty())
        {
            bodies.insert(*blake3::hash(&entry.header).as_bytes(), entry.body);
        }
    }
    Ok(())
}

/// The entries that a device holds of a conversation, those that do not count too, as they go over the wire.
pub(super) fn entries(
    disk: &mut MemoryStore,
    conversation: &ConversationId,
) -> Result<Vec<SealedEntry>, StoreError> {
    disk.transaction(|tx| {
        let mut entries = Vec::new();
        for (device, _) in tx.frontier(conversation)? {
            let held = tx.entries_of(conversation, &device, 1, usize::MAX >> 1)?;
            entries.extend(held.into_iter().map(|stored| stored.entry.to_wire()));
        }
        Ok(entries)
    })
}

/// What a device shows is what the reference model says, and its user's own messages are read by the others where
/// `read`.
pub(super) fn as_expected(
    title: &str,
    shown: &[MessageView],
    expected: &Expected,
    read: bool,
) -> Result<(), Failed> {
    // What else stands in a history, as that devices changed, is said in brackets.
    let texts = shown.iter().filter(|view| view.kind == "text");
    let texts = texts.map(|view| (view.id.as_str(), view.text.as_str()));
    let wanted = expected.texts.iter().map(|(id, text)| (id.as_str(), text.as_str()));
    let stays = |(id, _): &(&str, &str)| !expected.gone.contains(*id);
    let texts: Vec<(&str, &str)> = texts.filter(stays).collect();
    let wanted: Vec<(&str, &str)> = wanted.filter(stays).collect();
    if texts != wanted {
        let what = format!("{title}: it shows {texts:#?}, and not {wanted:#?}");
        return Err(Failed::by(Check::Reference, what));
    }
    match shown.iter().find(|view| read && view.mine && view.state != "read") {
        Some(view) => Err(Failed::by(Check::ReadTicks, format!("{title}: not shown as read: {view:?}"))),
        None => Ok(()),
    }
}

/// Nobody has contacts that they never met. Of `cheats`, whoever cheats may have spoilt it.
pub(super) fn knows_only(view: &View, acquaintances: usize, cheats: usize) -> Result<(), Failed> {
    if (acquaintances.saturating_sub(cheats)..=acquaintances).contains(&view.contacts) {
        return Ok(());
    }
    Err(Failed::by(
        Check::Strangers,
        format!("{}: {} contacts, and {acquaintances} met", view.title, view.contacts),
    ))
}

/// The relay's disk holds neither what was said nor who said it.
pub(super) fn relay_is_blind(disk: &dyn Store, users: &[UserId]) -> Result<(), Failed> {
    let marker = Finder::new(MARKER.as_bytes());
    let secrets = users.iter().map(|user| Finder::new(user.as_bytes()));
    let secrets: Vec<Finder<'_>> = secrets.chain([marker]).collect();
    for (key, value) in all(disk)? {
        for secret in &secrets {
            if secret.find(&key).is_some() || secret.find(&value).is_some() {
                return Err(Failed::by(
                    Check::Blind,
                    "the relay's disk holds a message or an identity in the clear",
                ));
            }
        }
    }
    Ok(())
}
