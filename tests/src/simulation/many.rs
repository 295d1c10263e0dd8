use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::failed::Failed;
use super::report::Report;
use super::scenario::WorldOptions;
use super::world::World;

/// No world takes so long but one that hangs.
const WORLD_MAX: Duration = Duration::from_secs(120);

/// What became of many worlds.
#[derive(Debug, Default)]
pub struct Explored {
    /// All that held, added up.
    pub total: Report,
    /// Worlds where something did not hold, in order of their seeds.
    pub failed: Vec<(WorldOptions, Failed)>,
}

/// Runs the world that `options` makes of each seed, on all processors and about in this order. `failed` is called at once, in any order, for each world
/// where something does not hold; after as many as `failures_max` no other world is begun.
pub fn explore(
    seeds: impl Iterator<Item = u64> + Send,
    failures_max: usize,
    options: impl Fn(u64) -> WorldOptions + Sync,
    failed: impl Fn(&WorldOptions, &Failed) + Sync,
) -> Explored {
    let seeds = Mutex::new(seeds);
    let next = || seeds.lock().unwrap_or_else(PoisonError::into_inner).next();
    let failures = AtomicU64::new(0);
    let enough = u64::try_from(failures_max).unwrap_or(u64::MAX);
    let work = || {
        let mut explored = Explored::default();
        while failures.load(Ordering::Relaxed) < enough
            && let Some(seed) = next()
        {
            let options = options(seed);
            let _watched = Watched::world(seed);
            match World::run(options) {
                Ok(report) => explored.total += report,
                Err(error) => {
                    failures.fetch_add(1, Ordering::Relaxed);
                    failed(&options, &error);
                    explored.failed.push((options, error));
                }
            }
        }
        explored
    };
    let mut all = Explored::default();
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for thread in running {
            let explored = thread.join().unwrap_or_else(|panic| resume_unwind(panic));
            all.total += explored.total;
            all.failed.extend(explored.failed);
        }
    });
    all.failed.sort_by_key(|(options, _)| options.seed);
    all
}

/// Says which world it is that takes too long: one that hangs would never be named otherwise.
struct Watched {
    _over: SyncSender<()>,
}

impl Watched {
    fn world(seed: u64) -> Self {
        let (over, is_over) = sync_channel(0);
        thread::spawn(move || {
            if is_over.recv_timeout(WORLD_MAX) == Err(RecvTimeoutError::Timeout) {
                println!("seed {seed}: it takes longer than {WORLD_MAX:?}: does it hang?");
            }
        });
        Self { _over: over }
    }
}
