//! Two entries with one number (`log.md`): whoever has them shows them to the other devices of the conversation, until all know.
//! Whether one does is seen by what it acknowledges: who knows of a fork tells of nothing beyond it.

use undertone_protocol::entry::{EntryHeader, SignedEntry};
use undertone_protocol::ids::{ConversationId, DeviceId};
use undertone_protocol::log::{Frontier, FrontierItem};

use super::circle::Circle;
use super::context::Context;
use super::offers::{BATCHES_MAX, OFFER_LIFE, OFFER_LIFE_MAX, PAGE, batches, life, look_again, send};
use super::own::{self, ARRIVAL};
use super::pairwise;
use crate::log;
use crate::store::{Contact, Cut, CutReason, NodeTx, StoreError, StoredEntry};

/// How far below a number with two entries a fork is looked for.
const FORK_REACH: u64 = 16;

/// The lowest number that a device used twice, by an entry of it that is new and those `held` under the same number.
/// Whoever names another predecessor than the one that is held wrote another one too.
pub(super) fn lowest(
    tx: &dyn NodeTx,
    entry: &SignedEntry,
    held: &[StoredEntry],
) -> Result<Option<u64>, StoreError> {
    let EntryHeader { conversation, device, seq, prev, .. } = &entry.header;
    let at = |number: Option<u64>| match number {
        Some(number) => tx.entries_at(conversation, device, number),
        None => Ok(Vec::new()),
    };
    if at(seq.checked_sub(1))?.iter().any(|before| Some(before.entry.id) != *prev) {
        return Ok(seq.checked_sub(1));
    }
    let after = at(seq.checked_add(1))?;
    let is_fork = !held.is_empty() || after.iter().any(|after| after.entry.header.prev != Some(entry.id));
    Ok(is_fork.then_some(*seq))
}

/// Whether a device used a number twice that counted until now, as far as forks go. What comes beyond a cut shows nothing
/// new.
pub(super) fn is_new(
    tx: &dyn NodeTx,
    conversation: &ConversationId,
    device: &DeviceId,
    number: u64,
) -> Result<bool, StoreError> {
    let through = number.saturating_sub(1);
    let known = tx.cut(conversation, device)?;
    Ok(known.is_none_or(|known| {
        through < known.through || through == known.through && known.why != CutReason::Forked
    }))
}

/// Nothing of a device counts from a number on that it used twice, and everybody is shown why.
pub(super) fn cut(
    ctx: &mut Context<'_>,
    conversation: &ConversationId,
    device: &DeviceId,
    number: u64,
) -> Result<(), StoreError> {
    let through = number.saturating_sub(1);
    let head = ctx.tx.entries_at(conversation, device, through)?.first().map(|stored| stored.entry.id);
    log::cut(ctx.tx, conversation, device, Cut { through, head, why: CutReason::Forked })?;
    ctx.agenda.forks.insert((*conversation, *device, number));
    Ok(())
}

/// What shows that a device used a number twice: both entries, or one and what follows another one.
pub(super) fn proof(
    tx: &dyn NodeTx,
    conversation: &ConversationId,
    device: &DeviceId,
    number: u64,
) -> Result<Vec<StoredEntry>, StoreError> {
    let mut proof = tx.entries_at(conversation, device, number)?;
    if proof.len() < 2
        && let Some(next) = number.checked_add(1)
    {
        proof.extend(tx.entries_at(conversation, device, next)?);
    }
    Ok(proof)
}

/// A device goes on writing beyond a fork: it does not know of it yet. It is shown the proof again, with all others.
pub(super) fn show_again(ctx: &mut Context<'_>, conversation: &ConversationId, author: &DeviceId, seq: u64) {
    let which = (*author, *conversation);
    let shown = ctx.agenda.forks_shown.get(&which);
    if shown.is_none_or(|shown| ctx.now.since(shown.at) >= OFFER_LIFE) {
        note_shown(ctx, which);
        ctx.agenda.forks.insert((*conversation, *author, seq));
    }
}

/// Shows every device of a conversation the proof that one of them is in two places.
pub(super) fn show_proofs(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    for (conversation, author, seq) in std::mem::take(&mut ctx.agenda.forks) {
        let Some(circle) = Circle::of(ctx, &conversation)? else { continue };
        let proof = proof(ctx.tx, &conversation, &author, seq)?;
        let own = own::own_contact(ctx)?.filter(|_| !circle.is_account(ctx));
        let people = if circle.is_open() { circle.people(ctx)? } else { Vec::new() };
        for to in own.into_iter().chain(people) {
            let devices = circle.authorised(ctx, &to);
            for device in pairwise::reach(ctx, &to, &devices)?.unwrap_or_default() {
                send(ctx, &to, &device, &conversation, proof.clone())?;
            }
        }
    }
    Ok(())
}

/// Shows a device what it does not know of forks, by what it `said` that it holds, as long as it says so.
pub(super) fn compare(
    ctx: &mut Context<'_>,
    to: &Contact,
    device: &DeviceId,
    conversation: &ConversationId,
    said: &Frontier,
) -> Result<(), StoreError> {
    let which = (*device, *conversation);
    let entries = unknown(ctx, conversation, said)?;
    if entries.is_empty() {
        if let Some(shown) = ctx.agenda.forks_shown.get_mut(&which) {
            shown.times = 0;
        }
        return Ok(());
    }
    let shown = ctx.agenda.forks_shown.get(&which).copied();
    let again = shown.map(|shown| shown.at.after(life(shown.times.saturating_sub(1))));
    if let Some(again) = again.filter(|again| ctx.now < *again) {
        look_again(ctx, &which, again);
        return Ok(());
    }
    if pairwise::reach(ctx, to, &[*device])?.is_none() {
        look_again(ctx, &which, ctx.now.after(ARRIVAL));
        return Ok(());
    }
    let times = note_shown(ctx, which);
    look_again(ctx, &which, ctx.now.after(life(times.saturating_sub(1))));
    for batch in batches(entries).into_iter().take(BATCHES_MAX) {
        send(ctx, to, device, conversation, batch)?;
    }
    Ok(())
}

/// Notes that a device is shown something now; gives how often it was in a row.
fn note_shown(ctx: &mut Context<'_>, which: (DeviceId, ConversationId)) -> u32 {
    let now = ctx.now;
    ctx.agenda.forks_shown.retain(|_, shown| now.since(shown.at) < 2 * OFFER_LIFE_MAX);
    let shown = ctx.agenda.forks_shown.entry(which).or_default();
    (shown.at, shown.times) = (now, shown.times.saturating_add(1));
    shown.times
}

/// What is held here that shows a device a fork. One that tells of entries from a fork on does not know of it. Under the
/// number of an entry that it names it may hold another one; it sees the same by this device's acknowledgements.
fn unknown(
    ctx: &Context<'_>,
    conversation: &ConversationId,
    said: &Frontier,
) -> Result<Vec<StoredEntry>, StoreError> {
    let mut entries = Vec::new();
    for (author, item) in said.items() {
        if let Some(cut) = log::fork(ctx.tx, conversation, author)?
            && cut.through < item.last()
        {
            entries.extend(proof(ctx.tx, conversation, author, cut.through.saturating_add(1))?);
            continue;
        }
        entries.extend(below_another(ctx, conversation, author, item)?);
    }
    Ok(entries)
}

/// The last entries of an author up to each number under which somebody holds another one.
fn below_another(
    ctx: &Context<'_>,
    conversation: &ConversationId,
    author: &DeviceId,
    item: &FrontierItem,
) -> Result<Vec<StoredEntry>, StoreError> {
    let (mut entries, mut next) = (Vec::new(), 1);
    for (number, id) in item.named() {
        let here = ctx.tx.entries_at(conversation, author, number)?;
        if here.is_empty() || here.iter().any(|stored| stored.entry.id == id) {
            continue;
        }
        let first = number.saturating_sub(FORK_REACH).max(next);
        let below = ctx.tx.entries_of(conversation, author, first, PAGE)?;
        entries.extend(below.into_iter().filter(|stored| stored.entry.header.seq <= number));
        next = number.saturating_add(1);
    }
    Ok(entries)
}

#[cfg(test)]
mod tests;
