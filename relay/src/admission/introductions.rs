use bytes::Bytes;
use prost::Message;
use undertone_protocol::ids::{DeviceId, Handle, MailboxId};
use undertone_protocol::limits::{INTRODUCTIONS_MAX, INVITATION_USES_MAX};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::Step;
use undertone_protocol::wire::{self, DenialReason};

use super::record::{Mailbox, owned, write};
use super::revocation::{add, epoch_key};
use crate::answer::{Failed, Refused};
use crate::store::table::{Key, Table};
use crate::store::{Overlay, Store, StoreError};

/// The bounds of an introduction token.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct Introduction {
    #[prost(uint32, tag = "1")]
    uses: u32,
    #[prost(uint32, tag = "2")]
    used: u32,
    #[prost(uint64, tag = "3")]
    not_after_ms: u64,
}

fn key(mailbox: &MailboxId, epoch: u32, handle: &Handle) -> Key {
    epoch_key(Table::Introduction, mailbox, epoch).part(handle.as_bytes())
}

fn read<S: Store + ?Sized>(tx: &Overlay<'_, S>, key: &Key) -> Result<Option<Introduction>, StoreError> {
    tx.read("introduction", key)
}

/// Bounds a token by its first handle. Again for the same handle: new bounds, the uses stay taken.
pub(crate) fn put_introduction<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    device: &DeviceId,
    asked: &wire::PutIntroduction,
    now: Timestamp,
) -> Result<(), Failed> {
    let mailbox = MailboxId::from_slice(&asked.mailbox)?;
    let handle = Handle::from_slice(&asked.handle)?;
    if asked.uses == 0 || asked.not_after_ms == 0 {
        return Err(Refused::malformed("an introduction has uses and an end").into());
    }
    if asked.uses > INVITATION_USES_MAX {
        return Err(Refused::limit(format!("uses of an introduction: {INVITATION_USES_MAX}")).into());
    }
    let mut record = owned(tx, &mailbox, device)?;
    let key = key(&mailbox, record.epoch, &handle);
    let known = read(tx, &key)?;
    if known.is_none() {
        make_room(tx, &mailbox, &mut record, now)?;
        record.introductions += 1;
    }
    let used = known.map_or(0, |known| known.used);
    tx.write(key, &Introduction { uses: asked.uses, used, not_after_ms: asked.not_after_ms });
    write(tx, &mailbox, &record);
    Ok(())
}

/// When the table is full, the introductions that have ended become revoked prefixes: they go on being
/// refused, with less to keep.
fn make_room<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    mailbox: &MailboxId,
    record: &mut Mailbox,
    now: Timestamp,
) -> Result<(), Failed> {
    if !full(record) {
        return Ok(());
    }
    let prefix = epoch_key(Table::Introduction, mailbox, record.epoch);
    for (key, value) in tx.range(prefix.as_ref(), prefix.after_prefix().as_ref(), INTRODUCTIONS_MAX)? {
        let introduction: Introduction = crate::store::table::record("introduction", value)?;
        let handle = key.last_chunk().ok_or(StoreError::Corrupt { what: "introduction key" })?;
        if introduction.not_after_ms < now.as_ms() && add(tx, mailbox, record, &[Handle::new(*handle)])? {
            tx.delete(key);
            record.introductions -= 1;
        }
    }
    if full(record) {
        return Err(Refused::limit(format!("open introductions: {INTRODUCTIONS_MAX}")).into());
    }
    Ok(())
}

fn full(record: &Mailbox) -> bool {
    usize::try_from(record.introductions).is_ok_and(|count| count >= INTRODUCTIONS_MAX)
}

/// What a charged delivery takes when it is stored: a use of its introduction, if that is a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Charged(pub(super) Option<Use>);

/// A new use of an introduction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Use {
    introduction: Key,
    joiner: Key,
}

/// Whether an introduction bounds this path, and lets it pass: the use to take, if it is a new one.
pub(super) fn bound<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    mailbox: &MailboxId,
    record: &Mailbox,
    path: &[Step],
    now: Timestamp,
) -> Result<Result<Option<Use>, DenialReason>, StoreError> {
    let Some((first, rest)) = path.split_first().filter(|_| record.introductions > 0) else {
        return Ok(Ok(None));
    };
    let introduction = key(mailbox, record.epoch, &first.handle);
    let Some(bounds) = read(tx, &introduction)? else { return Ok(Ok(None)) };
    let Some(second) = rest.first() else { return Ok(Err(DenialReason::Rights)) };
    if now.as_ms() > bounds.not_after_ms {
        return Ok(Err(DenialReason::Expired));
    }
    let joiner = epoch_key(Table::IntroductionUse, mailbox, record.epoch)
        .part(first.handle.as_bytes())
        .part(second.handle.as_bytes());
    if tx.get(joiner.as_ref())?.is_some() {
        return Ok(Ok(None));
    }
    if bounds.used >= bounds.uses {
        return Ok(Err(DenialReason::UsedUp));
    }
    Ok(Ok(Some(Use { introduction, joiner })))
}

/// Takes the use, if there is one to take.
pub(crate) fn take_use<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    charged: Charged,
) -> Result<(), StoreError> {
    let Charged(Some(taken)) = charged else { return Ok(()) };
    if let Some(bounds) = read(tx, &taken.introduction)? {
        tx.write(taken.introduction, &Introduction { used: bounds.used + 1, ..bounds });
        tx.put(taken.joiner, Bytes::new());
    }
    Ok(())
}
