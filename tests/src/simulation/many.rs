use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::failed::Failed;
use super::world::{Report, World, WorldOptions};

/// What many worlds went through together.
#[derive(Debug, Default)]
pub struct Summary {
    /// Worlds.
    pub worlds: u64,
    /// The sum of all reports.
    pub total: Report,
    /// Seeds whose world broke, and how, by seed.
    pub failed: Vec<(u64, Failed)>,
}

impl Summary {
    fn add(&mut self, seed: u64, result: Result<Report, Failed>) {
        self.worlds += 1;
        match result {
            Ok(report) => self.total.add(&report),
            Err(failed) => self.failed.push((seed, failed)),
        }
    }
}

/// Runs a world for each seed, on all processors: worlds know nothing of each other.
pub fn run_many(seeds: Range<u64>, real_crypto: bool) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let summary = Mutex::new(Summary::default());
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let result = World::run(WorldOptions { seed, faults: None, real_crypto });
            summary.lock().unwrap_or_else(PoisonError::into_inner).add(seed, result);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, Into::into) {
            scope.spawn(work);
        }
    });
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.failed.sort_by_key(|(seed, _)| *seed);
    summary
}
