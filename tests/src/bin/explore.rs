//! Runs many simulated worlds on all processors:
//! `cargo run --release -p undertone-tests --bin explore -- --seeds 1000 [--from 0] [--hostile] [--group] [--relays] [--failures 10]
//! [--minutes 60] [--shrink-s 60]`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use undertone_tests::simulation::{Capsule, World, WorldOptions, explore};

/// As in the test of the worlds, where it saves an eighth of their time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs many simulated worlds, and says which do not hold.
#[derive(Parser)]
struct Args {
    /// How many worlds; 100, or as many as there is time for in so many minutes.
    #[arg(long)]
    seeds: Option<u64>,
    /// The seed of the first.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Leaves out the worlds in which no device cheats.
    #[arg(long)]
    hostile: bool,
    /// Leaves out the worlds in which there is no group.
    #[arg(long)]
    group: bool,
    /// Makes worlds with several relays.
    #[arg(long)]
    relays: bool,
    /// Begins no more worlds after so many minutes.
    #[arg(long)]
    minutes: Option<u64>,
    /// Ends after so many worlds that do not hold.
    #[arg(long, default_value_t = usize::MAX)]
    failures: usize,
    /// How long each of the first three that do not hold may take to be made smaller, in seconds.
    #[arg(long, default_value_t = 60)]
    shrink_s: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .without_time()
        .init();
    let begun = Instant::now();
    let last = AtomicU64::new(args.from);
    let options = |seed| {
        let options = WorldOptions::of(seed);
        if args.relays { options.with_relays() } else { options }
    };
    let is_wanted = |seed: &u64| {
        let world = WorldOptions::of(*seed);
        (!args.hostile || world.is_hostile()) && (!args.group || World::has_group(world))
    };
    let seeds = (args.from..).filter(is_wanted);
    let is_early = |_: &u64| args.minutes.is_none_or(|minutes| begun.elapsed().as_secs() < minutes * 60);
    let count = args.seeds.unwrap_or(if args.minutes.is_some() { u64::MAX } else { 100 });
    let seeds = (0..count).zip(seeds).map(|(_, seed)| seed).take_while(is_early);
    let seeds = seeds.inspect(|seed| last.store(*seed, Ordering::Relaxed));
    let explored =
        explore(seeds, args.failures, options, |options, failed| println!("seed {}: {failed}", options.seed));
    let took = begun.elapsed().as_secs_f64();
    println!("{:?}", explored.total);
    let (held, not) = (explored.total.worlds, explored.failed.len());
    let a_second = (explored.total.worlds as f64) / took;
    println!(
        "{held} of {} worlds hold, {not} do not; {took:.1} s, {a_second:.1} worlds a second",
        held + not as u64
    );
    println!("the last seed was {}", last.into_inner());
    let budget = Duration::from_secs(args.shrink_s);
    for (options, failed) in explored.failed.iter().take(3).filter(|_| args.shrink_s > 0) {
        println!("\n{}", Capsule::shrink(*options, failed.clone(), budget));
    }
    for (options, failed) in &explored.failed {
        println!("seed {} failed: {:?}: {}", options.seed, failed.check(), failed.headline());
    }
    if explored.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
