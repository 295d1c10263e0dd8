//! The membership documents of all groups, as they stand in the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use undertone_protocol::ids::{ConversationId, OperationHash};
use undertone_protocol::membership::{Document, View};

use crate::store::{NodeTx, StoreError};

/// Documents by group. Rebuilt at a start; whoever changes one keeps it in the same transaction.
#[derive(Default)]
pub(super) struct Documents(BTreeMap<ConversationId, Open>);

struct Open {
    document: Document,
    view: Arc<View>,
}

impl Documents {
    /// Those that are stored.
    pub(super) fn load(tx: &dyn NodeTx) -> Result<Self, StoreError> {
        let mut documents = Self::default();
        for group in tx.groups()? {
            let document = match tx.group_document(&group.id)? {
                Some(bytes) => Document::load(&bytes).map_err(|error| StoreError::Damaged {
                    what: "membership document",
                    why: error.to_string(),
                })?,
                None => Document::new(group.id),
            };
            documents.put(document);
        }
        Ok(documents)
    }

    /// Adds one, or takes in that it changed.
    pub(super) fn put(&mut self, mut document: Document) {
        let view = document.view();
        self.0.insert(document.group(), Open { document, view });
    }

    /// The document of a group, to be changed; [`Self::refresh`] follows.
    pub(super) fn document(&mut self, group: &ConversationId) -> Option<&mut Document> {
        self.0.get_mut(group).map(|open| &mut open.document)
    }

    /// Keeps a document that changed.
    pub(super) fn refresh(&mut self, group: &ConversationId, tx: &mut dyn NodeTx) -> Result<(), StoreError> {
        let Some(open) = self.0.get_mut(group) else { return Ok(()) };
        open.view = open.document.view();
        tx.put_group_document(group, &open.document.save())
    }

    /// The group as it is.
    pub(super) fn view(&self, group: &ConversationId) -> Option<&Arc<View>> {
        self.0.get(group).map(|open| &open.view)
    }

    /// What stands for all that is held.
    pub(super) fn heads(&self, group: &ConversationId) -> Vec<OperationHash> {
        self.0.get(group).map(|open| open.document.heads()).unwrap_or_default()
    }
}
