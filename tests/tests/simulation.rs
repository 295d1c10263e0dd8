//! The simulated world over many seeds. `SEED=n RUST_LOG=undertone=debug cargo test -p undertone-tests --test simulation one_seed -- --nocapture`
//! replays one.

#![expect(clippy::panic, reason = "a test may panic")]

use undertone_tests::simulation::{Faults, Report, World, WorldOptions};

const SEEDS: u64 = 50;
const REAL_CRYPTO_SEEDS: u64 = 5;

fn run(seed: u64, faults: Option<Faults>, real_crypto: bool) -> Report {
    match World::run(WorldOptions { seed, faults, real_crypto }) {
        Ok(report) => report,
        Err(failed) => panic!(
            "seed {seed}: {failed}\nreplay: SEED={seed} cargo test -p undertone-tests --test simulation one_seed -- --nocapture"
        ),
    }
}

#[test]
fn fifty_troubled_worlds() {
    let mut crashes = 0;
    let mut messages = 0;
    let mut wedged = 0;
    let mut blocked = 0;
    let mut denied = 0;
    for seed in 0..SEEDS {
        let report = run(seed, None, false);
        crashes += report.crashes;
        messages += report.messages;
        wedged += report.wedged;
        blocked += report.blocked;
        denied += report.denied;
    }
    println!(
        "{SEEDS} worlds: {messages} messages, {crashes} crashes, {wedged} lost sessions, {blocked} blocks, {denied} denied"
    );
    // Worlds in which nothing happens would prove nothing.
    assert!(
        messages > 500 && crashes > 500 && wedged > 20,
        "{messages} messages, {crashes} crashes, {wedged} wedged"
    );
    assert!(blocked > 20 && denied > 20, "{blocked} blocks, {denied} denied");
}

#[test]
fn a_quiet_world_loses_nothing() {
    let report = run(1, Some(Faults::NONE), false);
    assert_eq!((report.crashes, report.dropped, report.doubled), (0, 0, 0));
    assert!(report.messages >= 10);
}

#[test]
fn worlds_on_the_real_cryptography() {
    for seed in 1_000..1_000 + REAL_CRYPTO_SEEDS {
        run(seed, None, true);
    }
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
