//! The simulated world over many seeds. `SEED=n RUST_LOG=undertone=debug cargo test -p undertone-tests --test simulation one_seed -- --nocapture`
//! replays one.

#![expect(clippy::panic, reason = "a test may panic")]

use undertone_tests::simulation::{Faults, REPLAY, Report, World, WorldOptions, explore};

const SEEDS: u64 = 500;
const REAL_CRYPTO_SEEDS: u64 = 8;

fn run(seed: u64, faults: Option<Faults>) -> Report {
    let world = World::run(WorldOptions { seed, faults, real_crypto: false });
    world.unwrap_or_else(|failed| panic!("seed {seed}: {failed}\nreplay: SEED={seed} {REPLAY}"))
}

fn run_many(seeds: std::ops::Range<u64>, real_crypto: bool) -> Report {
    let explored = explore(seeds, None, real_crypto, 3, |seed, failed| {
        println!("seed {seed}: {failed}\nreplay: SEED={seed} {REPLAY}");
    });
    let failed: Vec<u64> = explored.failed.iter().map(|(seed, _)| *seed).collect();
    assert!(failed.is_empty(), "these seeds do not hold: {failed:?}");
    explored.total
}

#[test]
fn many_troubled_worlds() {
    let total = run_many(0..SEEDS, false);
    println!("{total:?}");
    // Worlds in which nothing happens would prove nothing.
    assert_eq!(total.worlds, SEEDS);
    assert!(total.users > 1_200 && total.devices > 2_000 && total.revoked > 50, "{total:?}");
    assert!(total.pairs > 800 && total.messages > 12_000, "{total:?}");
    assert!(total.crashes > 20_000 && total.dropped > 8_000 && total.doubled > 20_000, "{total:?}");
    assert!(total.wedged > 300 && total.blocked > 1_000 && total.failed > 800, "{total:?}");
    assert!(total.drained > 400 && total.full > 400 && total.gaps > 150, "{total:?}");
}

/// What broke worlds beyond the first ones, each with the seed that showed it.
#[test]
fn worlds_that_broke_once() {
    let seeds = [
        (617, "the bundles of devices that a sibling told of were not asked for"),
        (969, "who only a revoked device knew had to be met anew"),
        (1_265, "a key outlived its entry in the outbox when the last device that lacked it was revoked"),
        (1_352, "a new device's introductions expired while the other side was away"),
        (1_413, "only a revoked device had a message, and the one that was added after it never got it"),
        (1_436, "a device was added and revoked between two lists that a contact saw"),
        (1_929, "history was offered to an own device that had been revoked"),
        (2_031, "the order depended on entries beyond a cut"),
        (3_030, "a crash forgot what was to be sent again after an unblocking"),
        (3_435, "of two concurrent records the one that did not count alone told of a device"),
        (3_658, "a connection took another one's place, and the mailbox was not asked for on it"),
        (3_773, "a retry receipt could not be read, and nothing else asked for the acknowledgement"),
        (5_921, "a bundle was missing when the device crashed, and nobody asked for it again"),
        (23_894, "what only a revoked device had got expired, and the others never got it"),
        (27_153, "a new link made a device unreachable whose siblings did not know it yet"),
        (31_811, "of two concurrent records one told of a token that had let in no more than a request"),
        (32_941, "a few messages passed in ten minutes after a mailbox had been full"),
        (40_729, "a request was refused, and whoever sent it did not introduce itself when it was accepted"),
        (42_967, "a retry receipt for a revoked device stayed in the outbox for good"),
    ];
    for (seed, what) in seeds {
        let world = World::run(WorldOptions { seed, faults: None, real_crypto: false });
        world.unwrap_or_else(|failed| panic!("seed {seed}, {what}: {failed}\nreplay: SEED={seed} {REPLAY}"));
    }
}

#[test]
fn a_quiet_world_loses_nothing() {
    let report = run(1, Some(Faults::NONE));
    assert_eq!((report.crashes, report.dropped, report.doubled, report.failed), (0, 0, 0, 0));
    assert!(report.messages >= 10);
}

#[test]
fn worlds_on_the_real_cryptography() {
    assert_eq!(run_many(1_000..1_000 + REAL_CRYPTO_SEEDS, true).worlds, REAL_CRYPTO_SEEDS);
}

#[test]
fn the_same_seed_gives_the_same_world() {
    assert_eq!(run(7, None), run(7, None));
}

#[test]
fn one_seed() {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .without_time()
        .init();
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("{:?}", run(seed, None));
}
