//! Entries that come in: who may bring them, what they do.

use undertone_protocol::codec::Malformed;
use undertone_protocol::entry::{Content, DeviceChange, EntryHeader, SignedEntry};
use undertone_protocol::ids::{ConversationId, DeviceId, EntryId, UserId};
use undertone_protocol::keys::DeviceRevoke;
use undertone_protocol::limits::ENTRIES_MAX;
use undertone_protocol::wire;

use super::admission::Admission;
use super::circle::Circle;
use super::context::Context;
use super::{
    acknowledging, changes, forks, group_acknowledging, groups, history, introducing, introductions, lists,
    own, resend, texts, ticks, vanishing, views, writing,
};
use crate::event::Event;
use crate::log;
use crate::store::{Contact, ContactState, Cut, CutReason, Fault, StoreError, StoredEntry};

/// No copy of a store writes more entries than this before it is found.
const COPY_AHEAD_MAX: u64 = 1 << 32;

/// Adds a text of this user to the log; it is sealed when it can be.
pub(super) fn compose(
    ctx: &mut Context<'_>,
    circle: &Circle,
    text: &str,
) -> Result<Result<EntryId, Malformed>, StoreError> {
    let body = match texts::body(ctx, circle, text, None)? {
        Ok(body) => body,
        Err(error) => return Ok(Err(error)),
    };
    writing::append_to(ctx, circle, body).map(Ok)
}

/// Who brings an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bearer {
    /// The device that wrote it.
    Author,
    /// Another device of this user: what it took was allowed when it took it.
    Sibling,
    /// Another device of the conversation.
    Member,
}

/// Whether an entry may go into its conversation's log.
pub(super) fn admit(
    ctx: &mut Context<'_>,
    entry: &SignedEntry,
    bearer: Bearer,
) -> Result<Admission, StoreError> {
    let header = &entry.header;
    let device = &header.device;
    let circle = match Circle::of(ctx, &header.conversation)? {
        None if bearer == Bearer::Author => groups::heard_of(ctx, header)?,
        known => known,
    };
    let Some(circle) = circle else {
        // Somebody known may write in a group that this device will hear of, or another own device with a contact.
        let later = bearer == Bearer::Sibling || ctx.agenda.devices.contains_key(device);
        return Ok(if later {
            Admission::Later
        } else {
            Admission::Refused("a conversation that is not ours")
        });
    };
    if *device == ctx.me.device && ctx.tx.entry(&entry.id)?.is_none() {
        return Ok(Admission::NotWritten);
    }
    match &circle {
        Circle::Direct(contact) => Ok(match admit_direct(ctx, contact, header, bearer)? {
            Ok(()) => Admission::Taken(circle),
            Err(admission) => admission,
        }),
        Circle::Group(group) => {
            let admitted = groups::admit_entry(ctx, group, entry)?;
            Ok(match admitted {
                Ok(()) => Admission::Taken(circle),
                Err(admission) => admission,
            })
        }
    }
}

fn admit_direct(
    ctx: &Context<'_>,
    contact: &Contact,
    header: &EntryHeader,
    bearer: Bearer,
) -> Result<Result<(), Admission>, StoreError> {
    let device = &header.device;
    // One's own first: a contact may list whom they like.
    let lists = [Some(&ctx.me.account.device_list), contact.device_list.as_ref()];
    let list = lists.into_iter().flatten().find(|list| list.device(device).is_some());
    let cut = ctx.tx.cut(&header.conversation, device)?;
    Ok(match list {
        None if bearer == Bearer::Author => Err(Admission::Later),
        None => Err(Admission::Refused("a device that no user of the conversation lists")),
        Some(list) if list.active_device(device).is_some() || bearer == Bearer::Sibling => Ok(()),
        Some(_) if cut.is_some_and(|cut| header.seq <= cut.through) => Ok(()),
        Some(_) => Err(Admission::Refused("a device that was revoked")),
    })
}

/// An entry that came pairwise, with an introduction.
pub(super) fn received(
    ctx: &mut Context<'_>,
    user: &UserId,
    device: &DeviceId,
    sealed: wire::SealedEntry,
) -> Result<(), StoreError> {
    let entry = match SignedEntry::verify(sealed) {
        Ok(entry) => entry,
        Err(error) => {
            tracing::warn!(device = %device.short(), %error, "an entry was refused");
            return Ok(());
        }
    };
    if entry.header.device != *device || entry.header.conversation != ctx.me.direct(user) {
        tracing::warn!(device = %device.short(), "an entry of another device or conversation");
        return Ok(());
    }
    carry(ctx, entry, Bearer::Author, device)
}

/// Entries that another device holds and this one seems to lack.
pub(super) fn received_history(
    ctx: &mut Context<'_>,
    user: &UserId,
    device: &DeviceId,
    entries: wire::Entries,
) -> Result<(), StoreError> {
    let bearer = if *user == ctx.me.user { Bearer::Sibling } else { Bearer::Member };
    let (whole, gone): (Vec<_>, Vec<_>) =
        entries.entries.into_iter().take(ENTRIES_MAX).partition(|sealed| !sealed.body.is_empty());
    // What was deleted comes after what deleted it.
    for sealed in whole.into_iter().chain(gone) {
        match SignedEntry::verify_whole_or_gone(sealed) {
            Ok(entry)
                if entry.body.is_gone()
                    && bearer != Bearer::Sibling
                    && !vanishing::may_be_gone(ctx, &entry)? =>
            {
                tracing::warn!(device = %device.short(), "an entry without its body that should have it yet");
            }
            Ok(entry)
                if bearer == Bearer::Sibling
                    || Circle::of(ctx, &entry.header.conversation)?
                        .is_some_and(|circle| circle.knows(ctx, user)) =>
            {
                let (conversation, author) = (entry.header.conversation, entry.header.device);
                if bearer == Bearer::Sibling {
                    groups::is_held_elsewhere(ctx, &conversation);
                }
                carry(ctx, entry, bearer, device)?;
                if bearer == Bearer::Member {
                    group_acknowledging::note_handed(ctx, &conversation, device, &author);
                }
            }
            Ok(_) => tracing::warn!(device = %device.short(), "an entry of another conversation"),
            Err(error) => tracing::warn!(device = %device.short(), %error, "an entry was refused"),
        }
    }
    Ok(())
}

fn carry(
    ctx: &mut Context<'_>,
    entry: SignedEntry,
    bearer: Bearer,
    from: &DeviceId,
) -> Result<(), StoreError> {
    match admit(ctx, &entry, bearer)? {
        Admission::Taken(circle) => take(ctx, circle, entry, bearer),
        // Whoever holds it offers it again.
        Admission::Later => Ok(()),
        Admission::Lacks(missing) => {
            // Its author may be gone; who took it has what it names.
            groups::ask(ctx, &entry.header.conversation, from, missing);
            Ok(())
        }
        Admission::Refused(reason) => {
            tracing::warn!(device = %entry.header.device.short(), reason, "an entry was refused");
            Ok(())
        }
        Admission::NotWritten => was_copied(ctx, &entry.header),
    }
}

/// This device's key signed what is not in its store: that was copied, or is an old copy. From this number on nothing
/// that it wrote counts, and nothing goes out of it any more.
pub(super) fn was_copied(ctx: &mut Context<'_>, shown: &EntryHeader) -> Result<(), StoreError> {
    // It may be shown again and again, with whatever number who has the key likes.
    if ctx.account()?.fault.is_none() {
        let last = log::frontier_of(ctx.tx, &shown.conversation, &ctx.me.device)?.seq;
        if shown.seq.saturating_sub(last) <= COPY_AHEAD_MAX {
            tracing::error!(
                seq = shown.seq,
                "somebody holds an entry of this device that is not in its store"
            );
        } else {
            tracing::warn!("an entry of this device under a number that no copy of it came to");
        }
    }
    ticks::void_from(ctx, &shown.conversation, shown.seq)?;
    ctx.silence(Fault::Copied)
}

/// Takes in an entry that was admitted.
pub(super) fn take(
    ctx: &mut Context<'_>,
    circle: Circle,
    entry: SignedEntry,
    bearer: Bearer,
) -> Result<(), StoreError> {
    let EntryHeader { conversation, device, seq, .. } = entry.header;
    let is_own = own::is_own(ctx, &device);
    if !note_fork(ctx, &circle, &entry)? {
        return Ok(());
    }
    let id = entry.id;
    let stored = log::insert(ctx.tx, entry, ctx.now)?;
    let is_new = stored.is_some();
    tracing::trace!(me = ctx.me.device.short(), from = device.short(), entry = ?id, is_new, "an entry");
    // What was held already is acknowledged once more: the sender seems not to know.
    if is_own {
        acknowledging::make_own_due(ctx, &conversation)?;
    } else {
        acknowledging::make_due(ctx, &conversation)?;
    }
    let Some(stored) = stored else {
        if bearer == Bearer::Author {
            is_beyond_fork(ctx, &conversation, &device, seq)?;
        }
        // In a group there is no news of it. Who hands over what another one wrote is told by itself.
        if matches!(circle, Circle::Group(_)) && !is_own && bearer == Bearer::Author {
            ctx.agenda.behind.insert((conversation, device));
        }
        return Ok(());
    };
    own::look_later(ctx, &conversation);
    vanishing::note(ctx, &circle, &stored)?;
    match &circle {
        Circle::Direct(contact) => turn(ctx, contact, &conversation, is_own)?,
        Circle::Group(group) => {
            groups::judge_entry(ctx, group, &stored)?;
            if bearer == Bearer::Author && !is_own {
                history::wrote(ctx, &device, &conversation)?;
            }
        }
    }
    let circle = Circle::of(ctx, &conversation)?.unwrap_or(circle);
    match &stored.entry.body.content {
        Content::Devices(change) => devices_changed(ctx, &circle, &stored, change)?,
        Content::Account(record) if circle.is_account(ctx) => {
            ctx.tx.put_account_change(&record.user, &stored.entry.id, &record.replaces)?;
            ctx.agenda.followed.insert(record.user);
            return Ok(());
        }
        // Nobody else has anything to say of this user's account.
        Content::Account(_) => return Ok(()),
        // Of a contact alone there is no membership. In a group it was taken before its entry.
        Content::Operation(_)
        | Content::Text(_)
        | Content::Unknown
        | Content::Annotation(_)
        | Content::Hidden(_)
        | Content::Gone => {}
    }
    if shows(ctx, &stored)? && circle.shows() {
        changes::tell(ctx, &circle, &stored)?;
    }
    Ok(())
}

/// Somebody spoke in a direct conversation: the next message gets a new key.
fn turn(
    ctx: &mut Context<'_>,
    contact: &Contact,
    conversation: &ConversationId,
    is_own: bool,
) -> Result<(), StoreError> {
    resend::renew_key(ctx, conversation)?;
    if contact.state == ContactState::Requesting && !is_own {
        // It may have been another own device that asked, and this came from there.
        let mut contact = contact.clone();
        introducing::answer(ctx, &mut contact);
        introductions::accepted(ctx, &mut contact)?;
    }
    Ok(())
}

/// Whether a new entry counts.
fn shows(ctx: &mut Context<'_>, stored: &StoredEntry) -> Result<bool, StoreError> {
    let EntryHeader { conversation, device, seq, .. } = &stored.entry.header;
    let is_beyond = is_beyond_fork(ctx, conversation, device, *seq)?;
    Ok(!is_beyond && log::counts(ctx.tx, stored)?)
}

/// Whether a number is beyond a fork. Then its device may not know of it yet.
fn is_beyond_fork(
    ctx: &mut Context<'_>,
    conversation: &ConversationId,
    device: &DeviceId,
    seq: u64,
) -> Result<bool, StoreError> {
    let fork = log::fork(ctx.tx, conversation, device)?.filter(|cut| seq > cut.through);
    if let Some(cut) = &fork {
        forks::show_again(ctx, conversation, device, cut.through.saturating_add(1));
    }
    Ok(fork.is_some())
}

/// Two entries with one number prove that the device's key is in two places: from the lowest such number on
/// nothing of it counts. False when the proof is held already: a third one is not kept, unless it shows a lower one.
fn note_fork(ctx: &mut Context<'_>, circle: &Circle, entry: &SignedEntry) -> Result<bool, StoreError> {
    let EntryHeader { conversation, device, seq, .. } = &entry.header;
    let held = ctx.tx.entries_at(conversation, device, *seq)?;
    if held.iter().any(|held| held.entry.id == entry.id) {
        return Ok(true);
    }
    let Some(number) = forks::lowest(ctx.tx, entry, &held)? else { return Ok(true) };
    let is_new = forks::is_new(ctx.tx, conversation, device, number)?;
    if is_new {
        tracing::warn!(device = %device.short(), seq = number, "two entries with one number");
        forks::cut(ctx, conversation, device, number)?;
        tell_fork(ctx, circle, device)?;
    }
    Ok(is_new || held.len() < 2)
}

fn tell_fork(ctx: &mut Context<'_>, circle: &Circle, device: &DeviceId) -> Result<(), StoreError> {
    if own::is_own(ctx, device) {
        ctx.events.push(Event::Devices {});
    } else if let Some(user) = circle.user_of(ctx, device)
        && let Some(author) = ctx.tx.contact(&user)?.filter(|author| !author.state.is_blocked())
    {
        let view = views::contact(ctx, &author)?;
        ctx.events.push(Event::Contact { contact: view });
    }
    Ok(())
}

/// The author's user says which devices they have, and where those end that they revoked. Of a group the membership
/// document says that.
fn devices_changed(
    ctx: &mut Context<'_>,
    circle: &Circle,
    stored: &StoredEntry,
    change: &DeviceChange,
) -> Result<(), StoreError> {
    let EntryHeader { conversation, device, .. } = &stored.entry.header;
    let Some(user) = circle.user_of(ctx, device) else { return Ok(()) };
    lists::device_list(ctx, &user, change.device_list.to_wire())?;
    let Circle::Direct(contact) = circle else { return Ok(()) };
    for signed in &change.revocations {
        match DeviceRevoke::verify(signed.clone()) {
            Ok(revoke)
                if revoke.fields.user == user
                    && revoke.fields.conversation == *conversation
                    && is_of(ctx, contact, &user, &revoke.fields.device)? =>
            {
                let (through, head) =
                    revoke.fields.cut.map_or((0, None), |(through, head)| (through, Some(head)));
                let cut = Cut { through, head, why: CutReason::Revoked };
                log::cut(ctx.tx, conversation, &revoke.fields.device, cut)?;
            }
            Ok(_) => tracing::warn!(
                device = %device.short(),
                "a revocation of another user, device or conversation"
            ),
            Err(error) => tracing::warn!(device = %device.short(), %error, "a revocation was refused"),
        }
    }
    Ok(())
}

/// Whether a device is one of a user's, this user or the contact: nobody takes out devices of somebody else.
fn is_of(ctx: &Context<'_>, contact: &Contact, user: &UserId, device: &DeviceId) -> Result<bool, StoreError> {
    if *user == ctx.me.user || own::is_own(ctx, device) {
        return Ok(*user == ctx.me.user && own::is_own(ctx, device));
    }
    // The list may have come with the revocation.
    let known = ctx.tx.contact(&contact.user)?;
    Ok(known.and_then(|known| known.device_list).is_some_and(|list| list.device(device).is_some()))
}

#[cfg(test)]
mod tests;
