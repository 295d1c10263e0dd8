//! What a device's steps cost, and what it sends.

use std::collections::BTreeMap;
use std::time::Duration;

use prost::Message;
use rustix::time::{ClockId, clock_gettime};
use undertone_protocol::crypto::{PayloadKind, classify};
use undertone_protocol::wire::{Frame, PublishItem, frame::Body};

/// One device's costs since they were last taken.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// By what the step was given.
    pub(super) steps: BTreeMap<&'static str, Steps>,
    pub(super) publishes: u64,
    /// Bytes of the frames that published, before Noise.
    pub(super) published_bytes: u64,
    /// Bytes of all other frames that went.
    pub(super) other_bytes: u64,
    /// Bytes of all frames that came.
    pub(super) received_bytes: u64,
    /// What was published, by kind.
    pub(super) items: BTreeMap<&'static str, Items>,
    /// Bundles that were asked for.
    pub(super) bundles: u64,
}

/// Steps of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Steps {
    pub(super) count: u64,
    pub(super) cpu: Duration,
    pub(super) cpu_max: Duration,
}

/// Published items of one kind.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Items {
    pub(super) count: u64,
    pub(super) recipients: u64,
    pub(super) payload_bytes: u64,
}

/// A step that is under way.
pub(super) struct Began {
    cpu: Duration,
}

impl Began {
    pub(super) fn now() -> Self {
        Self { cpu: cpu() }
    }

    /// CPU time since then.
    pub(super) fn cpu(&self) -> Duration {
        cpu().saturating_sub(self.cpu)
    }
}

impl Meter {
    /// A step is over.
    pub(super) fn step(&mut self, what: &'static str, began: &Began) {
        let took = began.cpu();
        let steps = self.steps.entry(what).or_default();
        steps.count += 1;
        steps.cpu += took;
        steps.cpu_max = steps.cpu_max.max(took);
    }

    /// A frame goes out.
    pub(super) fn sends(&mut self, frame: &Frame) {
        let bytes = frame.encoded_len() as u64;
        match &frame.body {
            Some(Body::Publish(publish)) => {
                self.publishes += 1;
                self.published_bytes += bytes;
                publish.items.iter().for_each(|item| self.publishes(item));
            }
            Some(Body::GetBundle(_)) => {
                self.bundles += 1;
                self.other_bytes += bytes;
            }
            _ => self.other_bytes += bytes,
        }
    }

    fn publishes(&mut self, item: &PublishItem) {
        let kind = match classify(&item.payload) {
            _ if item.class == 1 => "acknowledgement",
            Ok(PayloadKind::Opening { .. }) => "opening",
            Ok(PayloadKind::Channel { .. }) => "pairwise",
            Ok(PayloadKind::Message { .. }) => "message",
            _ => "other",
        };
        let items = self.items.entry(kind).or_default();
        items.count += 1;
        items.payload_bytes += item.payload.len() as u64;
        items.recipients += recipients(item) as u64;
    }

    /// A frame came.
    pub(super) fn receives(&mut self, frame: &Frame) {
        self.received_bytes += frame.encoded_len() as u64;
    }

    /// CPU time of all steps.
    pub(super) fn cpu(&self) -> Duration {
        self.steps.values().map(|steps| steps.cpu).sum()
    }

    /// The step that took the most CPU time, and how much.
    pub(super) fn worst(&self) -> (&'static str, Duration) {
        let worst = self.steps.iter().max_by_key(|(_, steps)| steps.cpu_max);
        worst.map_or(("", Duration::ZERO), |(what, steps)| (what, steps.cpu_max))
    }
}

/// For how many mailboxes an item is.
fn recipients(item: &PublishItem) -> usize {
    use undertone_protocol::wire::route::Kind;
    match item.route.as_ref().and_then(|route| route.kind.as_ref()) {
        Some(Kind::Open(open)) => open.recipients.len(),
        None => 0,
    }
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(now.tv_sec), u32::try_from(now.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}
