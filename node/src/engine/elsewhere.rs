//! How far messages have come that the user wrote on another device. How far they were shown to have come is kept, so that
//! they show no less later, whoever turns out to be in.

use undertone_protocol::entry::EntryHeader;
use undertone_protocol::ids::{ConversationId, DeviceId, UserId};
use undertone_protocol::log::{Frontier, FrontierItem, SeqRange};
use undertone_protocol::receipts::{AcknowledgementFields, Tick};

use super::circle::Circle;
use super::context::Context;
use super::{acknowledged, membership, own};
use crate::event::Event;
use crate::log;
use crate::store::{Acknowledged, StoreError, StoredEntry};

/// Of messages written on other devices, as many ticks are told at a time, the last ones.
pub(super) const TICKS_TOLD: usize = 64;

/// How far a message has come that the user wrote on another device: by what that one and the others' devices signed.
pub(super) fn tick(ctx: &Context<'_>, circle: &Circle, header: &EntryHeader) -> Result<Tick, StoreError> {
    let said = Said::of(ctx, circle, (&header.conversation, &header.device), None)?;
    let shown = shown(ctx, &header.conversation)?;
    Ok(said.tick(ctx, circle, header).max(acknowledged::tick(&shown, header)))
}

/// Whether somebody else has a message, or read it, that the user wrote on another device.
pub(super) fn somebody_has(
    ctx: &Context<'_>,
    circle: &Circle,
    header: &EntryHeader,
) -> Result<bool, StoreError> {
    let said = Said::of(ctx, circle, (&header.conversation, &header.device), None)?;
    let mut devices = said.others.iter().flat_map(|(_, devices)| devices);
    Ok(devices.any(|said| said.iter().any(|item| item.covers(header.seq))))
}

/// Tells of messages that the user wrote on other devices and that have come further by what a contact's device says.
pub(super) fn told(
    ctx: &mut Context<'_>,
    circle: &Circle,
    before: &Acknowledged,
    after: &Acknowledged,
    said: &AcknowledgementFields,
) -> Result<(), StoreError> {
    for sibling in own::siblings(ctx) {
        let seq = |frontier: &Frontier| frontier.get(&sibling).map_or(0, |item| item.seq);
        let settled = seq(&before.delivered).min(seq(&before.read));
        let through = seq(&after.delivered).max(seq(&after.read));
        let newly = through.saturating_sub(settled).min(TICKS_TOLD as u64);
        let from = through.saturating_sub(newly).saturating_add(1);
        let entries = ctx.tx.entries_of(&said.conversation, &sibling, from, TICKS_TOLD)?;
        tell(ctx, circle, (&said.conversation, &sibling), entries, Some((&said.device, before)))?;
    }
    Ok(())
}

/// The members are others than before: what waited for one who is gone may be everywhere now.
pub(super) fn look_again(
    ctx: &mut Context<'_>,
    circle: &Circle,
    conversation: &ConversationId,
) -> Result<(), StoreError> {
    // Whoever is out knows of no members.
    if !circle.is_open() {
        return Ok(());
    }
    for sibling in own::siblings(ctx) {
        let last = log::frontier_of(ctx.tx, conversation, &sibling)?.last();
        let from = last.saturating_sub(TICKS_TOLD as u64).saturating_add(1);
        let entries = ctx.tx.entries_of(conversation, &sibling, from, TICKS_TOLD)?;
        tell(ctx, circle, (conversation, &sibling), entries, None)?;
    }
    Ok(())
}

/// Tells of those of a device's messages that have come further: than was shown, and than what one of the others'
/// devices said before told.
fn tell(
    ctx: &mut Context<'_>,
    circle: &Circle,
    which: (&ConversationId, &DeviceId),
    mut entries: Vec<StoredEntry>,
    instead: Option<(&DeviceId, &Acknowledged)>,
) -> Result<(), StoreError> {
    let (conversation, author) = which;
    let mut shown = shown(ctx, conversation)?;
    entries.retain(|stored| acknowledged::tick(&shown, &stored.entry.header) < Tick::Read);
    if entries.is_empty() {
        return Ok(());
    }
    let now = Said::of(ctx, circle, which, None)?;
    let before = instead.map(|instead| Said::of(ctx, circle, which, Some(instead))).transpose()?;
    let mut is_news = false;
    for stored in entries {
        let header = &stored.entry.header;
        let tick = now.tick(ctx, circle, header);
        let was = before.as_ref().map_or(Tick::Queued, |before| before.tick(ctx, circle, header));
        if tick < Tick::Delivered
            || tick <= was.max(acknowledged::tick(&shown, header))
            || !log::counts(ctx.tx, &stored)?
        {
            continue;
        }
        let frontier = if tick == Tick::Read { &mut shown.read } else { &mut shown.delivered };
        cover(frontier, author, header.seq);
        is_news = true;
        ctx.events.push(Event::Tick {
            contact: circle.name(),
            id: stored.entry.id.to_hex(),
            state: tick.as_str().to_owned(),
            failed: None,
        });
    }
    if is_news {
        ctx.tx.put_acknowledged(conversation, &ctx.me.device, &shown)?;
    }
    Ok(())
}

/// How far messages were shown to have come that the user wrote on other devices. It stands where of others stands what
/// they acknowledged: this device acknowledges nothing to itself.
fn shown(ctx: &Context<'_>, conversation: &ConversationId) -> Result<Acknowledged, StoreError> {
    Ok(ctx.tx.acknowledged(conversation, &ctx.me.device)?.unwrap_or_default())
}

/// Adds a number. Where there are too many gaps, what came first is forgotten.
fn cover(frontier: &mut Frontier, author: &DeviceId, seq: u64) {
    let one = FrontierItem { ranges: vec![SeqRange { from: seq, through: seq }], ..FrontierItem::default() };
    frontier.merge_item(*author, &one);
    if !frontier.covers(author, seq)
        && let Some(mut item) = frontier.get(author).cloned()
    {
        item.ranges.drain(..1.min(item.ranges.len()));
        frontier.set(*author, item);
        frontier.merge_item(*author, &one);
    }
}

/// What is known of the messages of one of the user's other devices.
struct Said {
    is_account: bool,
    /// Which relays have, by that device's word.
    in_custody: FrontierItem,
    /// What each of the others' devices has, and has read.
    others: Vec<(UserId, Vec<[FrontierItem; 2]>)>,
}

impl Said {
    /// `instead`: of one of the others' devices, what else it said.
    fn of(
        ctx: &Context<'_>,
        circle: &Circle,
        (conversation, author): (&ConversationId, &DeviceId),
        instead: Option<(&DeviceId, &Acknowledged)>,
    ) -> Result<Self, StoreError> {
        let item = |frontier: &Frontier| frontier.get(author).cloned().unwrap_or_default();
        let own = acknowledged::of(ctx.tx, conversation, author)?;
        let mut others = Vec::new();
        for user in circle.users(ctx) {
            let person = ctx.tx.contact(&user)?;
            let listed = person.iter().flat_map(|person| &person.device_list).flat_map(|list| &list.devices);
            let mut devices = Vec::new();
            for device in listed.map(|listed| &listed.certificate.device) {
                let ever = match instead.filter(|(which, _)| *which == device) {
                    Some((_, ever)) => ever.clone(),
                    None => acknowledged::of(ctx.tx, conversation, device)?,
                };
                devices.push([item(&ever.delivered), item(&ever.read)]);
            }
            others.push((user, devices));
        }
        Ok(Self { is_account: circle.is_account(ctx), in_custody: item(&own.delivered), others })
    }

    /// How far a message has come: as far as with the one with whom it came the least far.
    fn tick(&self, ctx: &Context<'_>, circle: &Circle, header: &EntryHeader) -> Tick {
        let floor = match (self.is_account, self.in_custody.covers(header.seq)) {
            (true, _) => return Tick::Read,
            (false, true) => Tick::Sent,
            (false, false) => Tick::Queued,
        };
        // In a group there may be nobody whom it waits for.
        let mut least = Tick::Read;
        for (user, devices) in &self.others {
            let any = |which: fn(&[FrontierItem; 2]) -> &FrontierItem| {
                devices.iter().any(|said| which(said).covers(header.seq))
            };
            let tick = match (any(|[_, read]| read), any(|[delivered, _]| delivered)) {
                (true, _) => Tick::Read,
                (false, true) => Tick::Delivered,
                (false, false) => Tick::Queued,
            };
            // It waits for nobody who came in later.
            if tick < least && membership::waits_for(ctx, circle, user, header) {
                least = tick;
            }
        }
        floor.max(least)
    }
}
