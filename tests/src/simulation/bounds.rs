use std::collections::BTreeSet;

use undertone::store::{NodeStore, NodeTx, StoreError};
use undertone_protocol::ids::{ConversationId, DeviceId};
use undertone_protocol::keys::direct_conversation;
use undertone_protocol::limits::{
    CHANNELS_PER_PEER_MAX, DEVICES_PER_USER_MAX, FRONTIER_DEVICES_MAX, FRONTIER_RANGES_MAX,
    GAPS_PER_DEVICE_MAX, GROUP_MEMBERS_MAX, GROUPS_MAX, OLM_SESSIONS_PER_PEER_MAX, OUTBOX_ITEMS_MAX,
    QUARANTINE_ITEMS_MAX,
};

use super::failed::{Check, Failed};
use super::node::Node;

/// Both entries of a fork are kept, and a third that proves one at the number before.
const ENTRIES_PER_NUMBER_MAX: usize = 3;
/// All tables of a node in words: no world makes so much that is honest.
const DISK_BYTES_MAX: usize = 64 << 20;

/// Nobody who cheats makes a node's disk grow without end.
pub(super) fn disk_is_small(node: &Node) -> Result<(), Failed> {
    let contents = node.disk.contents();
    let bytes = contents.values().map(String::len).sum();
    let largest = contents.iter().max_by_key(|(_, rows)| rows.len()).map_or("", |(table, _)| table);
    within(node, &[("bytes on the disk", bytes, DISK_BYTES_MAX)])
        .map_err(|failed| failed.with(format!("most of it in {largest}")))
}

/// No table of a node is beyond its limit.
pub(super) fn hold(node: &mut Node) -> Result<(), Failed> {
    let user = node.user;
    let mut counts = Counts::new();
    node.disk.transaction(|tx| {
        counts.push(("items in quarantine", tx.quarantine(usize::MAX)?.len(), QUARANTINE_ITEMS_MAX));
        counts.push(("items in the outbox", tx.outbox_len()?, OUTBOX_ITEMS_MAX));
        for contact in tx.contacts()? {
            let conversation = direct_conversation(&user, &contact.user);
            of_conversation(&mut counts, tx, &conversation, 2 * DEVICES_PER_USER_MAX)?;
        }
        let groups = tx.groups()?;
        counts.push(("groups", groups.len(), GROUPS_MAX));
        for group in groups {
            let members = tx.members(&group.id)?.len();
            counts.push(("members of a group", members, 2 * GROUP_MEMBERS_MAX));
            of_conversation(&mut counts, tx, &group.id, FRONTIER_DEVICES_MAX)?;
        }
        Ok(())
    })?;
    within(node, &counts)
}

fn within(node: &Node, counts: &[(&str, usize, usize)]) -> Result<(), Failed> {
    match counts.iter().find(|(_, count, max)| count > max) {
        Some((what, count, max)) => {
            let what = format!("{}: {count} {what}, at most {max} are allowed", node.name);
            Err(Failed::by(Check::Bounded, what))
        }
        None => Ok(()),
    }
}

/// What is counted, how much of it there is, and how much there may be.
type Counts = Vec<(&'static str, usize, usize)>;

fn of_conversation(
    counts: &mut Counts,
    tx: &dyn NodeTx,
    conversation: &ConversationId,
    devices_max: usize,
) -> Result<(), StoreError> {
    let frontier = tx.frontier(conversation)?;
    counts.push(("devices in a conversation", frontier.len(), devices_max));
    for (device, item) in &frontier {
        counts.push(("ranges of a device", item.ranges.len(), FRONTIER_RANGES_MAX));
        of_device(counts, tx, conversation, device)?;
    }
    let gaps = tx.gaps(conversation)?;
    let devices: BTreeSet<DeviceId> = gaps.iter().map(|(device, _)| *device).collect();
    for device in devices {
        let count = gaps.iter().filter(|(of, _)| *of == device).count();
        counts.push(("gaps of a device", count, GAPS_PER_DEVICE_MAX));
    }
    Ok(())
}

fn of_device(
    counts: &mut Counts,
    tx: &dyn NodeTx,
    conversation: &ConversationId,
    device: &DeviceId,
) -> Result<(), StoreError> {
    counts.push(("Olm sessions with a device", tx.olm_sessions(device)?.len(), OLM_SESSIONS_PER_PEER_MAX));
    counts.push(("channels of a device", tx.inbound_channels_of(device)?.len(), CHANNELS_PER_PEER_MAX));
    let entries = tx.entries_of(conversation, device, 1, usize::MAX >> 1)?;
    for stored in entries {
        let same = tx.entries_at(conversation, device, stored.entry.header.seq)?.len();
        counts.push(("entries of one number", same, ENTRIES_PER_NUMBER_MAX));
    }
    Ok(())
}
