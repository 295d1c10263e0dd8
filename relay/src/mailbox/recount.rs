use undertone_protocol::ids::MailboxId;

use super::enqueue::Mark;
use super::queue::{DurableClass, queue, write_queue};
use crate::store::table::{KeyReader, Table, record};
use crate::store::{Overlay, Store, StoreError, walk};

/// Records read at a time, and sequences written in one batch.
const CHUNK_RECORDS: usize = 1_024;

/// Counts anew, in every sequence, what is remembered of acknowledged payloads. Interrupted, it is begun again.
pub(crate) fn recount<S: Store + ?Sized>(store: &mut S) -> Result<(), StoreError> {
    let all = Table::Queue.key();
    let (mut from, to) = (all.clone(), all.after_prefix());
    loop {
        let found = store.range(from.as_ref(), to.as_ref(), CHUNK_RECORDS)?;
        let Some((last, _)) = found.last() else { return Ok(()) };
        from = Table::Queue.key().part(last.get(1..).unwrap_or_default()).part(&[0]);
        let mut tx = Overlay::new(&*store);
        for (key, _) in &found {
            let mut parts = KeyReader::new("queue key", key);
            let mailbox = MailboxId::new(parts.part()?);
            let [class] = parts.part()?;
            let class =
                DurableClass::from_wire(u32::from(class)).ok_or(StoreError::Corrupt { what: "queue key" })?;
            let remembered = remembered(&*store, &mailbox, class)?;
            let queue = queue(&tx, &mailbox, class)?;
            write_queue(&mut tx, &mailbox, class, &super::queue::Queue { remembered, ..queue });
        }
        let batch = tx.into_batch();
        store.commit(batch)?;
    }
}

fn remembered<S: Store + ?Sized>(
    store: &S,
    mailbox: &MailboxId,
    class: DurableClass,
) -> Result<u64, StoreError> {
    let marks = Table::Mark.key().part(mailbox.as_bytes());
    let mut count = 0;
    walk(store, marks.as_ref(), marks.after_prefix().as_ref(), CHUNK_RECORDS, |_, value| {
        let mark: Mark = record("deduplication mark", value)?;
        count += u64::from(mark.seq == 0 && mark.class()? == class);
        Ok(())
    })?;
    Ok(count)
}
