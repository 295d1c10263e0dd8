//! What must hold at every moment: looked at while the world runs.

use std::collections::BTreeSet;

use undertone::engine::Notice;
use undertone::event::Event;
use undertone::store::{Contact, Delivery, NodeStore, NodeTx, OutboxItem, OutboxState, Purpose, StoreError};

use undertone_protocol::ids::{DeviceId, PayloadHash, RelayId, UserId};
use undertone_protocol::keys::direct_conversation;
use undertone_protocol::receipts::Tick;
use undertone_protocol::time::Timestamp;
use undertone_relay::store::Store;

use super::bounds;
use super::failed::{Check, Failed};
use super::node::Node;
use super::seen::SealedUnder;
use super::sent::is_of_group;
use super::vanishing;

const TICKS: [Tick; 5] = [Tick::Queued, Tick::Waiting, Tick::Sent, Tick::Delivered, Tick::Read];
/// No conversation of a world has so many messages.
pub(super) const MESSAGES_MAX: u64 = 10_000;

/// After how many steps of a node its tables are looked at.
const BOUNDS_EVERY: u64 = 256;
/// After how many it is looked at what should have vanished.
const VANISHED_EVERY: u64 = 16;

/// How far a message has come, and with whom it is.
struct Shown {
    peer: UserId,
    delivery: Delivery,
}

/// What is around the nodes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    /// Whose device cheats: what it says of itself need not be so.
    pub(super) hostile: Option<UserId>,
    /// What the relay signed for, where it lies about that.
    pub(super) vouched: Option<&'a BTreeSet<PayloadHash>>,
    /// The moment, where there is something that vanishes.
    pub(super) vanishing: Option<Timestamp>,
}

/// After a step of a node that told this; `started`: it was its first.
pub(super) fn after_step(
    nodes: &mut [Node],
    index: usize,
    notices: &[Notice],
    started: bool,
    around: Around<'_>,
) -> Result<(), Failed> {
    let Some(node) = nodes.get_mut(index).filter(|node| node.cheat.is_none()) else { return Ok(()) };
    told_once(node, notices)?;
    told_ticks_advance(node, notices)?;
    let changes = node.disk.changes();
    let changed = std::mem::replace(&mut node.seen.changes, changes) != changes;
    if changed || started || !notices.is_empty() {
        let contacts = node.disk.transaction(|tx| tx.contacts())?;
        keys_are_renewed(node, &contacts, started)?;
        node.seen.asked_again = node.seen.asked_again || asks_again(node, &contacts)?;
        blocked_are_shut_out(node, contacts, notices)?;
    }
    node.seen.steps += 1;
    if let Some(now) = around.vanishing.filter(|_| !started && node.seen.steps.is_multiple_of(VANISHED_EVERY))
    {
        vanishing::nothing_stays(node, now)?;
    }
    let moved = notices.iter().any(|notice| matches!(notice, Notice::Event(Event::Tick { .. })));
    // Most steps move no tick: then a look now and then is enough.
    if moved || started || node.seen.steps.is_multiple_of(8) {
        if let Some(vouched) = around.vouched {
            custody_is_vouched(node, vouched)?;
        }
        if node.seen.steps.is_multiple_of(BOUNDS_EVERY) {
            bounds::hold(node)?;
        }
        ticks_are_true(nodes, index, around.hostile)?;
    }
    Ok(())
}

/// A message shows once.
fn told_once(node: &mut Node, notices: &[Notice]) -> Result<(), Failed> {
    for notice in notices {
        let Notice::Event(Event::Message { message }) = notice else { continue };
        if !node.seen.told.insert(message.id.clone()) {
            return Err(Failed::by(
                Check::Once,
                format!("{}: told twice of \"{}\"", node.name, message.text),
            ));
        }
    }
    Ok(())
}

/// No tick that is told goes back.
fn told_ticks_advance(node: &mut Node, notices: &[Notice]) -> Result<(), Failed> {
    for notice in notices {
        let Notice::Event(Event::Tick { id, state, .. }) = notice else { continue };
        let Some(tick) = TICKS.into_iter().find(|tick| tick.as_str() == state) else {
            return Err(Failed::by(Check::Ticks, format!("{}: told of a tick \"{state}\"", node.name)));
        };
        let before = node.seen.told_ticks.insert(id.clone(), tick);
        if before.is_some_and(|before| before > tick) {
            return Err(Failed::by(
                Check::Ticks,
                format!("{}: told of {tick:?} after {before:?} of {id}", node.name),
            ));
        }
    }
    Ok(())
}

fn asks_again(node: &mut Node, contacts: &[Contact]) -> Result<bool, StoreError> {
    node.disk.transaction(|tx| {
        for contact in contacts {
            if !tx.outbox_of(&Purpose::Retry(contact.user))?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    })
}

/// After something came from the other side, or a device was revoked, nothing more is sealed under the sender key of
/// before.
fn keys_are_renewed(node: &mut Node, contacts: &[Contact], started: bool) -> Result<(), Failed> {
    let (user, device) = (node.user, node.device);
    let keys = node.disk.transaction(|tx| {
        let mut keys = Vec::new();
        let own = tx.account()?.map(|account| account.device_list);
        for contact in contacts {
            let conversation = direct_conversation(&user, &contact.user);
            let Some(key) = tx.sender_key(&conversation)? else { continue };
            let others = tx.frontier(&conversation)?.into_iter().filter(|(other, _)| *other != device);
            let received = others.map(|(_, item)| item.count()).sum();
            let lists = own.iter().chain(&contact.device_list);
            let mut revoked = lists.flat_map(|list| &list.devices).filter(|listed| listed.revoked);
            let holders = [key.holders, key.own_holders].concat();
            let shut_out = revoked.any(|listed| holders.contains(&listed.certificate.device));
            let now = SealedUnder { key: key.header_key, messages: key.messages, received };
            keys.push((conversation, now, shut_out));
        }
        Ok(keys)
    })?;
    for (conversation, now, shut_out) in keys {
        let knew = match shut_out {
            true => !node.seen.held_by_revoked.insert(conversation),
            false => node.seen.held_by_revoked.remove(&conversation),
        };
        let Some(before) = node.seen.keys.get(&conversation) else {
            node.seen.keys.insert(conversation, now);
            continue;
        };
        let again = before.key == now.key && before.messages < now.messages;
        if again && knew && shut_out && !started {
            let what = format!("{}: sealed under a key that a revoked device holds", node.name);
            return Err(Failed::by(Check::Members, what));
        }
        // What a node did in the step in which it died was not looked at.
        if again && before.received < now.received && !started {
            return Err(Failed::by(Check::Turns, format!("{}: a sender key outlived a turn", node.name)));
        }
        if again || before.key != now.key {
            node.seen.keys.insert(conversation, now);
        }
    }
    Ok(())
}

/// Of somebody who is blocked nothing is told, and nothing is on its way to them.
fn blocked_are_shut_out(
    node: &mut Node,
    mut blocked: Vec<Contact>,
    notices: &[Notice],
) -> Result<(), Failed> {
    blocked.retain(|contact| contact.state.is_blocked());
    let to_them = match blocked.is_empty() {
        true => None,
        false => node.disk.transaction(|tx| sent_to(tx, &blocked))?,
    };
    // What is told may have happened in the moment before the block.
    let names = blocked.iter().map(|contact| contact.name.to_string()).collect();
    let before = std::mem::replace(&mut node.seen.blocked, names);
    let is_blocked = |name: &str| node.seen.blocked.contains(name) && before.contains(name);
    let told = notices.iter().find(|notice| match notice {
        Notice::Event(Event::Message { message }) => is_blocked(&message.contact),
        // That one's own message failed is no news of theirs.
        Notice::Event(Event::Tick { contact, failed, .. }) => is_blocked(contact) && failed.is_none(),
        Notice::Event(Event::Request { contact }) => is_blocked(&contact.name),
        _ => false,
    });
    if let Some(told) = told {
        return Err(Failed::by(
            Check::Blocked,
            format!("{}: told of a blocked contact: {told:?}", node.name),
        ));
    }
    match to_them {
        Some(purpose) => Err(Failed::by(
            Check::Blocked,
            format!("{}: {purpose:?} is on its way to a blocked contact", node.name),
        )),
        None => Ok(()),
    }
}

/// Something that waits to go to one of these, and is not theirs as members of a group.
fn sent_to(tx: &dyn NodeTx, blocked: &[Contact]) -> Result<Option<Purpose>, StoreError> {
    for item in tx.outbox_pending(0, usize::MAX)? {
        for recipient in &item.recipients {
            let is_blocked = blocked.iter().any(|contact| contact.user == recipient.user);
            if is_blocked && !is_of_group(tx, &item.purpose, &recipient.user)? {
                return Ok(Some(item.purpose));
            }
        }
    }
    Ok(None)
}

/// Ticks never go back, whatever crashes; and none shows that is not true.
fn ticks_are_true(nodes: &mut [Node], index: usize, hostile: Option<UserId>) -> Result<(), Failed> {
    let Some(node) = nodes.get_mut(index) else { return Ok(()) };
    let (name, author) = (node.name, node.user);
    let mut moved = Vec::new();
    for shown in shown(node)? {
        let Delivery { entry, tick, .. } = shown.delivery;
        let before = node.seen.ticks.insert(entry, tick);
        if before.is_some_and(|before| before > tick) {
            return Err(Failed::by(Check::Ticks, format!("{name}: a tick went from {before:?} to {tick:?}")));
        }
        if before != Some(tick) && tick >= Tick::Delivered {
            moved.push(shown);
        }
    }
    for Shown { peer, delivery } in moved {
        if hostile != Some(peer) && !is_true(nodes, &author, &peer, &delivery)? {
            return Err(Failed::by(
                Check::TrueTicks,
                format!("{name} shows {:?}, and it is not so", delivery.tick),
            ));
        }
    }
    Ok(())
}

fn shown(node: &mut Node) -> Result<Vec<Shown>, StoreError> {
    let user = node.user;
    node.disk.transaction(|tx| {
        let mut shown = Vec::new();
        for contact in tx.contacts()?.into_iter().filter(|contact| contact.user != user) {
            let conversation = direct_conversation(&user, &contact.user);
            let deliveries = tx.deliveries_between(&conversation, 1, MESSAGES_MAX, usize::MAX >> 1)?;
            shown.extend(deliveries.into_iter().map(|delivery| Shown { peer: contact.user, delivery }));
        }
        Ok(shown)
    })
}

/// Whether a device of the peer has the message, or its user has read it.
fn is_true(
    nodes: &mut [Node],
    author: &UserId,
    peer: &UserId,
    delivery: &Delivery,
) -> Result<bool, StoreError> {
    let conversation = direct_conversation(author, peer);
    for node in nodes.iter_mut().filter(|node| node.user == *peer) {
        let so = node.disk.transaction(|tx| {
            let Some(stored) = tx.entry(&delivery.entry)? else { return Ok(false) };
            let read = tx.own_receipts(&conversation)?.read;
            Ok(delivery.tick < Tick::Read || read.covers(&stored.entry.header.device, delivery.seq))
        })?;
        if so {
            return Ok(true);
        }
    }
    Ok(false)
}

/// All that is in an outbox.
pub(super) fn outbox_items(tx: &dyn NodeTx) -> Result<Vec<OutboxItem>, StoreError> {
    let mut items = Vec::new();
    for head in tx.outbox_heads(0, usize::MAX)? {
        items.extend(tx.outbox(head.id)?);
    }
    Ok(items)
}

/// What a node believes to be in custody, its relay's own machine signed for.
fn custody_is_vouched(node: &mut Node, vouched: &BTreeSet<PayloadHash>) -> Result<(), Failed> {
    let items = node.disk.transaction(|tx| outbox_items(tx))?;
    for item in items {
        let held = |state: OutboxState| matches!(state, OutboxState::Custody { .. });
        let believes = item.recipients.iter().any(|recipient| held(recipient.state));
        if believes && !vouched.contains(&PayloadHash::of(&item.payload)) {
            let what =
                format!("{}: takes {:?} for stored, and nobody signed for it", node.name, item.purpose);
            return Err(Failed::by(Check::Vouched, what));
        }
    }
    Ok(())
}

/// What a node believes to be in custody at a relay is there, or is with the device that it is for, or was `spoilt` by a
/// relay that lies.
pub(super) fn custody_is_true(
    nodes: &mut [Node],
    lost: &BTreeSet<usize>,
    spoilt: &BTreeSet<PayloadHash>,
    (relay, disk): (RelayId, &dyn Store),
    now: Timestamp,
) -> Result<(), Failed> {
    let everything = all(disk)?;
    // A payload is kept under its hash alone; other keys that end in a hash are longer.
    let held = everything.iter().filter(|(key, _)| key.len() < 32 + 8);
    let known: BTreeSet<&[u8]> =
        held.filter_map(|(key, _)| key.last_chunk::<32>()).map(<[u8; 32]>::as_slice).collect();
    for index in (0..nodes.len()).filter(|index| !lost.contains(index)) {
        let Some(node) = nodes.get_mut(index).filter(|node| node.cheat.is_none()) else { continue };
        let name = node.name;
        for (hash, device) in in_custody(node, &relay, now)? {
            if spoilt.contains(&hash) || known.contains(hash.as_bytes().as_slice()) {
                continue;
            }
            let recipient = nodes.iter_mut().enumerate().find(|(_, node)| node.device == device);
            // Whose clock jumped ahead forgot what they took in long ago, by that clock.
            let asked = |(index, node): &(usize, &mut Node)| !lost.contains(index) && !node.jumped;
            let Some((_, recipient)) = recipient.filter(asked) else { continue };
            if !recipient.disk.transaction(|tx| tx.seen(&hash))? {
                return Err(Failed::by(
                    Check::Custody,
                    format!("{name}: the relay lost what it took into custody"),
                ));
            }
        }
    }
    Ok(())
}

fn in_custody(
    node: &mut Node,
    at: &RelayId,
    now: Timestamp,
) -> Result<Vec<(PayloadHash, DeviceId)>, StoreError> {
    let user = node.user;
    node.disk.transaction(|tx| {
        let mut held = Vec::new();
        for item in messages_out(&user, tx)? {
            let hash = PayloadHash::of(&item.payload);
            for recipient in &item.recipients {
                let OutboxState::Custody { relay, held_until } = recipient.state else { continue };
                if relay == *at && held_until > now {
                    held.push((hash, recipient.device));
                }
            }
        }
        Ok(held)
    })
}

/// The outbox items of messages that are not read yet.
fn messages_out(user: &UserId, tx: &dyn NodeTx) -> Result<Vec<OutboxItem>, StoreError> {
    let mut items = Vec::new();
    for contact in tx.contacts()? {
        for delivery in tx.deliveries_unread(&direct_conversation(user, &contact.user))? {
            items.extend(tx.outbox_of(&Purpose::Entry(delivery.entry))?);
            items.extend(tx.outbox_of(&Purpose::Key(delivery.entry))?);
        }
    }
    Ok(items)
}

/// All that the relay's disk holds.
pub(super) fn all(relay: &dyn Store) -> Result<Vec<(bytes::Bytes, bytes::Bytes)>, Failed> {
    relay.range(&[], &[0xff; 64], usize::MAX).map_err(|error| Failed::new(error.to_string()))
}
