//! Runs many simulated worlds: `cargo run --release -p undertone-tests --bin explore -- --seeds 1000 [--from 0]`.

use std::process::ExitCode;

use undertone_tests::simulation::{REPLAY, run_many};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (mut from, mut seeds) = (0u64, 100u64);
    while let Some(arg) = args.next() {
        let value = args.next().and_then(|value| value.parse().ok());
        match (arg.as_str(), value) {
            ("--from", Some(value)) => from = value,
            ("--seeds", Some(value)) => seeds = value,
            _ => {
                eprintln!("usage: explore [--from SEED] [--seeds COUNT]");
                return ExitCode::from(2);
            }
        }
    }
    let summary = run_many(from..from.saturating_add(seeds), false);
    for (seed, failed) in &summary.failed {
        println!("seed {seed}: {failed}\nreplay: SEED={seed} {REPLAY}");
    }
    println!("{} worlds, {} failed: {:?}", summary.worlds, summary.failed.len(), summary.total);
    if summary.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
