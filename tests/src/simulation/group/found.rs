use std::collections::{BTreeMap, BTreeSet};

use undertone::store::{NodeStore, Standing};
use undertone_protocol::ids::ConversationId;
use undertone_protocol::membership::Document;
use undertone_protocol::wire::{SealedEntry, Signed};

use super::super::checks;
use super::super::failed::{Check, Failed};
use super::super::node::Node;
use super::super::reference::Id;

/// What a device holds of the group.
pub(super) struct Found {
    pub(super) group: ConversationId,
    pub(super) standing: Standing,
    /// By hash.
    pub(super) operations: BTreeMap<Id, Signed>,
    pub(super) entries: Vec<SealedEntry>,
    /// Their ids.
    pub(super) held: BTreeSet<Id>,
}

impl Found {
    /// What is on its disk; `None`: it knows no group.
    pub(super) fn at(node: &mut Node) -> Result<Option<Self>, Failed> {
        let Some((group, document)) = node.disk.transaction(|tx| {
            let Some(group) = tx.groups()?.into_iter().next() else { return Ok(None) };
            let document = tx.group_document(&group.id)?;
            Ok(Some((group, document)))
        })?
        else {
            return Ok(None);
        };
        let damaged = |error: &dyn std::fmt::Display| {
            Failed::by(Check::Membership, format!("{}: its document: {error}", node.name))
        };
        let document = match document.as_slice() {
            [] => Document::new(group.id),
            parts => Document::load_parts(parts).map_err(|error| damaged(&error))?,
        };
        let all =
            document.since(&[]).map(|(hash, operation)| (*hash.as_bytes(), operation.signed().to_wire()));
        let operations = all.collect();
        let entries = checks::entries(&mut node.disk, &group.id)?;
        let held = entries.iter().map(|entry| *blake3::hash(&entry.header).as_bytes()).collect();
        Ok(Some(Self { group: group.id, standing: group.standing, operations, entries, held }))
    }
}
