//! Runs many simulated worlds on all processors:
//! `cargo run --release -p undertone-tests --bin explore -- --seeds 1000 [--from 0] [--failures 10]`.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use undertone_tests::simulation::{REPLAY, explore};

/// Runs many simulated worlds, and says which do not hold.
#[derive(Parser)]
struct Args {
    /// How many worlds.
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The seed of the first.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Ends after so many worlds that do not hold.
    #[arg(long, default_value_t = usize::MAX)]
    failures: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .without_time()
        .init();
    let begun = Instant::now();
    let explored = explore(
        args.from..args.from.saturating_add(args.seeds),
        None,
        false,
        args.failures,
        |seed, failed| {
            println!("seed {seed}: {failed}");
            println!("replay: SEED={seed} {REPLAY}");
        },
    );
    println!("{:?}", explored.total);
    println!(
        "{} of {} worlds hold, {} do not; {:.1} s",
        explored.total.worlds,
        args.seeds,
        explored.failed.len(),
        begun.elapsed().as_secs_f64()
    );
    for (seed, _) in &explored.failed {
        println!("seed {seed} failed");
    }
    if explored.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
