use std::fmt;
use std::time::Duration;

use serde_json::{Map, Value};

/// The figures of one run, by name.
#[derive(Debug)]
pub(super) struct Report(Map<String, Value>);

impl Report {
    pub(super) fn new(mode: &str) -> Self {
        Self(Map::from_iter([("mode".to_owned(), Value::from(mode))]))
    }

    pub(super) fn count(&mut self, name: &str, count: u64) {
        self.0.insert(name.to_owned(), count.into());
    }

    /// To a thousandth.
    pub(super) fn number(&mut self, name: &str, number: f64) {
        self.0.insert(name.to_owned(), ((number * 1000.0).round() / 1000.0).into());
    }

    pub(super) fn json(&self) -> String {
        Value::Object(self.0.clone()).to_string()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, value)| writeln!(f, "{name:<34} {value}"))
    }
}

/// Microseconds for each of `count`.
pub(super) fn per(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}

/// The median and the 99th percentile of how long many things took, in microseconds; `before` stands before the names.
pub(super) fn percentiles(before: &str, mut latencies_us: Vec<u64>, report: &mut Report) {
    latencies_us.sort_unstable();
    for (name, percent) in [("p50_ms", 50), ("p99_ms", 99)] {
        let place = latencies_us.len().saturating_sub(1) * percent / 100;
        if let Some(micros) = latencies_us.get(place) {
            report.number(&format!("{before}{name}"), *micros as f64 / 1e3);
        }
    }
}
