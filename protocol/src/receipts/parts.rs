use std::collections::BTreeSet;

use prost::Message;

use super::acknowledgement::{Acknowledgement, AcknowledgementFields};
use super::authors::Authors;
use crate::ids::DeviceId;
use crate::keys::DeviceKey;
use crate::limits::ACKNOWLEDGED_BYTES_MAX;
use crate::log::Frontier;

impl Acknowledgement {
    /// Signs an acknowledgement of all devices, or, where that is more than one may hold, several with consecutive counters,
    /// each of some of them.
    pub fn issue_all(key: &DeviceKey, fields: AcknowledgementFields) -> Vec<Self> {
        let frontiers = [&fields.delivered, &fields.read];
        if frontiers.iter().map(|frontier| bytes(frontier)).sum::<usize>() <= ACKNOWLEDGED_BYTES_MAX {
            return vec![Self::issue(key, fields)];
        }
        let mut after = None;
        let ends = ends(frontiers).into_iter().map(Some).chain([None]);
        let parts = (fields.counter..).zip(ends).map(|(counter, through)| {
            let authors = Authors { after, through };
            after = through;
            let [delivered, read] = frontiers.map(|frontier| authors.of(frontier));
            let AcknowledgementFields { conversation, device, at, .. } = fields;
            let part = AcknowledgementFields { conversation, device, counter, delivered, read, at, authors };
            Self::issue(key, part)
        });
        parts.collect()
    }
}

impl AcknowledgementFields {
    /// What a device's word comes to with what is known of it already; `None`: this one changes nothing. Of the devices of
    /// which a later one speaks it says all. A part that comes late takes nothing back: what it is of may have been said
    /// anew since.
    pub fn joined(&self, known: &Self) -> Option<Self> {
        if self.counter == known.counter || self.counter < known.counter && self.authors.are_all() {
            return None;
        }
        if self.authors.are_all() {
            return Some(self.clone());
        }
        let is_late = self.counter < known.counter;
        let mut joined = if is_late { known.clone() } else { Self { at: self.at, ..known.clone() } };
        joined.counter = self.counter.max(known.counter);
        joined.authors = Authors::default();
        for (of_both, said) in [(&mut joined.delivered, &self.delivered), (&mut joined.read, &self.read)] {
            if !is_late {
                of_both.retain(|device| !self.authors.contain(device));
            }
            for (device, item) in said.items() {
                if of_both.get(device).is_some() {
                    of_both.merge_item(*device, item);
                } else if of_both.has_room(device) {
                    of_both.set(*device, item.clone());
                }
            }
        }
        Some(joined)
    }
}

/// The last device of each part but the last one.
fn ends(frontiers: [&Frontier; 2]) -> Vec<DeviceId> {
    let named: BTreeSet<DeviceId> =
        frontiers.iter().flat_map(|frontier| frontier.items()).map(|(device, _)| *device).collect();
    let (mut ends, mut before, mut sum) = (Vec::new(), None, 0);
    for device in named {
        let more: usize = frontiers.iter().map(|frontier| bytes_of(frontier, device)).sum();
        if sum + more > ACKNOWLEDGED_BYTES_MAX {
            ends.extend(before);
            sum = 0;
        }
        sum += more;
        before = Some(device);
    }
    ends
}

fn bytes(frontier: &Frontier) -> usize {
    frontier.to_wire().encoded_len()
}

/// How much a frontier grows by what it says of a device.
fn bytes_of(frontier: &Frontier, device: DeviceId) -> usize {
    let mut alone = Frontier::default();
    if let Some(item) = frontier.get(&device) {
        alone.set(device, item.clone());
    }
    bytes(&alone)
}
