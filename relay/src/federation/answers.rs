//! What came of forwards, kept until their devices have taken it.

use bytes::Bytes;
use prost::Message;
use undertone_protocol::ids::PublishId;
use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{self, frame::Body};

use crate::store::owner::{self, Owner};
use crate::store::table::{self, Key, KeyReader, Table, record};
use crate::store::usage::{self, ANSWER_DISK_BYTES};
use crate::store::{Overlay, Store, StoreError};

const WHAT: &str = "answer";

#[derive(Clone, PartialEq, Message)]
struct Record {
    /// As the destination gave it.
    #[prost(message, optional, tag = "1")]
    forwarded: Option<wire::Forwarded>,
    /// As this relay signed it.
    #[prost(message, optional, tag = "2")]
    dead_letter: Option<wire::DeadLetter>,
    #[prost(uint64, tag = "3")]
    end_ms: u64,
    /// What its forward's notice said.
    #[prost(uint64, tag = "4")]
    until_ms: u64,
}

impl Record {
    fn into_answer(self) -> Option<Answer> {
        self.forwarded.map(Answer::Forwarded).or(self.dead_letter.map(Answer::DeadLetter))
    }
}

/// What came of a forward.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Forwarded(wire::Forwarded),
    DeadLetter(wire::DeadLetter),
}

impl Answer {
    pub(super) fn into_body(self) -> Body {
        match self {
            Self::Forwarded(forwarded) => Body::Forwarded(forwarded),
            Self::DeadLetter(dead) => Body::DeadLetter(dead),
        }
    }
}

fn key(owner: &Owner, forward: &PublishId) -> Key {
    Table::Answer.key().part(owner.as_bytes()).part(forward.as_bytes())
}

fn end_key(end_ms: u64, owner: &Owner, forward: &PublishId) -> Key {
    Table::AnswerEnd.key().u64(end_ms).part(owner.as_bytes()).part(forward.as_bytes())
}

fn disk_bytes(record_bytes: usize) -> u64 {
    ANSWER_DISK_BYTES + u64::try_from(record_bytes).unwrap_or(u64::MAX)
}

/// Keeps one, with until when its forward was to wait, and its own end. It takes the place of its forward, in the quota and
/// in what its device has, and is smaller.
pub(super) fn put<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    owner: &Owner,
    forward: &PublishId,
    answer: Answer,
    (until, end): (Timestamp, Timestamp),
) -> Result<(), StoreError> {
    let mut kept = Record { end_ms: end.as_ms(), until_ms: until.as_ms(), ..Record::default() };
    match answer {
        Answer::Forwarded(forwarded) => kept.forwarded = Some(forwarded),
        Answer::DeadLetter(dead) => kept.dead_letter = Some(dead),
    }
    usage::change(tx, |usage| usage.disk_bytes += disk_bytes(kept.encoded_len()))?;
    tx.write(key(owner, forward), &kept);
    tx.put(end_key(kept.end_ms, owner, forward), Bytes::new());
    Ok(())
}

/// One that waits.
pub(super) fn get<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    owner: &Owner,
    forward: &PublishId,
) -> Result<Option<Answer>, StoreError> {
    Ok(tx.read::<Record>(WHAT, &key(owner, forward))?.and_then(Record::into_answer))
}

/// Until when the forward was to wait that one answers.
pub(super) fn until<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    owner: &Owner,
    forward: &PublishId,
) -> Result<Option<Timestamp>, StoreError> {
    let record = tx.read::<Record>(WHAT, &key(owner, forward))?;
    Ok(record.map(|record| Timestamp::from_ms(record.until_ms)))
}

/// At most `limit` of those that wait for a device, by their ids in order, behind one or from the first on. They are read with
/// all that is in them, so `limit` is what can be given at once.
pub(super) fn waiting<S: Store + ?Sized>(
    tx: &Overlay<'_, S>,
    owner: &Owner,
    behind: Option<&PublishId>,
    limit: usize,
) -> Result<Vec<(PublishId, Answer)>, StoreError> {
    let prefix = Table::Answer.key().part(owner.as_bytes());
    let from = behind.map_or_else(|| prefix.clone(), |behind| key(owner, behind).after_prefix());
    let mut waiting = Vec::new();
    for (key, value) in tx.range(from.as_ref(), prefix.after_prefix().as_ref(), limit)? {
        let corrupt = StoreError::Corrupt { what: WHAT };
        let Some(id) = key.last_chunk() else { return Err(corrupt) };
        let answer = record::<Record>(WHAT, value)?.into_answer().ok_or(corrupt)?;
        waiting.push((PublishId::new(*id), answer));
    }
    Ok(waiting)
}

/// Forgets one; whether it was there.
pub(super) fn remove<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    owner: &Owner,
    forward: &PublishId,
) -> Result<bool, StoreError> {
    let key = key(owner, forward);
    let Some(record) = tx.read::<Record>(WHAT, &key)? else { return Ok(false) };
    usage::release(tx, disk_bytes(record.encoded_len()))?;
    owner::change(tx, owner.as_bytes(), |holdings| holdings.forwards = holdings.forwards.saturating_sub(1))?;
    tx.delete(key);
    tx.delete(end_key(record.end_ms, owner, forward));
    Ok(true)
}

/// Forgets those whose devices did not come for them, from those on that ended at `from`: whether there is more, and how
/// many.
pub(super) fn sweep<S: Store + ?Sized>(
    tx: &mut Overlay<'_, S>,
    from: Timestamp,
    now: Timestamp,
    budget: usize,
) -> Result<(bool, u64), StoreError> {
    let due = table::due(tx, Table::AnswerEnd, from, now, budget)?;
    let (more, mut expired) = (due.len() >= budget, 0);
    for end in due {
        let mut parts = KeyReader::new(WHAT, &end);
        parts.u64()?;
        let (owner, forward) = (Owner::stored(parts.part()?), PublishId::new(parts.part()?));
        expired += u64::from(remove(tx, &owner, &forward)?);
        tx.delete(end);
    }
    Ok((more, expired))
}
