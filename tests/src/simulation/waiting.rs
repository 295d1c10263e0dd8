//! What waits at a relay for another one.

use std::collections::BTreeSet;

use undertone::store::{HomeRelay, NodeStore};
use undertone_protocol::ids::{PublishId, RelayId};
use undertone_protocol::time::Timestamp;
use undertone_relay::store::Store;

use super::failed::Failed;
use super::node::Node;
use super::watch::all;

/// Something that a node believes to wait at this home relay of its for another one, and that is not there: neither the
/// parcel, nor what came of it.
pub(super) fn in_vain(
    nodes: &mut [Node],
    lost: &BTreeSet<usize>,
    (relay, disk): (RelayId, &dyn Store),
    now: Timestamp,
) -> Result<Option<String>, Failed> {
    let everything = all(disk)?;
    // Both are kept under keys that end in the forward's id.
    let held: BTreeSet<&[u8; PublishId::LEN]> =
        everything.iter().filter_map(|(key, _)| key.last_chunk()).collect();
    for (index, node) in nodes.iter_mut().enumerate() {
        if lost.contains(&index) || node.cheat.is_some() {
            continue;
        }
        let missing = node.disk.transaction(|tx| {
            if !tx.home_relay(&relay)?.as_ref().is_some_and(HomeRelay::stays) {
                return Ok(None);
            }
            let forwards = tx.forwards()?.into_iter().filter(|forward| forward.via == relay);
            let waiting = forwards.filter(|forward| forward.waits_until.is_some_and(|until| until > now));
            let mut ids = waiting.map(|forward| forward.answer.forward_id);
            Ok(ids.find(|id| !held.contains(id.as_bytes())))
        })?;
        if let Some(id) = missing {
            let what = format!("{}: {} waits nowhere, and its relay said so", node.name, id.to_hex());
            return Ok(Some(what));
        }
    }
    Ok(None)
}
