use bytes::Bytes;
use prost::Message;
use undertone_protocol::ids::{DeviceId, Handle, MailboxId};
use undertone_protocol::limits::{INTRODUCTIONS_MAX, INVITATION_USES_MAX};
use undertone_protocol::time::Timestamp;
use undertone_protocol::token::Step;
use undertone_protocol::wire::{self, DenialReason};

use super::record::{Mailbox, owned, write};
use super::revocation::{self, epoch_key, is_revoked};
use crate::answer::{Failed, Refused};
use crate::limits::Limits;
use crate::store::table::{Key, Table, record};
use crate::store::usage::{self, PREFIX_DISK_BYTES};
use crate::store::{Overlay, Store, StoreError};

/// Uses that one request forgets at most, beside those of the first introduction that it forgets.
const USES_FORGOTTEN_MAX: u32 = 1_000;

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
    limits: &Limits,
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
        admit(tx, &mailbox, &mut record, limits, now)?;
    }
    let used = known.map_or(0, |known| known.used);
    tx.write(key, &Introduction { uses: asked.uses, used, not_after_ms: asked.not_after_ms });
    write(tx, &mailbox, &record);
    Ok(())
}

/// Counts a new introduction, if there is room for it. A refusal leaves nothing behind.
fn admit<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    mailbox: &MailboxId,
    record: &mut Mailbox,
    limits: &Limits,
    now: Timestamp,
) -> Result<(), Failed> {
    // Looked at first: what makes room is never larger afterwards, but is written.
    if !usage::fits(tx, PREFIX_DISK_BYTES, limits.disk_bytes_max)? {
        return Err(Refused::disk_full(limits.full_retry_after_ms).into());
    }
    if full(record) {
        make_room(tx, mailbox, record, now)?;
    }
    if full(record) {
        return Err(Refused::limit(format!("open introductions: {INTRODUCTIONS_MAX}")).into());
    }
    record.introductions += 1;
    usage::change(tx, |usage| usage.disk_bytes += PREFIX_DISK_BYTES)?;
    Ok(())
}

/// Introductions that have ended become revoked prefixes: they go on being refused, with less to keep.
fn make_room<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    mailbox: &MailboxId,
    record: &mut Mailbox,
    now: Timestamp,
) -> Result<(), StoreError> {
    let prefix = epoch_key(Table::Introduction, mailbox, record.epoch);
    let mut uses = 0_u32;
    for (key, value) in tx.range(prefix.as_ref(), prefix.after_prefix().as_ref(), INTRODUCTIONS_MAX)? {
        let introduction: Introduction = self::record("introduction", value)?;
        let handle = Handle::new(*key.last_chunk().ok_or(StoreError::Corrupt { what: "introduction key" })?);
        if introduction.not_after_ms >= now.as_ms() {
            continue;
        }
        let revoked = is_revoked(tx, mailbox, record, &[handle])?;
        let budget_spent = uses > 0 && uses.saturating_add(introduction.used) > USES_FORGOTTEN_MAX;
        if budget_spent || !revoked && revocation::full(record) {
            continue;
        }
        uses = uses.saturating_add(introduction.used);
        tx.delete(key);
        record.introductions = record.introductions.saturating_sub(1);
        let mut removed = 1 + forget_uses(tx, mailbox, record.epoch, &handle)?;
        if !revoked {
            revocation::add(tx, mailbox, record, &[handle]);
            removed -= 1;
        }
        usage::release(tx, removed * PREFIX_DISK_BYTES)?;
    }
    Ok(())
}

/// Forgets who used an introduction that is over; how many that were.
fn forget_uses<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    mailbox: &MailboxId,
    epoch: u32,
    handle: &Handle,
) -> Result<u64, StoreError> {
    let prefix = epoch_key(Table::IntroductionUse, mailbox, epoch).part(handle.as_bytes());
    let uses = usize::try_from(INVITATION_USES_MAX).unwrap_or(usize::MAX);
    let mut count = 0;
    for (key, _) in tx.range(prefix.as_ref(), prefix.after_prefix().as_ref(), uses)? {
        tx.delete(key);
        count += 1;
    }
    Ok(count)
}

fn full(record: &Mailbox) -> bool {
    usize::try_from(record.introductions).is_ok_and(|count| count >= INTRODUCTIONS_MAX)
}

/// What a charged delivery takes when it is stored: a use of its introduction, if that is a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Charged(pub(super) Option<Use>);

impl Charged {
    /// What [`take_use`] counts, in bytes.
    pub(crate) fn disk_bytes(&self) -> u64 {
        if self.0.is_some() { PREFIX_DISK_BYTES } else { 0 }
    }
}

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

/// Takes the use, if there is one to take; the caller has seen that there is room for it.
pub(crate) fn take_use<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    charged: Charged,
) -> Result<(), StoreError> {
    let Charged(Some(taken)) = charged else { return Ok(()) };
    if let Some(bounds) = read(tx, &taken.introduction)? {
        tx.write(taken.introduction, &Introduction { used: bounds.used + 1, ..bounds });
        tx.put(taken.joiner, Bytes::new());
        usage::change(tx, |usage| usage.disk_bytes += PREFIX_DISK_BYTES)?;
    }
    Ok(())
}
