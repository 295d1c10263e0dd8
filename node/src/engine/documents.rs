//! The membership documents of all groups, as they stand in the store.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use undertone_protocol::ids::{ConversationId, OperationHash, UserId};
use undertone_protocol::membership::{Document, Operation, SignedOperation, Verdict, View};

use crate::store::{NodeTx, StoreError};

/// Documents by group. Rebuilt at a start; whoever changes one keeps it in the same transaction.
#[derive(Default)]
pub(super) struct Documents(BTreeMap<ConversationId, Open>);

struct Open {
    /// A look at an earlier time moves what it remembers.
    document: RefCell<Document>,
    view: Arc<View>,
    /// How many operations are stored, where what follows them can be stored behind them.
    stored: Option<usize>,
    /// In how many parts.
    parts: usize,
}

/// Parts in which a document is stored: then it is written anew, as one.
const PARTS_MAX: usize = 128;

impl Documents {
    /// Those that are stored.
    pub(super) fn load(tx: &dyn NodeTx) -> Result<Self, StoreError> {
        let mut documents = Self::default();
        for group in tx.groups()? {
            let parts = tx.group_document(&group.id)?;
            if parts.is_empty() {
                documents.put(Document::new(group.id));
                continue;
            }
            let document = Document::load_parts(&parts).map_err(|error| StoreError::Damaged {
                what: "membership document",
                why: error.to_string(),
            })?;
            let stored = Some(document.len());
            documents.open(document, stored, parts.len());
        }
        Ok(documents)
    }

    /// Adds one of which nothing is stored.
    pub(super) fn put(&mut self, document: Document) {
        self.open(document, None, 0);
    }

    /// Keeps one no longer.
    pub(super) fn remove(&mut self, group: &ConversationId) {
        self.0.remove(group);
    }

    fn open(&mut self, mut document: Document, stored: Option<usize>, parts: usize) {
        let view = document.view();
        self.0.insert(document.group(), Open { document: RefCell::new(document), view, stored, parts });
    }

    /// The document of a group, to be changed; [`Self::refresh`] follows.
    pub(super) fn document(&mut self, group: &ConversationId) -> Option<&mut Document> {
        self.0.get_mut(group).map(|open| open.document.get_mut())
    }

    /// Keeps a document that changed: what it has more than before, where that can be told apart.
    pub(super) fn refresh(&mut self, group: &ConversationId, tx: &mut dyn NodeTx) -> Result<(), StoreError> {
        let Some(open) = self.0.get_mut(group) else { return Ok(()) };
        let document = open.document.get_mut();
        open.view = document.view();
        let stored = open.stored.filter(|_| open.parts < PARTS_MAX);
        match stored.and_then(|stored| document.save_since(stored)) {
            Some(part) => {
                tx.add_to_group_document(group, &part)?;
                open.parts += 1;
            }
            None => {
                tx.put_group_document(group, &document.save())?;
                open.parts = 1;
            }
        }
        open.stored = (document.aside() == 0).then(|| document.len());
        Ok(())
    }

    /// The group as it is.
    pub(super) fn view(&self, group: &ConversationId) -> Option<&Arc<View>> {
        self.0.get(group).map(|open| &open.view)
    }

    /// What stands for all that is held.
    pub(super) fn heads(&self, group: &ConversationId) -> Vec<OperationHash> {
        self.0.get(group).map(|open| open.document.borrow().heads()).unwrap_or_default()
    }

    /// What an entry of a user names as its membership heads.
    pub(super) fn heads_for(&self, group: &ConversationId, user: &UserId) -> Vec<OperationHash> {
        self.0.get(group).map(|open| open.document.borrow().heads_for(user)).unwrap_or_default()
    }

    /// The group as it was for somebody who knew these operations; `None` where one is not known here.
    pub(super) fn view_at(&self, group: &ConversationId, heads: &[OperationHash]) -> Option<Arc<View>> {
        self.0.get(group).and_then(|open| open.document.borrow_mut().view_at(heads).ok())
    }

    /// What somebody lacks who knows some operations, of what others stand on and these, parents first.
    pub(super) fn past_of(
        &self,
        group: &ConversationId,
        wanted: &[OperationHash],
        known: &[OperationHash],
    ) -> Vec<SignedOperation> {
        let Some(open) = self.0.get(group) else { return Vec::new() };
        let document = open.document.borrow();
        document.past_of(wanted, known).map(|(_, made)| made.clone()).collect()
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
