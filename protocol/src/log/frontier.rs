use std::collections::BTreeMap;

use crate::codec::Malformed;
use crate::ids::{DeviceId, EntryId};
use crate::limits::{FRONTIER_DEVICES_MAX, FRONTIER_RANGES_MAX};
use crate::wire;

/// What somebody holds of a conversation: per device the highest sequence number without a gap, and a
/// few ranges beyond it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    items: BTreeMap<DeviceId, FrontierItem>,
}

/// What is held of one device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FrontierItem {
    /// The highest sequence number without a gap; 0: the first is missing.
    pub seq: u64,
    /// The entry with that number; `None` for 0.
    pub head: Option<EntryId>,
    /// Held beyond a gap: ascending, apart, at most 32.
    pub ranges: Vec<SeqRange>,
    /// The entry with which each range ends, which stands on all others in it; empty where they are not known.
    pub ends: Vec<EntryId>,
}

/// Sequence numbers, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeqRange {
    /// The first.
    pub from: u64,
    /// The last.
    pub through: u64,
}

impl Frontier {
    /// What is held of one device; `None`: nothing.
    pub fn get(&self, device: &DeviceId) -> Option<&FrontierItem> {
        self.items.get(device)
    }

    /// Whether it may say something of a device: it does, or names fewer than it may.
    pub fn has_room(&self, device: &DeviceId) -> bool {
        self.items.contains_key(device) || self.items.len() < FRONTIER_DEVICES_MAX
    }

    /// Sets what is held of one device.
    pub fn set(&mut self, device: DeviceId, item: FrontierItem) {
        self.items.insert(device, item);
    }

    /// All devices, in order of their ids.
    pub fn items(&self) -> impl Iterator<Item = (&DeviceId, &FrontierItem)> {
        self.items.iter()
    }

    /// Whether the entry `seq` of `device` is held.
    pub fn covers(&self, device: &DeviceId, seq: u64) -> bool {
        self.items.get(device).is_some_and(|item| item.covers(seq))
    }

    /// Takes in what another frontier covers beyond this one. Says whether that was anything.
    pub fn merge(&mut self, other: &Self) -> bool {
        let mut changed = false;
        for (device, item) in &other.items {
            changed |= self.merge_item(*device, item);
        }
        changed
    }

    /// Takes in what is held of one device beyond this. Says whether that was anything.
    pub fn merge_item(&mut self, device: DeviceId, item: &FrontierItem) -> bool {
        let own = self.items.entry(device).or_default();
        let merged = own.merged(item);
        let changed = merged != *own;
        *own = merged;
        changed
    }

    /// Forgets the devices that something does not hold for.
    pub fn retain(&mut self, mut holds: impl FnMut(&DeviceId) -> bool) {
        self.items.retain(|device, _| holds(device));
    }

    /// How many entries are held.
    pub fn count(&self) -> u64 {
        self.items.values().fold(0, |count, item| count.saturating_add(item.count()))
    }

    /// Checks the form.
    pub fn from_wire(frontier: wire::Frontier) -> Result<Self, Malformed> {
        if frontier.items.len() > FRONTIER_DEVICES_MAX {
            return Err(Malformed::new("frontier", "more than 4,096 devices"));
        }
        let mut items = BTreeMap::new();
        for item in frontier.items {
            let device = DeviceId::from_slice(&item.device)?;
            if items.insert(device, FrontierItem::from_wire(item)?).is_some() {
                return Err(Malformed::new("frontier", "a device stands in it twice"));
            }
        }
        Ok(Self { items })
    }

    /// For the wire.
    pub fn to_wire(&self) -> wire::Frontier {
        wire::Frontier { items: self.items.iter().map(|(device, item)| item.to_wire(device)).collect() }
    }
}

impl FrontierItem {
    /// Whether `seq` is held.
    pub fn covers(&self, seq: u64) -> bool {
        (1..=self.seq).contains(&seq)
            || self.ranges.iter().any(|range| (range.from..=range.through).contains(&seq))
    }

    /// How many entries are held.
    pub fn count(&self) -> u64 {
        let beyond =
            self.ranges.iter().map(|range| range.through.saturating_sub(range.from).saturating_add(1));
        beyond.fold(self.seq, u64::saturating_add)
    }

    /// The one that reaches further without a gap, with the ranges of both that lie beyond. A range that follows it at
    /// once stays one, as no head is known for its end; what the ranges have no room for is left out.
    fn merged(&self, other: &Self) -> Self {
        let longer = if other.seq > self.seq { other } else { self };
        let first = longer.seq.saturating_add(1);
        let trimmed = |range: &SeqRange| SeqRange { from: range.from.max(first), through: range.through };
        let mut beyond: Vec<SeqRange> = self.ranges.iter().chain(&other.ranges).map(trimmed).collect();
        beyond.retain(|range| range.from <= range.through);
        beyond.sort_by_key(|range| range.from);
        let mut ranges: Vec<SeqRange> = Vec::with_capacity(beyond.len());
        for range in beyond {
            match ranges.last_mut() {
                Some(last) if range.from <= last.through.saturating_add(1) => {
                    last.through = last.through.max(range.through);
                }
                _ => ranges.push(range),
            }
        }
        ranges.truncate(FRONTIER_RANGES_MAX);
        Self { seq: longer.seq, head: longer.head, ranges, ends: Vec::new() }
    }

    /// What is held, ascending, without the gaps.
    fn runs(&self) -> impl Iterator<Item = SeqRange> + '_ {
        let first = (self.seq > 0).then_some(SeqRange { from: 1, through: self.seq });
        first.into_iter().chain(self.ranges.iter().copied())
    }

    /// The first numbers from `from` on that are not held, through the last before one that is; `None`: all are.
    pub fn gap(&self, from: u64) -> Option<SeqRange> {
        let mut gap = SeqRange { from: from.max(1), through: u64::MAX };
        for run in self.runs().filter(|run| run.through >= from) {
            if run.from > gap.from {
                gap.through = run.from.saturating_sub(1);
                break;
            }
            gap.from = run.through.checked_add(1)?;
        }
        Some(gap)
    }

    /// What this one covers and another does not, ascending.
    pub fn beyond(&self, other: &Self) -> Vec<SeqRange> {
        let mut beyond = Vec::new();
        for run in self.runs() {
            let mut from = Some(run.from);
            while let Some(gap) = from.and_then(|from| other.gap(from)).filter(|gap| gap.from <= run.through)
            {
                let through = gap.through.min(run.through);
                beyond.push(SeqRange { from: gap.from, through });
                from = through.checked_add(1);
            }
        }
        beyond
    }

    /// Entries that are said to be held, by their numbers.
    pub fn named(&self) -> impl Iterator<Item = (u64, EntryId)> + '_ {
        let ends = self.ranges.iter().zip(&self.ends).map(|(range, end)| (range.through, *end));
        self.head.map(|head| (self.seq, head)).into_iter().chain(ends)
    }

    /// The part of it up to a number, of which `id` is the entry.
    #[must_use]
    pub fn until(&self, number: u64, id: EntryId) -> Self {
        if number < self.seq {
            return Self { seq: number, head: (number > 0).then_some(id), ..Self::default() };
        }
        let cut = |range: &SeqRange| SeqRange { from: range.from, through: range.through.min(number) };
        let ranges = self.ranges.iter().filter(|range| range.from <= number).map(cut).collect();
        Self { seq: self.seq, head: self.head, ranges, ends: Vec::new() }
    }

    /// The highest number that is held.
    pub fn last(&self) -> u64 {
        self.ranges.last().map_or(self.seq, |range| range.through)
    }

    pub(super) fn from_wire(item: wire::FrontierItem) -> Result<Self, Malformed> {
        let bad = |why: &str| Err(Malformed::new("frontier", why));
        if item.ranges.len() > FRONTIER_RANGES_MAX {
            return bad("more than 32 ranges");
        }
        if (item.seq == 0) != item.head.is_empty() {
            return bad("the head must be there for every number but 0");
        }
        let head = (!item.head.is_empty()).then(|| EntryId::from_slice(&item.head)).transpose()?;
        let mut ranges = Vec::with_capacity(item.ranges.len());
        let mut first = item.seq.checked_add(1);
        for range in item.ranges {
            if first.is_none_or(|first| range.from < first) || range.through < range.from {
                return bad("ranges must ascend, with gaps between them");
            }
            first = range.through.checked_add(2);
            ranges.push(SeqRange { from: range.from, through: range.through });
        }
        if !item.ends.is_empty() && item.ends.len() != ranges.len() {
            return bad("there must be as many ends as ranges, or none");
        }
        let ends = item.ends.iter().map(|end| EntryId::from_slice(end)).collect::<Result<_, _>>()?;
        Ok(Self { seq: item.seq, head, ranges, ends })
    }

    pub(super) fn to_wire(&self, device: &DeviceId) -> wire::FrontierItem {
        wire::FrontierItem {
            device: device.to_wire(),
            seq: self.seq,
            head: self.head.map(|id| id.to_wire()).unwrap_or_default(),
            ranges: self
                .ranges
                .iter()
                .map(|range| wire::Range { from: range.from, through: range.through })
                .collect(),
            ends: self.ends.iter().map(EntryId::to_wire).collect(),
        }
    }
}
