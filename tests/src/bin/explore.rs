//! Runs many simulated worlds: `cargo run -p undertone-tests --bin explore -- --seeds 1000 [--from 0]`.

use std::process::ExitCode;

use undertone_tests::simulation::{World, WorldOptions};

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
    let (mut failed, mut messages, mut crashes) = (0, 0, 0);
    for seed in from..from.saturating_add(seeds) {
        match World::run(WorldOptions { seed, faults: None, real_crypto: false }) {
            Ok(report) => {
                messages += report.messages;
                crashes += report.crashes;
            }
            Err(error) => {
                failed += 1;
                println!("seed {seed}: {error}");
            }
        }
    }
    println!("{seeds} worlds, {messages} messages, {crashes} crashes, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
