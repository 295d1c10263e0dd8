//! What devices must show, worked out anew from signed bytes: plain and slow, after `spec/log.md`, `spec/messages.md` and
//! `spec/devices.md`, with nothing of the node's log or of the protocol's order in it. Given are all entries that any
//! device of the conversation holds, in no order.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ed25519_dalek::{Signature, VerifyingKey};
use prost::Message;
use undertone_protocol::wire::annotation::Act;
use undertone_protocol::wire::{self, entry_body::Content};

const DAY_MS: u64 = 24 * 3_600_000;

/// 32 bytes: an entry, a device, a conversation, a user.
pub(super) type Id = [u8; 32];

/// An entry as it came over the wire, read by the model's own eyes.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) device: Id,
    pub(super) seq: u64,
    prev: Option<Id>,
    parents: Vec<Id>,
    claimed_ms: u64,
    /// From when on it says nothing any more.
    expires_ms: Option<u64>,
    pub(super) membership_heads: Vec<Id>,
    body: wire::EntryBody,
    /// Somebody holds it without what it said.
    dropped: bool,
}

impl Entry {
    /// Whether it says nothing any more where a clock shows this.
    pub(super) fn is_over(&self, at_ms: u64) -> bool {
        self.expires_ms.is_some_and(|expires_ms| expires_ms <= at_ms)
    }

    /// Whether somebody holds it without what it said, because it is over.
    pub(super) fn has_vanished(&self, at_ms: u64) -> bool {
        self.dropped && self.is_over(at_ms)
    }

    /// Whether it is a text, or something said of one.
    pub(super) const fn is_message(&self) -> bool {
        matches!(self.body.content, Some(Content::Text(_) | Content::Annotation(_)))
    }

    /// What it does to another entry, and which.
    fn about(&self) -> Option<(Id, &Act)> {
        let Some(Content::Annotation(annotation)) = &self.body.content else { return None };
        Some((Id::try_from(&annotation.entry[..]).ok()?, annotation.act.as_ref()?))
    }
}

/// What a conversation must look like.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    /// Each text with its entry's id in hexadecimal, in order.
    pub(super) texts: Vec<(String, String)>,
    /// Texts that show only where they were not dropped: that their authors deleted them does not count any more.
    pub(super) gone: BTreeSet<String>,
}

/// What entries said, by id, as it was known before anybody dropped it.
pub(super) type Bodies = BTreeMap<Id, Bytes>;

/// What all devices must show of a conversation of two users, when they hold these entries. `users` are the users of the
/// devices that ever were in it.
pub(super) fn expected(
    conversation: &Id,
    sealed: &[wire::SealedEntry],
    bodies: &Bodies,
    users: &BTreeMap<Id, Id>,
) -> Result<Expected, String> {
    let entries = read_all(conversation, sealed, bodies)?;
    let ends = ends(conversation, &entries, users);
    let mut counting = entries.clone();
    counting.retain(|_, entry| ends.get(&entry.device).is_none_or(|end| entry.seq <= *end));
    // No chat of two has a timer.
    let gone = drops_only_deleted(&entries, &counting, users, 0)?;
    Ok(Expected { gone, ..laid_out(&counting, users, &|_| false) })
}

/// All of them, by id. What some said that somebody holds without it is in `bodies`, or held by somebody else.
pub(super) fn read_all(
    conversation: &Id,
    sealed: &[wire::SealedEntry],
    bodies: &Bodies,
) -> Result<BTreeMap<Id, Entry>, String> {
    let whole = sealed.iter().filter(|sealed| !sealed.body.is_empty());
    let whole = whole.map(|sealed| (*blake3::hash(&sealed.header).as_bytes(), &sealed.body));
    let known: BTreeMap<Id, &Bytes> = bodies.iter().map(|(id, body)| (*id, body)).chain(whole).collect();
    let mut entries: BTreeMap<Id, Entry> = BTreeMap::new();
    let mut signed = BTreeSet::new();
    for sealed in sealed {
        let (id, entry) = read(conversation, sealed, &known, &mut signed)?;
        let dropped = entry.dropped || entries.get(&id).is_some_and(|other| other.dropped);
        entries.insert(id, Entry { dropped, ..entry });
    }
    Ok(entries)
}

/// Nobody dropped what an entry said, but for texts that their authors deleted, the edits of them that they dropped, and what
/// is over where a clock shows `latest_ms`. `counting` are the entries that count. Gives what was dropped by a deletion that was
/// found not to count later, and what is over: it still shows where a clock is behind.
pub(super) fn drops_only_deleted(
    entries: &BTreeMap<Id, Entry>,
    counting: &BTreeMap<Id, Entry>,
    users: &BTreeMap<Id, Id>,
    latest_ms: u64,
) -> Result<BTreeSet<String>, String> {
    let (mut deleted, mut dropped, mut counts): (BTreeSet<Id>, BTreeSet<Id>, BTreeSet<Id>) =
        Default::default();
    for (id, entry) in entries {
        let Some((target, act)) = entry.about() else { continue };
        let author = entries.get(&target).and_then(|target| users.get(&target.device));
        match act {
            Act::Delete(_) if author == users.get(&entry.device) => {
                deleted.insert(target);
                if counting.contains_key(id) {
                    counts.insert(target);
                }
            }
            Act::Drop(_) if author == users.get(&entry.device) => drop(dropped.insert(target)),
            _ => {}
        }
    }
    let mut gone = BTreeSet::new();
    for (id, entry) in entries.iter().filter(|(_, entry)| entry.dropped) {
        let may = match (&entry.body.content, entry.about()) {
            _ if entry.is_over(latest_ms) => true,
            (Some(Content::Text(_)), _) => deleted.contains(id),
            (_, Some((target, Act::Edit(_)))) => dropped.contains(id) && deleted.contains(&target),
            // Nobody of those that are asked ever had it whole.
            (None, _) => deleted.contains(id) || dropped.contains(id),
            _ => false,
        };
        if !may {
            return Err(format!("somebody dropped what {} said: {:?}", hex(id), entry.body.content));
        }
        let text = entry.about().map_or(*id, |(text, _)| text);
        if entry.is_over(latest_ms) || !counts.contains(&text) {
            gone.insert(hex(&text));
        }
    }
    Ok(gone)
}

/// What these entries, all of which count, come to. `deletes_others` says who may delete what others wrote.
pub(super) fn laid_out(
    entries: &BTreeMap<Id, Entry>,
    users: &BTreeMap<Id, Id>,
    deletes_others: &dyn Fn(&Id) -> bool,
) -> Expected {
    let mut effective = BTreeMap::new();
    for id in entries.keys() {
        place(*id, entries, &mut effective);
    }
    let mut order: Vec<(u64, Id, Id)> = Vec::new();
    for (id, entry) in entries {
        order.push((effective.get(id).copied().unwrap_or_default(), entry.device, *id));
    }
    order.sort_unstable();
    let changes = changes(&order, entries, users, deletes_others);
    let texts = order.iter().filter_map(|(_, _, id)| match &entries.get(id)?.body.content {
        Some(Content::Text(text)) => {
            Some((hex(id), changes.get(id).cloned().unwrap_or_else(|| text.text.clone())))
        }
        // What it was nobody knows but its author, who deleted it.
        None if entries.get(id)?.dropped => Some((hex(id), changes.get(id)?.clone())),
        Some(_) | None => None,
    });
    Expected { texts: texts.collect(), gone: BTreeSet::new() }
}

/// What stands in the place of texts that were edited or deleted: nothing, for ever; else of the edits the last in order.
/// Of each device only that edit counts that has the highest number, and that deletion that has the lowest.
fn changes(
    order: &[(u64, Id, Id)],
    entries: &BTreeMap<Id, Entry>,
    users: &BTreeMap<Id, Id>,
    deletes_others: &dyn Fn(&Id) -> bool,
) -> BTreeMap<Id, String> {
    let mut deletions: BTreeMap<(Id, Id), (u64, Id)> = BTreeMap::new();
    let mut last_of: BTreeMap<(Id, Id), (u64, Id)> = BTreeMap::new();
    let mut edits: BTreeMap<Id, (Id, String)> = BTreeMap::new();
    let is_authors = |target: &Id, entry: &Entry| {
        entries.get(target).is_some_and(|target| users.get(&target.device) == users.get(&entry.device))
    };
    for (id, entry) in entries {
        let Some((target, act)) = entry.about() else { continue };
        match act {
            Act::Edit(text) if is_authors(&target, entry) => {
                let last = last_of.entry((target, entry.device)).or_default();
                *last = (*last).max((entry.seq, *id));
                edits.insert(*id, (target, text.text.clone()));
            }
            Act::Delete(_) => {
                let first = deletions.entry((target, entry.device)).or_insert((entry.seq, *id));
                *first = (*first).min((entry.seq, *id));
            }
            Act::Edit(_) | Act::Reaction(_) | Act::Pin(_) | Act::Drop(_) => {}
        }
    }
    let counting: BTreeSet<Id> = last_of.into_values().map(|(_, id)| id).collect();
    let mut changed: BTreeMap<Id, String> = BTreeMap::new();
    for (_, _, id) in order.iter().filter(|(_, _, id)| counting.contains(id)) {
        changed.extend(edits.get(id).cloned());
    }
    for ((target, _), (_, id)) in deletions {
        let own = entries.get(&id).is_some_and(|entry| is_authors(&target, entry));
        if own || deletes_others(&id) {
            changed.insert(target, String::new());
        }
    }
    changed
}

fn read(
    conversation: &Id,
    sealed: &wire::SealedEntry,
    known: &BTreeMap<Id, &Bytes>,
    signed: &mut BTreeSet<(Id, Bytes)>,
) -> Result<(Id, Entry), String> {
    let id = *blake3::hash(&sealed.header).as_bytes();
    let bad = |why: &str| format!("a device holds an entry {}: {why}", hex(&id));
    let header = wire::EntryHeader::decode(sealed.header.clone()).map_err(|_| bad("no header"))?;
    let dropped = sealed.body.is_empty();
    let said = if dropped { known.get(&id).copied() } else { Some(&sealed.body) };
    let body = match said {
        Some(bytes) => wire::EntryBody::decode(bytes.clone()).map_err(|_| bad("no body"))?,
        None => wire::EntryBody::default(),
    };
    let of_32 = |bytes: &[u8]| id_of(bytes).map_err(|why| bad(&why));
    let device = of_32(&header.device)?;
    if signed.insert((id, sealed.signature.clone())) {
        is_signed(&device, sealed).map_err(bad)?;
    }
    if said.is_some_and(|said| header.body_hash[..] != *blake3::hash(said).as_bytes()) {
        return Err(bad("another body than was signed"));
    }
    if header.conversation[..] != *conversation {
        return Err(bad("it is of another conversation"));
    }
    if (header.seq == 1) != header.prev.is_empty() || header.seq == 0 {
        return Err(bad("number and predecessor do not fit"));
    }
    let parents = header.heads.iter().chain(Some(&header.prev).filter(|prev| !prev.is_empty()));
    let parents = parents.map(|parent| of_32(parent)).collect::<Result<_, _>>()?;
    let prev = Id::try_from(&header.prev[..]).ok();
    let heads = header.membership_heads.iter().map(|head| of_32(head)).collect::<Result<_, _>>()?;
    let (seq, claimed_ms) = (header.seq, header.claimed_ms);
    let expires_ms = Some(header.expires_ms).filter(|at| *at != 0);
    Ok((
        id,
        Entry { device, seq, prev, parents, claimed_ms, expires_ms, membership_heads: heads, body, dropped },
    ))
}

/// A device signed this header. As many devices hold it as have it: it is asked once of all that say the same.
fn is_signed(device: &Id, sealed: &wire::SealedEntry) -> Result<(), &'static str> {
    let key = VerifyingKey::from_bytes(device).map_err(|_| "its device is no key")?;
    let signature = Signature::from_slice(&sealed.signature).map_err(|_| "no signature")?;
    let signed = [b"undertone v1 entry\0", &sealed.header[..]].concat();
    key.verify_strict(&signed, &signature).map_err(|_| "its device did not sign it")
}

pub(super) fn id_of(bytes: &[u8]) -> Result<Id, String> {
    Id::try_from(bytes).map_err(|_| "an id of another length".to_owned())
}

/// The last number of each device that counts, for devices that were revoked or forked: the lowest cut holds.
fn ends(conversation: &Id, entries: &BTreeMap<Id, Entry>, users: &BTreeMap<Id, Id>) -> BTreeMap<Id, u64> {
    let mut ends = forked(entries);
    for entry in entries.values() {
        let Some(Content::Devices(change)) = &entry.body.content else { continue };
        for revocation in &change.revocations {
            if let Some((device, through)) =
                revoked(conversation, revocation, users.get(&entry.device), users)
            {
                cut(&mut ends, device, through);
            }
        }
    }
    ends
}

/// The last number of each device before it gave one twice, as these entries prove.
pub(super) fn forked(entries: &BTreeMap<Id, Entry>) -> BTreeMap<Id, u64> {
    let mut ends: BTreeMap<Id, u64> = BTreeMap::new();
    let mut seen: BTreeMap<(Id, u64), Vec<Id>> = BTreeMap::new();
    for (id, entry) in entries {
        let same = seen.entry((entry.device, entry.seq)).or_default();
        same.push(*id);
        if same.len() > 1 {
            cut(&mut ends, entry.device, entry.seq - 1);
        }
    }
    for entry in entries.values() {
        // Whoever names another predecessor than is there wrote two.
        let before = entry.seq.checked_sub(1).and_then(|before| seen.get(&(entry.device, before)));
        if before.is_some_and(|before| before.iter().any(|id| Some(*id) != entry.prev)) {
            cut(&mut ends, entry.device, entry.seq - 2);
        }
    }
    ends
}

fn cut(ends: &mut BTreeMap<Id, u64>, device: Id, through: u64) {
    let end = ends.entry(device).or_insert(through);
    *end = through.min(*end);
}

/// Whom a revocation cuts off and where, if the author's user signed it, for this conversation, of a device of theirs.
fn revoked(
    conversation: &Id,
    signed: &wire::Signed,
    author: Option<&Id>,
    users: &BTreeMap<Id, Id>,
) -> Option<(Id, u64)> {
    let revoke = wire::DeviceRevoke::decode(signed.body.clone()).ok()?;
    let user = Id::try_from(&revoke.user[..]).ok()?;
    let device = Id::try_from(&revoke.device[..]).ok()?;
    let key = VerifyingKey::from_bytes(&user).ok()?;
    let message = [b"undertone v1 device revoke\0", &signed.body[..]].concat();
    key.verify_strict(&message, &Signature::from_slice(&signed.signature).ok()?).ok()?;
    let is_theirs = author == Some(&user) && users.get(&device) == Some(&user);
    (is_theirs && revoke.conversation[..] == *conversation).then_some((device, revoke.through))
}

/// The effective time: what is claimed, held between 1 ms and a day after the latest parent.
fn place(id: Id, entries: &BTreeMap<Id, Entry>, effective: &mut BTreeMap<Id, u64>) {
    let mut waiting = vec![id];
    while let Some(id) = waiting.last().copied() {
        let Some(entry) = entries.get(&id).filter(|_| !effective.contains_key(&id)) else {
            waiting.pop();
            continue;
        };
        let held = || entry.parents.iter().filter(|parent| entries.contains_key(*parent));
        let missing: Vec<Id> = held().filter(|parent| !effective.contains_key(*parent)).copied().collect();
        if !missing.is_empty() {
            waiting.extend(missing);
            continue;
        }
        let latest = held().filter_map(|parent| effective.get(parent)).max();
        let time = match latest {
            None => entry.claimed_ms,
            Some(latest) => entry.claimed_ms.min(latest + DAY_MS).max(latest + 1),
        };
        effective.insert(id, time);
        waiting.pop();
    }
}

pub(super) fn hex(id: &Id) -> String {
    data_encoding::HEXLOWER.encode(id)
}
