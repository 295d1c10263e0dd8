//! The simulated world over many seeds. `SEED=n RUST_LOG=undertone=debug cargo test -p undertone-tests --test simulation one_seed -- --nocapture`
//! replays one.

#![expect(clippy::panic, reason = "a test may panic")]

use undertone_tests::simulation::{Faults, REPLAY, Report, Summary, World, WorldOptions, run_many};

const SEEDS: u64 = 500;
const REAL_CRYPTO_SEEDS: u64 = 8;

fn run(seed: u64, faults: Option<Faults>, real_crypto: bool) -> Report {
    match World::run(WorldOptions { seed, faults, real_crypto }) {
        Ok(report) => report,
        Err(failed) => panic!("seed {seed}: {failed}\nreplay: SEED={seed} {REPLAY}"),
    }
}

fn all_well(summary: &Summary) {
    for (seed, failed) in &summary.failed {
        println!("seed {seed}: {failed}\nreplay: SEED={seed} {REPLAY}");
    }
    assert!(summary.failed.is_empty(), "{} of {} worlds failed", summary.failed.len(), summary.worlds);
}

#[test]
fn five_hundred_troubled_worlds() {
    let summary = run_many(0..SEEDS, false);
    println!("{} worlds: {:?}", summary.worlds, summary.total);
    all_well(&summary);
    // Worlds in which nothing happens would prove nothing.
    let Report { users, devices, revoked, messages, crashes, wedged, blocked, denied, .. } = summary.total;
    assert!(messages > 5_000 && crashes > 5_000, "{:?}", summary.total);
    assert!(wedged > 200 && blocked > 200 && denied > 200, "{:?}", summary.total);
    assert!(devices > users + 300 && revoked > 20, "{:?}", summary.total);
}

#[test]
fn a_quiet_world_loses_nothing() {
    let report = run(1, Some(Faults::NONE), false);
    assert_eq!((report.crashes, report.dropped, report.doubled), (0, 0, 0));
    assert!(report.messages >= 10);
}

#[test]
fn worlds_on_the_real_cryptography() {
    all_well(&run_many(1_000..1_000 + REAL_CRYPTO_SEEDS, true));
}

#[test]
fn the_same_seed_gives_the_same_world() {
    assert_eq!(run(7, None, false), run(7, None, false));
}

#[test]
fn one_seed() {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .without_time()
        .init();
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("{:?}", run(seed, None, false));
}
