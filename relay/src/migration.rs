//! Brings a store of an older format up to this build's.
//!
//! | from | what changed |
//! |---|---|
//! | 3 | the disk quota counts all that is stored for somebody, until it is forgotten; sequences count what they remember |
//! | 4 | a mailbox has a checkpoint, and is counted with it |
//! | 5 | what waits for other relays, and what came from them |

use crate::mailbox;
use crate::store::format::{self, FORMAT};
use crate::store::table::Table;
use crate::store::usage::{self, Usage};
use crate::store::{Batch, Store, StoreError, walk};

/// Pairs read at a time; a payload may have 64 KiB.
const CHUNK_PAIRS: usize = 128;

/// Migrates a store, once it is open. It is marked with this build's format last, so that what was interrupted is
/// done again; a store without a mark, as one in memory, is left alone.
pub fn migrate<S: Store + ?Sized>(store: &mut S) -> Result<(), StoreError> {
    let Some(found) = format::found(store)?.filter(|found| *found < FORMAT) else { return Ok(()) };
    tracing::info!(found, FORMAT, "counting the store anew: its format is older");
    mailbox::recount(store)?;
    let mut batch = Batch::default();
    batch.put(usage::key(), prost::Message::encode_to_vec(&count(store)?));
    batch.put(format::key(), FORMAT.to_be_bytes().to_vec());
    store.commit(batch)
}

/// What the store holds, as the disk quota counts it.
pub(crate) fn count<S: Store + ?Sized>(store: &S) -> Result<Usage, StoreError> {
    let mut count = Usage::default();
    walk(store, &[], &[u8::MAX], CHUNK_PAIRS, |key, value| {
        let table = Table::of(key).ok_or(StoreError::Corrupt { what: "key" })?;
        count.disk_bytes += usage::counted(table, u64::try_from(value.len()).unwrap_or(u64::MAX));
        count.mailboxes += u64::from(table == Table::Mailbox);
        Ok(())
    })?;
    Ok(count)
}
