use bytes::Bytes;
use undertone_protocol::ids::{DeviceId, Handle, MailboxId};
use undertone_protocol::limits::{REVOKED_PREFIXES_MAX, TOKEN_STEPS_MAX};
use undertone_protocol::wire::{self, RefusalCode};

use super::record::{Mailbox, owned, write};
use crate::answer::{Failed, Refused};
use crate::store::table::{Key, KeyReader, Table};
use crate::store::{Overlay, Store, StoreError};

/// The tables whose keys begin with (mailbox, epoch).
const EPOCH_TABLES: [Table; 3] = [Table::Revoked, Table::Introduction, Table::IntroductionUse];

/// A key in a table of one epoch of one mailbox.
pub(super) fn epoch_key(table: Table, mailbox: &MailboxId, epoch: u32) -> Key {
    table.key().part(mailbox.as_bytes()).u32(epoch)
}

fn key<'a>(mailbox: &MailboxId, epoch: u32, handles: impl IntoIterator<Item = &'a Handle>) -> Key {
    handles
        .into_iter()
        .fold(epoch_key(Table::Revoked, mailbox, epoch), |key, handle| key.part(handle.as_bytes()))
}

/// Whether tokens that begin with these handles are revoked.
pub(super) fn is_revoked<'a, S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    mailbox: &MailboxId,
    record: &Mailbox,
    handles: impl IntoIterator<Item = &'a Handle>,
) -> Result<bool, StoreError> {
    Ok(record.revoked > 0 && tx.get(key(mailbox, record.epoch, handles).as_ref())?.is_some())
}

/// Refuses every token whose path begins with the given handles.
pub(crate) fn revoke<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    device: &DeviceId,
    asked: &wire::RevokeToken,
) -> Result<(), Failed> {
    let mailbox = MailboxId::from_slice(&asked.mailbox)?;
    if asked.handles.is_empty() || asked.handles.len() > TOKEN_STEPS_MAX {
        return Err(Refused::malformed(format!("1 to {TOKEN_STEPS_MAX} handles name a token")).into());
    }
    let handles: Vec<Handle> =
        asked.handles.iter().map(|handle| Handle::from_slice(handle)).collect::<Result<_, _>>()?;
    let mut record = owned(tx, &mailbox, device)?;
    if asked.epoch > record.epoch {
        return Err(Refused::new(RefusalCode::Epoch, format!("the epoch is {} as yet", record.epoch)).into());
    }
    // Tokens of an earlier epoch are void already.
    if asked.epoch == record.epoch && !add(tx, &mailbox, &mut record, &handles)? {
        return Err(Refused::limit("revoked prefixes: start a new epoch").into());
    }
    write(tx, &mailbox, &record);
    Ok(())
}

/// Adds a prefix, if it is not there; false when the table is full.
pub(super) fn add<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    mailbox: &MailboxId,
    record: &mut Mailbox,
    handles: &[Handle],
) -> Result<bool, StoreError> {
    if is_revoked(tx, mailbox, record, handles)? {
        return Ok(true);
    }
    if usize::try_from(record.revoked).is_ok_and(|count| count >= REVOKED_PREFIXES_MAX) {
        return Ok(false);
    }
    record.revoked += 1;
    tx.put(key(mailbox, record.epoch, handles), Bytes::new());
    Ok(true)
}

fn old_epoch_key(mailbox: &MailboxId, epoch: u32) -> Key {
    epoch_key(Table::OldEpoch, mailbox, epoch)
}

/// Leaves what an epoch stored to the sweep.
pub(super) fn leave_epoch<S: Store + ?Sized>(tx: &mut Overlay<'_, S>, mailbox: &MailboxId, record: &Mailbox) {
    if record.revoked > 0 || record.introductions > 0 {
        tx.put(old_epoch_key(mailbox, record.epoch), Bytes::new());
    }
}

/// Removes at most `budget` keys of old epochs; whether more are left.
pub(crate) fn sweep<S: Store + ?Sized>(tx: &mut Overlay<'_, S>, budget: usize) -> Result<bool, StoreError> {
    let all = Table::OldEpoch.key();
    let Some((old, _)) = tx.range(all.as_ref(), all.after_prefix().as_ref(), 1)?.pop() else {
        return Ok(false);
    };
    let mut parts = KeyReader::new("old epoch key", &old);
    let mailbox = MailboxId::new(parts.part()?);
    let epoch = parts.u32()?;
    let mut left = budget;
    for table in EPOCH_TABLES {
        let prefix = epoch_key(table, &mailbox, epoch);
        for (key, _) in tx.range(prefix.as_ref(), prefix.after_prefix().as_ref(), left)? {
            tx.delete(key);
            left -= 1;
        }
    }
    if left > 0 {
        tx.delete(old);
    }
    Ok(true)
}
