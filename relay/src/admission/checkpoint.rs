//! A device's checkpoint: kept for it, never read.

use undertone_protocol::codec::{Malformed, Signed};
use undertone_protocol::ids::MailboxId;
use undertone_protocol::limits::CHECKPOINT_BYTES_MAX;
use undertone_protocol::wire;

use crate::store::table::{Key, Table};
use crate::store::{Overlay, Store, StoreError};

fn key(mailbox: &MailboxId) -> Key {
    Table::Checkpoint.key().part(mailbox.as_bytes())
}

/// Keeps the checkpoint of a mailbox that the caller knows to be the device's, in the place of the one before.
pub(crate) fn put_checkpoint<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    mailbox: &MailboxId,
    asked: wire::PutCheckpoint,
) -> Result<(), Malformed> {
    let checkpoint = Signed::required("checkpoint", "checkpoint", asked.checkpoint)?;
    if checkpoint.body.len() > CHECKPOINT_BYTES_MAX {
        return Err(Malformed::new("checkpoint", "more than 64 bytes"));
    }
    tx.write(key(mailbox), &checkpoint.to_wire());
    Ok(())
}

/// The checkpoint that was put last.
pub(crate) fn checkpoint<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    mailbox: &MailboxId,
) -> Result<Option<wire::Signed>, StoreError> {
    tx.read("checkpoint", &key(mailbox))
}
