use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use undertone::log;
use undertone::store::{NodeStore, Standing};
use undertone_protocol::ids::{ConversationId, OperationHash};
use undertone_protocol::log::FrontierItem;
use undertone_protocol::membership::Document;
use undertone_protocol::wire::{EntryHeader, SealedEntry, Signed};

use super::super::checks;
use super::super::failed::{Check, Failed};
use super::super::node::Node;
use super::super::reference::Id;
use super::people::made;

/// What a device holds of the group.
pub(super) struct Found {
    pub(super) group: ConversationId,
    pub(super) standing: Standing,
    /// Those that are anchored, by hash.
    pub(super) operations: BTreeMap<Id, Signed>,
    /// The others that entries stand on: of devices that forked.
    pub(super) left_out: Vec<Signed>,
    /// What proves that devices forked.
    pub(super) proofs: Vec<[Signed; 2]>,
    pub(super) entries: Vec<SealedEntry>,
    /// Their ids.
    pub(super) held: BTreeSet<Id>,
    /// What it tells others that it has of each device, with what it was told that is not for it.
    pub(super) claims: BTreeMap<Id, FrontierItem>,
}

impl Found {
    /// What is on its disk; `None`: it knows no group.
    pub(super) fn at(node: &mut Node) -> Result<Option<Self>, Failed> {
        let Some((group, document, claims)) = node.disk.transaction(|tx| {
            let Some(group) = made(tx)? else { return Ok(None) };
            let document = tx.group_document(&group.id)?;
            let claims = log::held(tx, &group.id)?;
            Ok(Some((group, document, claims)))
        })?
        else {
            return Ok(None);
        };
        let damaged = |error: &dyn std::fmt::Display| {
            Failed::by(Check::Membership, format!("{}: its document: {error}", node.name))
        };
        let document = Document::load_parts(&document).map_err(|error| damaged(&error))?;
        let all =
            document.since(&[]).map(|(hash, operation)| (*hash.as_bytes(), operation.signed().to_wire()));
        let operations: BTreeMap<Id, Signed> = all.collect();
        let proofs = document.proofs().map(|proof| proof.signed().map(|signed| signed.to_wire())).collect();
        let entries = checks::entries(&mut node.disk, &group.id)?;
        let heads: Vec<OperationHash> = entries.iter().flat_map(heads_of).collect();
        let named = document.past_of(&heads, &[]);
        let named = named.filter(|(hash, _)| !operations.contains_key(hash.as_bytes()));
        let left_out = named.map(|(_, operation)| operation.signed().to_wire()).collect();
        let held = entries.iter().map(|entry| *blake3::hash(&entry.header).as_bytes()).collect();
        let claims = claims.into_iter().map(|(device, item)| (*device.as_bytes(), item)).collect();
        let (group, standing) = (group.id, group.standing);
        Ok(Some(Self { group, standing, operations, left_out, proofs, entries, held, claims }))
    }
}

fn heads_of(entry: &SealedEntry) -> Vec<OperationHash> {
    let header = EntryHeader::decode(entry.header.clone()).unwrap_or_default();
    header.membership_heads.iter().filter_map(|head| OperationHash::from_slice(head).ok()).collect()
}
