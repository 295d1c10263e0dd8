//! What home relays deliver: opened once, put aside while it can't be opened, acknowledged once committed.

use undertone_protocol::codec::decode;
use undertone_protocol::crypto::{InboundChannel, PayloadKind, classify, decrypt_content, opening_hash};
use undertone_protocol::entry::SignedEntry;
use undertone_protocol::ids::{DeviceId, PayloadHash, RelayId, SessionId, Tag};
use undertone_protocol::limits::{
    CHANNEL_UNACKNOWLEDGED_MAX, CHANNELS_PER_PEER_MAX, INTRODUCTIONS_KEPT_MAX, PAYLOAD_BYTES_MAX,
    QUARANTINE_ITEMS_MAX, REQUESTS_KEPT_MAX, SEEN_ITEMS_MAX,
};
use undertone_protocol::wire::{self, frame::Body};

use super::admission::Admission;
use super::agenda::{Agenda, Kept};
use super::context::Context;
use super::direct::{self, Bearer};
use super::introductions::{self, NotTaken};
use super::links::{Links, drop_link};
use super::types::Outputs;
use super::{arrivals, linking, received_keys};
use crate::LinkId;
use crate::store::{NodeTx, Quarantined, StoreError};

/// The class of what nobody keeps.
const VOLATILE: u32 = 2;

/// After so many handled payloads the store looks whether it remembers too many.
const SEEN_TRIM_EVERY: usize = 1_024;

/// What became of a payload.
enum Opened {
    /// It did what it says.
    Handled,
    /// It may open, or be taken, later.
    Later(Waits),
    /// It opened, but says something that is not allowed.
    Idle(String),
    /// It does not open.
    Refused(String),
}

/// What a payload waits for.
enum Waits {
    /// Its key, or what it hangs on.
    Tag(Tag),
    /// An introduction, for room or for a group's operations.
    Introduction(Kept),
}

/// A relay delivers a payload.
pub(super) fn delivered(
    ctx: &mut Context<'_>,
    links: &mut Links,
    relay: &RelayId,
    deliver: wire::Deliver,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    // Class 2 has no numbers, and nothing that is known to this version.
    let is_volatile = deliver.class == VOLATILE && deliver.seq == 0;
    if deliver.payload.len() > PAYLOAD_BYTES_MAX || (deliver.seq == 0 && !is_volatile) {
        drop_link(ctx, links, &LinkId::home(*relay), "the relay broke the protocol: a bad delivery", out);
        return Ok(());
    }
    if is_volatile {
        return Ok(());
    }
    let Some(link) = links.get_mut(&LinkId::home(*relay)).filter(|link| link.is_ready()) else {
        return Ok(());
    };
    link.delivered = ctx.now;
    if !link.intakes.take(deliver.class, deliver.seq, deliver.payload.len()) {
        return Ok(());
    }
    let hash = PayloadHash::of(&deliver.payload);
    if ctx.tx.seen(&hash)? {
        return Ok(());
    }
    match open(ctx, &deliver.payload)? {
        Opened::Handled => {}
        Opened::Later(waits) => {
            put_aside(ctx, waits, Quarantined { hash, payload: deliver.payload, received: ctx.now })?
        }
        Opened::Idle(reason) => tracing::warn!(payload = %hash.short(), reason, "a payload was refused"),
        Opened::Refused(reason) => {
            tracing::warn!(payload = %hash.short(), reason, "a payload was refused");
            // It comes to the same each time: nothing is kept of it, or anybody's garbage would fill the disk.
            return Ok(());
        }
    }
    note_seen(ctx, &hash)
}

/// Remembers that a payload was handled. What comes again, or is forgotten too early, does no harm: entries, channels
/// and sessions know what they took.
pub(super) fn note_seen(ctx: &mut Context<'_>, hash: &PayloadHash) -> Result<(), StoreError> {
    ctx.tx.put_seen(hash, ctx.now)?;
    match ctx.agenda.seen_room.checked_sub(1) {
        Some(room) => ctx.agenda.seen_room = room,
        None => {
            ctx.agenda.seen_room = SEEN_TRIM_EVERY;
            ctx.tx.trim_seen(SEEN_ITEMS_MAX)?;
        }
    }
    Ok(())
}

fn open(ctx: &mut Context<'_>, payload: &[u8]) -> Result<Opened, StoreError> {
    match classify(payload) {
        Ok(PayloadKind::Opening { .. }) => open_opening(ctx, payload),
        Ok(PayloadKind::Channel { tag }) => open_channel(ctx, &tag, payload),
        Ok(PayloadKind::Message { tag }) => open_message(ctx, &tag, payload),
        Ok(PayloadKind::Link) => Ok(match linking::received(ctx, payload)? {
            Ok(()) => Opened::Handled,
            Err(reason) => Opened::Refused(reason),
        }),
        Err(error) => Ok(Opened::Refused(error.to_string())),
    }
}

fn open_opening(ctx: &mut Context<'_>, payload: &[u8]) -> Result<Opened, StoreError> {
    let me = ctx.me;
    let of_key = me.xwing_keys().find_map(|key| opening_hash(payload, key.public()).map(|hash| (key, hash)));
    let Some((key, hash)) = of_key else {
        return Ok(Opened::Refused("it was made for a key that this device does not have".to_owned()));
    };
    let (before, peer, opened) = match ctx.tx.inbound_channel(&hash)? {
        Some((mut channel, peer)) => {
            let before = Some(channel.received_count());
            (before, peer, channel.open(payload).map(|content| (channel, content)))
        }
        None => {
            let candidates = std::slice::from_ref(key);
            (None, None, InboundChannel::accept(candidates, &ctx.me.device, payload))
        }
    };
    match opened {
        Ok((channel, content)) => take(ctx, channel, before, peer, content),
        Err(error) => Ok(Opened::Refused(error.to_string())),
    }
}

fn open_channel(ctx: &mut Context<'_>, tag: &Tag, payload: &[u8]) -> Result<Opened, StoreError> {
    for hash in ctx.tx.channels_by_tag(tag)? {
        let Some((mut channel, peer)) = ctx.tx.inbound_channel(&hash)? else { continue };
        let before = channel.received_count();
        if let Ok(content) = channel.open(payload) {
            ctx.tx.delete_channel_tag(&hash, tag)?;
            return take(ctx, channel, Some(before), peer, content);
        }
    }
    Ok(Opened::Later(Waits::Tag(*tag)))
}

/// Takes what a channel carried, and keeps the channel once it is proved whose it is. `before` is what
/// had come through so far, of a known channel.
fn take(
    ctx: &mut Context<'_>,
    channel: InboundChannel,
    before: Option<u64>,
    peer: Option<DeviceId>,
    content: Vec<u8>,
) -> Result<Opened, StoreError> {
    let hash = *channel.hash();
    let (device, opened) = match arrivals::receive(ctx, &channel, peer, content)? {
        Ok(device) => (device, Opened::Handled),
        // A known channel moves on all the same, or the payload could be opened again and again.
        Err(why) => match (peer, why) {
            (Some(device), NotTaken::Refused(reason)) => (device, Opened::Idle(reason)),
            (None, NotTaken::Refused(reason)) => return Ok(Opened::Idle(reason)),
            // Nothing is kept of the channel: it opens as it did now.
            (_, NotTaken::Later(kept)) => return Ok(Opened::Later(Waits::Introduction(kept))),
        },
    };
    ctx.tx.put_inbound_channel(&hash, &channel, Some(&device))?;
    let new_tags = match before {
        None => channel.expected_tags(),
        Some(before) => {
            let advanced = channel.received_count().saturating_sub(before);
            channel.tags(before.saturating_add(CHANNEL_UNACKNOWLEDGED_MAX), advanced)
        }
    };
    let tags: Vec<Tag> = new_tags.into_iter().map(|(_, tag)| tag).collect();
    ctx.tx.put_channel_tags(&hash, &tags)?;
    if before.is_none() {
        for old in ctx.tx.inbound_channels_of(&device)?.into_iter().skip(CHANNELS_PER_PEER_MAX) {
            ctx.tx.delete_inbound_channel(&old)?;
        }
    }
    ctx.agenda.expected(tags.iter());
    Ok(opened)
}

fn open_message(ctx: &mut Context<'_>, tag: &Tag, payload: &[u8]) -> Result<Opened, StoreError> {
    let mut refusal = None;
    for (session, index) in ctx.tx.sessions_by_tag(tag)? {
        match open_under(ctx, &session, index, payload)? {
            Ok(entry) => {
                let admission = direct::admit(ctx, &entry, Bearer::Author)?;
                let Some(key) = ctx.tx.receiver_key(&session)? else { continue };
                if !matches!(admission, Admission::Later | Admission::Lacks(_)) {
                    received_keys::consume(ctx, key, index, tag)?;
                }
                return match admission {
                    Admission::Taken(circle) => {
                        direct::take(ctx, circle, entry, Bearer::Author).map(|()| Opened::Handled)
                    }
                    Admission::Later | Admission::Lacks(_) => Ok(Opened::Later(Waits::Tag(*tag))),
                    Admission::Refused(reason) => Ok(Opened::Idle(reason.to_owned())),
                    Admission::NotWritten => direct::was_copied(ctx, &entry.header).map(|()| Opened::Handled),
                };
            }
            Err(reason) => refusal = Some(reason),
        }
    }
    Ok(refusal.map_or(Opened::Later(Waits::Tag(*tag)), Opened::Refused))
}

fn open_under(
    ctx: &Context<'_>,
    session: &SessionId,
    index: u32,
    payload: &[u8],
) -> Result<Result<SignedEntry, String>, StoreError> {
    let Some(key) = ctx.tx.receiver_key(session)? else { return Ok(Err("its session is gone".to_owned())) };
    let content = match decrypt_content(ctx.crypto, &key.header_key, &key.state, index, payload) {
        Ok(content) => content,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let entry = decode("sealed entry", &content.into(), PAYLOAD_BYTES_MAX)
        .map_err(|error| error.to_string())
        .and_then(|sealed| SignedEntry::verify(sealed).map_err(|error| error.to_string()));
    Ok(match entry {
        Ok(entry) if entry.header.device != key.device => {
            Err("another device's entry under this key".to_owned())
        }
        Ok(entry) if entry.header.conversation != key.conversation => {
            Err("another conversation's entry under this key".to_owned())
        }
        other => other,
    })
}

/// Keeps a payload until it may open.
fn put_aside(ctx: &mut Context<'_>, waits: Waits, item: Quarantined) -> Result<(), StoreError> {
    let tag = match waits {
        Waits::Tag(tag) => tag,
        Waits::Introduction(kept) => return keep_introduction(ctx, kept, item),
    };
    ctx.tx.put_quarantine(&item)?;
    ctx.agenda.quarantined.insert(tag);
    // The store drops the oldest beyond its bound; their tags go with the next count.
    if ctx.agenda.quarantined.len() > 2 * QUARANTINE_ITEMS_MAX {
        count_quarantine(ctx.tx, ctx.agenda)?;
    }
    Ok(())
}

/// Requests that one has no room for expire at the asker, who is told so then; members introduce themselves again.
fn keep_introduction(ctx: &mut Context<'_>, kept: Kept, item: Quarantined) -> Result<(), StoreError> {
    let kept_max = match kept {
        Kept::Request => REQUESTS_KEPT_MAX,
        Kept::Member | Kept::Unknown => INTRODUCTIONS_KEPT_MAX,
    };
    if ctx.agenda.kept(kept) >= kept_max {
        count_quarantine(ctx.tx, ctx.agenda)?;
    }
    if ctx.agenda.kept(kept) >= kept_max {
        tracing::warn!(payload = %item.hash.short(), "an introduction was dropped: too many wait");
        return Ok(());
    }
    ctx.agenda.kept.insert(item.hash, kept);
    ctx.tx.put_quarantine(&item)
}

/// Notes what is in quarantine.
pub(super) fn count_quarantine(tx: &dyn NodeTx, agenda: &mut Agenda) -> Result<(), StoreError> {
    agenda.quarantined.clear();
    let known = std::mem::take(&mut agenda.kept);
    for item in tx.quarantine(QUARANTINE_ITEMS_MAX)? {
        match classify(&item.payload) {
            Ok(PayloadKind::Channel { tag } | PayloadKind::Message { tag }) => {
                agenda.quarantined.insert(tag);
            }
            Ok(PayloadKind::Opening { .. }) => {
                let kept = known.get(&item.hash).copied().unwrap_or(Kept::Unknown);
                agenda.kept.insert(item.hash, kept);
            }
            Ok(PayloadKind::Link) | Err(_) => {}
        }
    }
    Ok(())
}

/// Tries payloads that were put aside, after keys came.
pub(super) fn retry_quarantine(ctx: &mut Context<'_>) -> Result<(), StoreError> {
    // Opening one can bring the key for another.
    while std::mem::take(&mut ctx.agenda.quarantine) {
        let mut progress = false;
        let mut room = if ctx.agenda.kept.is_empty() { 0 } else { introductions::room(ctx)? };
        for item in ctx.tx.quarantine(QUARANTINE_ITEMS_MAX)? {
            let is_request = ctx.agenda.kept.get(&item.hash) == Some(&Kept::Request);
            if is_request && room == 0 {
                continue;
            }
            match open(ctx, &item.payload)? {
                Opened::Later(Waits::Introduction(kept)) => {
                    ctx.agenda.kept.insert(item.hash, kept);
                    continue;
                }
                Opened::Later(Waits::Tag(_)) => continue,
                Opened::Handled => {}
                Opened::Idle(reason) | Opened::Refused(reason) => {
                    tracing::warn!(payload = %item.hash.short(), reason, "a payload was refused");
                }
            }
            progress = true;
            ctx.agenda.kept.remove(&item.hash);
            if is_request {
                room = room.saturating_sub(1);
            }
            ctx.tx.delete_quarantine(&item.hash)?;
        }
        ctx.agenda.quarantine = progress;
    }
    Ok(())
}

/// Stores what came in and tells the relays, with new credit.
pub(super) fn acknowledge(
    ctx: &mut Context<'_>,
    links: &mut Links,
    out: &mut Outputs,
) -> Result<(), StoreError> {
    let homes: Vec<RelayId> = links.homes().map(|(relay, _)| *relay).collect();
    for relay in homes {
        let link = LinkId::home(relay);
        let Some(report) = links.get_mut(&link).and_then(|link| link.intakes.report()) else { continue };
        if let Some(mut stored) = ctx.tx.home_relay(&relay)? {
            stored.received = report.received;
            ctx.tx.put_home_relay(&stored)?;
        }
        for ack in report.acks {
            links.tell(&link, Body::Ack(ack), ctx.now, out);
        }
        for credit in report.credits {
            links.tell(&link, Body::Credit(credit), ctx.now, out);
        }
    }
    Ok(())
}
