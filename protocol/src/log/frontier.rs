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
            let own = self.items.entry(*device).or_default();
            let merged = own.merged(item);
            changed |= merged != *own;
            *own = merged;
        }
        changed
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
        Self { seq: longer.seq, head: longer.head, ranges }
    }

    /// The highest number that is held.
    pub fn last(&self) -> u64 {
        self.ranges.last().map_or(self.seq, |range| range.through)
    }

    fn from_wire(item: wire::FrontierItem) -> Result<Self, Malformed> {
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
        Ok(Self { seq: item.seq, head, ranges })
    }

    fn to_wire(&self, device: &DeviceId) -> wire::FrontierItem {
        wire::FrontierItem {
            device: device.to_wire(),
            seq: self.seq,
            head: self.head.map(|id| id.to_wire()).unwrap_or_default(),
            ranges: self
                .ranges
                .iter()
                .map(|range| wire::Range { from: range.from, through: range.through })
                .collect(),
        }
    }
}
