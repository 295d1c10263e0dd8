//! What is left of a world that does not hold when all is taken away that it does not need: a capsule to keep.

use std::fmt;
use std::time::{Duration, Instant};

use super::failed::Failed;
use super::scenario::{Scenario, WorldOptions};
use super::world::{TROUBLE, World};

/// Shorter trouble than this tells nothing more.
const TROUBLE_S_MIN: u64 = 10;

/// A world in which something does not hold, as small as it could be made.
#[derive(Debug)]
pub struct Capsule {
    /// The seed of the world as it was found, and what did not hold there.
    found: (u64, Failed),
    scenario: Scenario,
    failed: Failed,
    tried: u32,
}

impl Capsule {
    /// Makes the world of `options`, in which `failed` was found, smaller as long as the same check fails: fewer kinds
    /// of faults, fewer users and devices, less time. Takes no more than `budget`, and one world more.
    pub fn shrink(options: WorldOptions, failed: Failed, budget: Duration) -> Self {
        let mut shrinking = Shrinking {
            end: Instant::now() + budget,
            best: World::made_explicit(options),
            failed: failed.clone(),
            tried: 0,
        };
        // What is explicit must be the same world; else it is kept as it was found.
        if !shrinking.try_one(shrinking.best) {
            shrinking.best = options;
        }
        while shrinking.round() {}
        if let Err(traced) = World::traced(shrinking.best) {
            shrinking.failed = traced;
        }
        let Shrinking { best: world, failed: last, tried, .. } = shrinking;
        let name = format!("seed_{}", options.seed);
        let about = last.headline().chars().filter(|c| *c != '"').take(120).collect();
        let scenario = Scenario { name, about, world };
        Self { found: (options.seed, failed), scenario, failed: last, tried }
    }

    /// As it may stand in `tests/scenarios`.
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }
}

impl fmt::Display for Capsule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seed, found) = &self.found;
        let name = &self.scenario.name;
        writeln!(f, "seed {seed} does not hold: {found}")?;
        writeln!(f, "\n--- smaller, after {} worlds; tests/scenarios/{name}.toml:", self.tried)?;
        writeln!(f, "{}---", self.scenario.to_toml())?;
        writeln!(f, "there: {}: {}", format_args!("{:?}", self.failed.check()), self.failed.headline())?;
        writeln!(f, "\nwhat happened last:")?;
        for line in &self.failed.trace {
            writeln!(f, "{line}")?;
        }
        let test = "cargo test -p undertone-tests --test simulation";
        let several = if self.scenario.world.relays.is_some() { " RELAYS=1" } else { "" };
        writeln!(f, "\nreplay as found: SEED={seed}{several} {test} one_seed -- --nocapture")?;
        write!(f, "replay the file: SCENARIO={name} {test} one_scenario -- --nocapture")
    }
}

struct Shrinking {
    end: Instant,
    best: WorldOptions,
    failed: Failed,
    tried: u32,
}

impl Shrinking {
    /// Tries everything once; says whether anything was taken away, and there is time for more.
    fn round(&mut self) -> bool {
        let before = self.best;
        while self.shorter() {}
        for users in 2..self.best.users.unwrap_or(0) {
            if self.try_one(WorldOptions { users: Some(users), ..self.best }) {
                break;
            }
        }
        for relays in 1..self.best.relays.unwrap_or(1) {
            if self.try_one(WorldOptions { relays: Some(relays), ..self.best }) {
                break;
            }
        }
        for devices in 1..self.best.devices_max.unwrap_or(0) {
            if self.try_one(WorldOptions { devices_max: Some(devices), ..self.best }) {
                break;
            }
        }
        let kinds = self.best.faults.map(|faults| faults.without_one().len()).unwrap_or_default();
        // What is taken away moves the rest up, so it goes from the last to the first.
        for kind in (0..kinds).rev() {
            let fewer = self.best.faults.and_then(|faults| faults.without_one().get(kind).copied());
            if fewer.is_some() {
                self.try_one(WorldOptions { faults: fewer, ..self.best });
            }
        }
        self.best != before && Instant::now() < self.end
    }

    fn shorter(&mut self) -> bool {
        let trouble_s = self.best.trouble_s.unwrap_or(TROUBLE.as_secs()) / 2;
        trouble_s >= TROUBLE_S_MIN && self.try_one(WorldOptions { trouble_s: Some(trouble_s), ..self.best })
    }

    /// Keeps these options if the same check fails with them.
    fn try_one(&mut self, options: WorldOptions) -> bool {
        if Instant::now() >= self.end {
            return false;
        }
        self.tried += 1;
        match World::run(options) {
            Err(failed) if failed.check() == self.failed.check() => {
                (self.best, self.failed) = (options, failed);
                true
            }
            _ => false,
        }
    }
}
