//! The membership documents of all groups, as they stand in the store.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use undertone_protocol::ids::{ConversationId, OperationHash};
use undertone_protocol::membership::{Document, Operation, Verdict, View};

use crate::store::{NodeTx, StoreError};

/// Documents by group. Rebuilt at a start; whoever changes one keeps it in the same transaction.
#[derive(Default)]
pub(super) struct Documents(BTreeMap<ConversationId, Open>);

struct Open {
    /// A look at an earlier time moves what it remembers.
    document: RefCell<Document>,
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
        self.0.insert(document.group(), Open { document: RefCell::new(document), view });
    }

    /// The document of a group, to be changed; [`Self::refresh`] follows.
    pub(super) fn document(&mut self, group: &ConversationId) -> Option<&mut Document> {
        self.0.get_mut(group).map(|open| open.document.get_mut())
    }

    /// Keeps a document that changed.
    pub(super) fn refresh(&mut self, group: &ConversationId, tx: &mut dyn NodeTx) -> Result<(), StoreError> {
        let Some(open) = self.0.get_mut(group) else { return Ok(()) };
        let document = open.document.get_mut();
        open.view = document.view();
        tx.put_group_document(group, &document.save())
    }

    /// The group as it is.
    pub(super) fn view(&self, group: &ConversationId) -> Option<&Arc<View>> {
        self.0.get(group).map(|open| &open.view)
    }

    /// What stands for all that is held.
    pub(super) fn heads(&self, group: &ConversationId) -> Vec<OperationHash> {
        self.0.get(group).map(|open| open.document.borrow().heads()).unwrap_or_default()
    }

    /// The group as it was for somebody who knew these operations; `None` where one is not known here.
    pub(super) fn view_at(&self, group: &ConversationId, heads: &[OperationHash]) -> Option<Arc<View>> {
        self.0.get(group).and_then(|open| open.document.borrow_mut().view_at(heads).ok())
    }

    /// Whether an operation that counts, and that somebody came to know between two moments, is such a one.
    pub(super) fn between(
        &self,
        group: &ConversationId,
        before: &[OperationHash],
        after: &[OperationHash],
        is_such: impl Fn(&Operation) -> bool,
    ) -> bool {
        let Some(open) = self.0.get(group) else { return false };
        let document = open.document.borrow();
        document.past_of(after, before).any(|(hash, signed)| {
            is_such(&signed.operation)
                && document.verdict(&hash).is_some_and(|verdict| verdict == Verdict::Counts)
        })
    }
}
