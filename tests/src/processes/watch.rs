use anyhow::{Context, ensure};
use undertone::event::Event;

use super::program::Running;

/// What a node tells, as it happens.
#[derive(Debug)]
pub struct Watch(Running);

impl Watch {
    /// Waits until a `watch --json` that was just started watches.
    pub(super) fn begin(mut process: Running) -> anyhow::Result<Self> {
        let line = process.line()?;
        ensure!(line == r#"{"event":"watching"}"#, "watch begins with {line}");
        Ok(Self(process))
    }

    /// Takes events until one is what is waited for. An error if the node ends, or tells nothing for
    /// [`WAIT_MAX`](super::WAIT_MAX).
    pub fn until<T>(&mut self, what: &str, mut wanted: impl FnMut(&Event) -> Option<T>) -> anyhow::Result<T> {
        loop {
            let line = self.0.line().with_context(|| format!("while waiting until {what}"))?;
            if let Some(found) = wanted(&parse(&line)?) {
                return Ok(found);
            }
        }
    }

    /// The events that were told already, and not taken yet.
    pub fn so_far(&mut self) -> anyhow::Result<Vec<Event>> {
        self.0.lines_so_far().iter().map(|line| parse(line)).collect()
    }
}

fn parse(line: &str) -> anyhow::Result<Event> {
    serde_json::from_str(line).with_context(|| format!("`{line}` is no event"))
}
