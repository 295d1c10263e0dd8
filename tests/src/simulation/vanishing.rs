//! What vanishes: when its time is over by a device's clock it says nothing there any more, and never again.

use std::collections::BTreeMap;

use undertone::command::MessageView;
use undertone::store::{NodeStore, StoreError};
use undertone_protocol::entry::Content;
use undertone_protocol::ids::ConversationId;
use undertone_protocol::time::Timestamp;

use super::failed::{Check, Failed};
use super::node::Node;
use super::reference::{Entry, Id, hex};

/// After a step of a node that runs: of what is over in its groups it holds only headers, whoever brought it.
pub(super) fn nothing_stays(node: &mut Node, now: Timestamp) -> Result<(), Failed> {
    let clock = node.clock(now);
    let stays = node.disk.transaction(|tx| {
        for group in tx.groups()? {
            for (device, _) in tx.frontier(&group.id)? {
                for stored in tx.entries_of(&group.id, &device, 1, usize::MAX >> 1)? {
                    let over = stored.entry.header.expires.is_some_and(|at| at <= clock);
                    if over && stored.entry.body.content != Content::Gone {
                        return Ok(Some(stored.entry.id));
                    }
                }
            }
        }
        Ok(None)
    })?;
    match stays {
        Some(id) => Err(Failed::by(Check::Vanished, format!("{}: still holds {}", node.name, id.to_hex()))),
        None => Ok(()),
    }
}

/// Nothing that is over shows on a device.
pub(super) fn nothing_shows(
    node: &Node,
    now: Timestamp,
    shown: &[MessageView],
    entries: &BTreeMap<Id, Entry>,
) -> Result<(), Failed> {
    let clock_ms = node.clock(now).as_ms();
    let over = entries.iter().filter(|(_, entry)| entry.is_over(clock_ms));
    let mut over = over.map(|(id, _)| hex(id));
    match over.find(|id| shown.iter().any(|view| view.id == *id)) {
        Some(id) => Err(Failed::by(Check::Vanished, format!("{}: still shows {id}", node.name))),
        None => Ok(()),
    }
}

/// How many of a group's messages that are not over are not read by everybody, as their author's device knows.
pub(super) fn unread(node: &mut Node, group: &ConversationId, now: Timestamp) -> Result<usize, StoreError> {
    let clock = node.clock(now);
    node.disk.transaction(|tx| {
        let mut unread = 0;
        for delivery in tx.deliveries_unread(group)? {
            let expires = tx.entry(&delivery.entry)?.and_then(|stored| stored.entry.header.expires);
            unread += usize::from(expires.is_none_or(|at| at > clock));
        }
        Ok(unread)
    })
}

/// The latest that a clock of any device shows. How far one was ahead that jumped is forgotten.
pub(super) fn latest_ms(nodes: &[Node], now: Timestamp) -> u64 {
    let clocks = nodes.iter().map(|node| if node.jumped { u64::MAX } else { node.clock(now).as_ms() });
    clocks.max().unwrap_or_default()
}
