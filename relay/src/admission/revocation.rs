use bytes::Bytes;
use undertone_protocol::ids::{DeviceId, Handle, MailboxId};
use undertone_protocol::limits::{REVOKED_PREFIXES_MAX, TOKEN_STEPS_MAX};
use undertone_protocol::wire::{self, RefusalCode};

use super::record::{Mailbox, owned, write};
use crate::answer::{Failed, Refused};
use crate::limits::Limits;
use crate::store::table::{Key, KeyReader, Table};
use crate::store::usage::{self, PREFIX_DISK_BYTES};
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
    limits: &Limits,
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
    if asked.epoch < record.epoch || is_revoked(tx, &mailbox, &record, &handles)? {
        return Ok(());
    }
    if full(&record) {
        return Err(Refused::limit("revoked prefixes: start a new epoch").into());
    }
    if !usage::take(tx, PREFIX_DISK_BYTES, limits.disk_bytes_max)? {
        return Err(Refused::disk_full(limits.full_retry_after_ms).into());
    }
    add(tx, &mailbox, &mut record, &handles);
    write(tx, &mailbox, &record);
    Ok(())
}

/// Whether no prefix may be added.
pub(super) fn full(record: &Mailbox) -> bool {
    usize::try_from(record.revoked).is_ok_and(|count| count >= REVOKED_PREFIXES_MAX)
}

/// Adds a prefix that is not there. The caller has counted it, and writes the record.
pub(super) fn add<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    mailbox: &MailboxId,
    record: &mut Mailbox,
    handles: &[Handle],
) {
    record.revoked += 1;
    tx.put(key(mailbox, record.epoch, handles), Bytes::new());
}

fn old_epoch_key(mailbox: &MailboxId, epoch: u32) -> Key {
    epoch_key(Table::OldEpoch, mailbox, epoch)
}

/// Leaves what an epoch stored to the sweep. One epoch of a mailbox waits at a time, or a mailbox that starts epochs
/// faster than they are swept would have no bound.
pub(super) fn leave_epoch<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    mailbox: &MailboxId,
    record: &Mailbox,
    limits: &Limits,
) -> Result<(), Failed> {
    if record.revoked == 0 && record.introductions == 0 {
        return Ok(());
    }
    let waiting = Table::OldEpoch.key().part(mailbox.as_bytes());
    if !tx.range(waiting.as_ref(), waiting.after_prefix().as_ref(), 1)?.is_empty() {
        let text = "the mailbox's last epoch is still being forgotten";
        return Err(Refused::retry_after(text, limits.sweep_interval_ms).into());
    }
    tx.put(old_epoch_key(mailbox, record.epoch), Bytes::new());
    Ok(())
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
    let removed = u64::try_from(budget - left).unwrap_or(u64::MAX);
    usage::release(tx, removed.saturating_mul(PREFIX_DISK_BYTES))?;
    if left > 0 {
        tx.delete(old);
    }
    Ok(true)
}
