//! Values of the log and of what is on its way, told apart by small numbers.

use std::sync::LazyLock;

use bytes::Bytes;
use undertone_protocol::entry::{Act, Annotation, Content, EntryBody, EntryHeader, SignedEntry, Text};
use undertone_protocol::ids::{DeviceId, EntryId, UserId};
use undertone_protocol::log::{Frontier, FrontierItem, SeqRange};
use undertone_protocol::receipts::{Acknowledgement, AcknowledgementFields, Authors, Tick};

use super::fixtures::{COUNT, conversation, device, device_key, payload_hash, relay, rng, t, user};
use crate::store::{
    Acknowledged, AcknowledgedBy, Cut, CutReason, Delivery, Gap, OutboxItem, OutboxRecipient, OutboxState,
    OwnReceipts, Purpose, Quarantined, StoredEntry,
};

/// An entry that follows `heads`. The text tells entries with the same place apart.
pub(super) fn entry(conversation: u8, author: u8, seq: u64, heads: &[EntryId], text: &str) -> SignedEntry {
    let body = EntryBody::text(text, &mut rng(9)).unwrap();
    let header = EntryHeader {
        conversation: self::conversation(conversation),
        device: device(author),
        seq,
        prev: (seq > 1).then(|| EntryId::new([0xee; 32])),
        heads: heads.to_vec(),
        claimed: t(undertone_protocol::limits::CLAIMED_MS_MAX),
        membership_heads: vec![],
        body_hash: body.hash(),
        expires: None,
    };
    SignedEntry::issue(device_key(author).signing_key(), header, body)
}

/// An entry of conversation 1 that says something else than a text.
pub(super) fn saying(author: u8, seq: u64, content: Content) -> SignedEntry {
    let text = entry(1, author, seq, &[], "in its place");
    let body = EntryBody::new(content, &mut rng(9)).unwrap();
    let header = EntryHeader { body_hash: body.hash(), ..text.header };
    SignedEntry::issue(device_key(author).signing_key(), header, body)
}

/// An entry of conversation 1 that says something until a moment.
pub(super) fn expiring(author: u8, seq: u64, at: u64, content: Content) -> SignedEntry {
    let staying = saying(author, seq, content);
    let header = EntryHeader { expires: Some(t(at)), ..staying.header };
    SignedEntry::issue(device_key(author).signing_key(), header, staying.body)
}

/// Device `author` does something to `target`.
pub(super) fn annotation(author: u8, seq: u64, target: EntryId, act: Act) -> SignedEntry {
    saying(author, seq, Content::Annotation(Annotation { entry: target, act }))
}

pub(super) fn reaction(text: &str) -> Act {
    Act::Reaction(text.to_owned())
}

/// Annotations of `target`, and what hides it: two devices, with more than one of a kind each.
pub(super) fn annotations(target: EntryId) -> Vec<SignedEntry> {
    let edit = |text: &str| Act::Edit(Text::plain(text));
    vec![
        annotation(1, 1, target, reaction("a")),
        annotation(1, 2, target, edit("b")),
        annotation(1, 3, target, reaction("c")),
        annotation(1, 4, target, Act::Delete),
        annotation(1, 5, target, Act::Delete),
        annotation(2, 1, target, Act::Pin(true)),
        annotation(2, 2, target, Act::Pin(false)),
        annotation(2, 3, target, reaction("")),
        saying(2, 4, Content::Hidden(vec![target, EntryId::new([9; 32])])),
    ]
}

pub(super) fn stored(entry: SignedEntry, effective: u64) -> StoredEntry {
    StoredEntry { entry, effective: t(effective), received: t(1) }
}

/// Twelve entries of two conversations, some of which follow others, two of them with one number.
pub(super) static ENTRIES: LazyLock<Vec<SignedEntry>> = LazyLock::new(|| {
    let mut entries: Vec<SignedEntry> = Vec::new();
    for n in 0..12_u8 {
        let heads: Vec<EntryId> =
            entries.iter().rev().take(usize::from(n % 3)).map(|before| before.id).collect();
        let seq = u64::from(n / 4) + 1;
        entries.push(entry(n % 2, n % 3, seq, &heads, &format!("text {n}")));
    }
    entries
});

/// [`annotations`] of the first entries.
pub(super) static ANNOTATIONS: LazyLock<Vec<Vec<SignedEntry>>> =
    LazyLock::new(|| ENTRIES.iter().take(usize::from(COUNT)).map(|entry| annotations(entry.id)).collect());

pub(super) fn cut(through: u64, why: CutReason) -> Cut {
    Cut { through, head: (through > 0).then(|| EntryId::new([2; 32])), why }
}

pub(super) fn gap(from: u64, days: u32) -> Gap {
    Gap { from, through: from.saturating_add(2), days, looked: t(from) }
}

pub(super) fn frontier_item(seq: u64) -> FrontierItem {
    FrontierItem {
        seq,
        head: (seq > 0).then(|| EntryId::new([1; 32])),
        ranges: vec![SeqRange { from: seq + 2, through: seq + 3 }],
        ends: Vec::new(),
    }
}

pub(super) fn frontier(seq: u64) -> Frontier {
    let mut frontier = Frontier::default();
    frontier.set(device(1), frontier_item(seq));
    frontier
}

pub(super) fn acknowledgement(conversation: u8, by: u8, counter: u64) -> Acknowledgement {
    let fields = AcknowledgementFields {
        conversation: self::conversation(conversation),
        device: device(by),
        counter,
        delivered: frontier(counter),
        read: Frontier::default(),
        at: t(8),
        authors: Authors::default(),
    };
    Acknowledgement::issue(&device_key(by), fields)
}

pub(super) fn acknowledged(n: u64) -> Acknowledged {
    let (delivered, read) = (frontier(n.min(99)), frontier(n / 2 % 9));
    Acknowledged { delivered, read, next: (!n.is_multiple_of(2)).then_some(n) }
}

pub(super) fn acknowledged_by(conversation: u8, by: u8) -> AcknowledgedBy {
    let (conversation, device) = (self::conversation(conversation), device(by));
    AcknowledgedBy { conversation, device, author: self::device(1), read: by.is_multiple_of(2) }
}

pub(super) fn own_receipts(counter: u64, due: bool, own_due: bool) -> OwnReceipts {
    OwnReceipts { counter, read: frontier(counter), due, own_due }
}

pub(super) fn delivery(n: u8, conversation: u8, seq: u64, tick: Tick) -> Delivery {
    Delivery {
        entry: EntryId::new([n; 32]),
        conversation: self::conversation(conversation),
        seq,
        sealed: true,
        tick,
        failed: None,
    }
}

pub(super) fn pending(not_before: u64) -> OutboxState {
    OutboxState::Pending { attempts: 3, not_before: t(not_before) }
}

pub(super) fn custody(held_until: u64) -> OutboxState {
    OutboxState::Custody { relay: relay(1), held_until: t(held_until) }
}

/// One of each kind, all about the same bytes.
pub(super) fn purposes(subject: u8) -> [Purpose; 12] {
    let (entry, user) = (EntryId::new([subject; 32]), UserId::new([subject; 32]));
    let device = DeviceId::new([subject; 32]);
    [
        Purpose::Entry(entry),
        Purpose::Key(entry),
        Purpose::Acknowledgement(conversation(subject)),
        Purpose::Introduction(user),
        Purpose::Retry(user),
        Purpose::OwnEntry(entry),
        Purpose::OwnKey(entry),
        Purpose::OwnAcknowledgement(conversation(subject)),
        Purpose::History(conversation(subject)),
        Purpose::Link(device),
        Purpose::DeviceList(user),
        Purpose::Group(conversation(subject)),
    ]
}

/// An item for one device of each user 0, 1 and so on.
pub(super) fn outbox_item(id: u64, purpose: Purpose, states: &[OutboxState]) -> OutboxItem {
    let recipients = (0..).zip(states);
    OutboxItem {
        id,
        group: u64::MAX,
        purpose,
        class: 1,
        payload: Bytes::from(vec![7; 300]),
        recipients: recipients
            .map(|(n, state)| OutboxRecipient { device: device(n), user: user(n), state: *state })
            .collect(),
        created: t(6),
    }
}

pub(super) fn quarantined(n: u8, received: u64) -> Quarantined {
    Quarantined { hash: payload_hash(n), payload: Bytes::from(vec![n; 3]), received: t(received) }
}
