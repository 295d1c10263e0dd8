use std::collections::VecDeque;

use undertone_protocol::time::Timestamp;
use undertone_protocol::wire::{Frame, frame::Body};

/// The last lines are what tells: how many are kept.
const LINES_MAX: usize = 60;

/// What happened last in a world, in words. Costs nothing where nobody asks for it.
#[derive(Debug, Default)]
pub(super) struct Trace {
    on: bool,
    lines: VecDeque<String>,
}

impl Trace {
    pub(super) fn new(on: bool) -> Self {
        Self { on, lines: VecDeque::new() }
    }

    /// Notes what `line` says, with the time since the start.
    pub(super) fn note(&mut self, start: Timestamp, now: Timestamp, line: impl FnOnce() -> String) {
        if !self.on {
            return;
        }
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{:>10.3} s  {}", now.since(start).as_secs_f64(), line()));
    }

    pub(super) fn lines(self) -> Vec<String> {
        self.lines.into()
    }
}

/// What a frame is, and of what it tells.
pub(super) fn named(frame: &Frame) -> String {
    match &frame.body {
        Some(Body::Publish(publish)) => format!("publish of {} payloads", publish.items.len()),
        Some(Body::Deliver(deliver)) => {
            format!("delivery {} of class {}, {} bytes", deliver.seq, deliver.class, deliver.payload.len())
        }
        Some(Body::Ack(ack)) => format!("acknowledgement of class {} through {}", ack.class, ack.through),
        Some(body) => {
            let body = format!("{body:?}");
            body.split(['(', ' ', '{']).next().unwrap_or_default().to_lowercase()
        }
        None => "frame without a body".to_owned(),
    }
}
