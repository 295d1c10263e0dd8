//! A store that was put back from a backup: what it held since is gone, and what it holds may be over.
//!
//! Its devices are told by another generation of their mailboxes (`spec/relay.md`, "An older store"): they count from 0 again,
//! tell the relay anew what they took back and whom they let in, and their contacts send again what lay here. One-time prekeys
//! that it holds may have been handed out already: none is handed out twice, so they go.

use rand_core::CryptoRng;
use undertone_protocol::ids::{Locator, MailboxId};

use crate::store::table::{KeyReader, Table};
use crate::store::{Overlay, Store, StoreError, walk};
use crate::{admission, bundles};

/// Records in one commit.
const CHUNK_RECORDS: usize = 256;

/// How much was changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// Mailboxes with another generation.
    pub mailboxes: usize,
    /// Bundles without one-time prekeys.
    pub bundles: usize,
}

/// Makes all of it known as an older store. What was interrupted can be done again.
pub fn restored<S: Store + ?Sized>(store: &mut S, rng: &mut dyn CryptoRng) -> Result<Restored, StoreError> {
    let mailboxes = keys(store, Table::Mailbox)?;
    for chunk in mailboxes.chunks(CHUNK_RECORDS) {
        let mut tx = Overlay::new(store);
        for mailbox in chunk {
            admission::forget_generation(&mut tx, &MailboxId::new(*mailbox), rng)?;
        }
        let batch = tx.into_batch();
        store.commit(batch)?;
    }
    let locators = keys(store, Table::Bundle)?;
    for locator in &locators {
        let mut tx = Overlay::new(store);
        bundles::drop_prekeys(&mut tx, &Locator::new(*locator))?;
        let batch = tx.into_batch();
        store.commit(batch)?;
    }
    Ok(Restored { mailboxes: mailboxes.len(), bundles: locators.len() })
}

/// The keys of a table that has one part in each.
fn keys<const BYTES: usize, S: Store + ?Sized>(
    store: &S,
    table: Table,
) -> Result<Vec<[u8; BYTES]>, StoreError> {
    let mut found = Vec::new();
    let from = table.key();
    walk(store, from.as_ref(), from.after_prefix().as_ref(), CHUNK_RECORDS, |key, _| {
        found.push(KeyReader::new("key of a record", key).part()?);
        Ok(())
    })?;
    Ok(found)
}
