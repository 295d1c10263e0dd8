//! How quickly something was answered of late.

use std::time::Duration;

use undertone_protocol::time::Timestamp;

/// How quickly something was answered is forgotten after a while.
const LIFE: Duration = Duration::from_secs(600);

/// How long answers took, the later the more, and when the last came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Latency(Option<(Duration, Timestamp)>);

impl Latency {
    /// One more answer came, after so long.
    pub(super) fn took(&mut self, took: Duration, now: Timestamp) {
        let smoothed = self.get(now).map_or(took, |before| (before * 3 + took) / 4);
        self.0 = Some((smoothed, now));
    }

    /// How long answers take, if that was seen of late.
    pub(super) fn get(&self, now: Timestamp) -> Option<Duration> {
        self.0.filter(|(_, measured)| now < measured.after(LIFE)).map(|(latency, _)| latency)
    }

    /// When the last came.
    pub(super) fn measured(&self) -> Option<Timestamp> {
        self.0.map(|(_, measured)| measured)
    }

    /// The clock was set back by so much.
    pub(super) fn set_back(&mut self, by: Duration) {
        if let Some((_, measured)) = &mut self.0 {
            *measured = measured.before(by);
        }
    }
}
