//! The simulated world over many seeds, and the worlds of `tests/scenarios`.
//! `SEED=n RUST_LOG=undertone=debug cargo test -p undertone-tests --test simulation one_seed -- --nocapture` replays a seed, with `RELAYS=1` the world of several relays,
//! `SCENARIO=name … one_scenario …` a scenario. What does not hold prints a capsule: a smaller world to keep as a scenario.

#![expect(clippy::panic, reason = "a test may panic")]

use std::time::{Duration, Instant};

use undertone_tests::simulation::{
    Capsule, CryptoKind, Failed, Faults, Report, Scenario, World, WorldOptions, explore,
};

/// The worlds allocate a lot, and small: with the system's allocator they take an eighth longer.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SEEDS: u64 = 2_000;
const SEEDS_WITH_RELAYS: u64 = 400;
/// How long a world that does not hold may take to be made smaller.
const SHRINK: Duration = Duration::from_secs(60);

fn run(options: WorldOptions) -> Report {
    let world = World::run(options);
    world.unwrap_or_else(|failed| panic!("{}", Capsule::shrink(options, failed, SHRINK)))
}

/// One seed in sixteen is a world on the real cryptography.
#[test]
fn many_troubled_worlds() {
    let begun = Instant::now();
    let explored =
        explore(0..SEEDS, 3, WorldOptions::of, |options, failed| println!("seed {}: {failed}", options.seed));
    let took = begun.elapsed().as_secs_f64();
    let total = explored.total;
    println!("{total:?}\n{took:.1} s, {:.1} worlds a second", (total.worlds as f64) / took);
    if let Some((options, failed)) = explored.failed.first() {
        panic!("{}", Capsule::shrink(*options, failed.clone(), SHRINK));
    }
    // Worlds in which nothing happens would prove nothing.
    assert_eq!(total.worlds, SEEDS);
    assert!(total.users > 2_000 && total.devices > 4_000 && total.revoked > 100, "{total:?}");
    assert!(total.pairs > 1_500 && total.messages > 24_000, "{total:?}");
    assert!(total.crashes > 50_000 && total.dropped > 20_000 && total.doubled > 50_000, "{total:?}");
    assert!(total.wedged > 400 && total.blocked > 1_000 && total.failed > 2_000, "{total:?}");
    assert!(total.drained > 600 && total.full > 20_000 && total.gaps > 250, "{total:?}");
    assert!(total.withheld > 1_000 && total.replayed > 1_000 && total.shuffled > 1_000, "{total:?}");
    assert!(total.corrupted > 1_000 && total.hostile > 80, "{total:?}");
    assert!(total.cheated_groups > 80 && total.cheats_in > 25 && total.cheats_forked > 20, "{total:?}");
    assert!(total.groups > 180 && total.operations > 600 && total.group_messages > 8_000, "{total:?}");
    assert!(total.vanished > 150 && total.skewed > 300, "{total:?}");
}

/// Invariants 1, 5, 6 and 10: any one of a device's home relays may die.
#[test]
fn many_worlds_with_several_relays() {
    let failed = |options: &WorldOptions, failed: &Failed| println!("seed {}: {failed}", options.seed);
    let options = |seed| WorldOptions::of(seed).with_relays();
    let explored = explore(0..SEEDS_WITH_RELAYS, 3, options, failed);
    let total = explored.total;
    println!("{total:?}");
    if let Some((options, failed)) = explored.failed.first() {
        panic!("{}", Capsule::shrink(*options, failed.clone(), SHRINK));
    }
    assert_eq!(total.worlds, SEEDS_WITH_RELAYS);
    assert!(
        total.relays_lost > 200
            && total.relays_restored > 40
            && total.partitions > 600
            && total.outages > 300,
        "{total:?}"
    );
    assert!(total.moves > 200 && total.forwarded > 2_000 && total.forward_lies > 1_000, "{total:?}");
}

/// The worlds that something was found in once, each with what it was.
#[test]
fn scenarios() {
    let scenarios = Scenario::all().unwrap_or_else(|failed| panic!("{failed}"));
    assert!(scenarios.len() >= 20, "only {} scenarios", scenarios.len());
    for Scenario { name, about, world } in scenarios {
        if let Err(failed) = World::run(world) {
            panic!("{name}: {about}\n{}", Capsule::shrink(world, failed, SHRINK));
        }
    }
}

#[test]
fn a_quiet_world_loses_nothing() {
    let report = run(WorldOptions { faults: Some(Faults::NONE), ..WorldOptions::of(1) });
    assert_eq!((report.crashes, report.dropped, report.doubled, report.failed), (0, 0, 0, 0));
    assert!(report.messages >= 10);
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let troubled = WorldOptions::of(8);
    assert_eq!(troubled.crypto, CryptoKind::Model);
    assert_eq!(run(troubled), run(troubled));
}

/// A world is the same when all is told that its seed decides at the beginning: else no capsule would replay.
#[test]
fn a_capsule_gives_the_same_world() {
    for seed in [8, 9, 10] {
        let options = WorldOptions { crypto: CryptoKind::Model, ..WorldOptions::of(seed) };
        assert_eq!(run(World::made_explicit(options)), run(options), "seed {seed}");
    }
}

#[test]
fn one_seed() {
    log();
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(8);
    let options = WorldOptions::of(seed);
    let options = if std::env::var_os("RELAYS").is_some() { options.with_relays() } else { options };
    println!("{:?}", run(options));
}

/// That of `SCENARIO`, a name in `tests/scenarios`; the first one without.
#[test]
fn one_scenario() {
    log();
    let scenarios = Scenario::all().unwrap_or_else(|failed| panic!("{failed}"));
    let wanted = std::env::var("SCENARIO").ok();
    let is_wanted = |scenario: &&Scenario| wanted.as_ref().is_none_or(|wanted| *wanted == scenario.name);
    let scenario = scenarios.iter().find(is_wanted).unwrap();
    println!("{}: {:?}", scenario.name, run(scenario.world));
}

fn log() {
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    // Another test of this binary may have done it.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).without_time().try_init();
}
