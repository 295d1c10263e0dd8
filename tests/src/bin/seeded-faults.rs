//! Breaks the project on purpose, one fault of `tests/faults.toml` at a time, and checks that each is caught:
//! `cargo run -p undertone-tests --bin seeded-faults [-- [--list] [--worlds] [--skip N] WORDS OF A NAME]`. At the end it
//! lists what caught which. It copies and builds below `$SEEDED_FAULTS_DIR`, or below `target/seeded`; never where the project itself
//! is built, as cargo takes two copies of a workspace for one.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Parser;
use undertone_tests::seeded::{Catch, Fault, Ran, Workshop, faults};

/// Breaks the project on purpose, and checks that each fault is caught.
#[derive(Parser)]
struct Args {
    /// Only says which faults there are, and what must catch each.
    #[arg(long)]
    list: bool,
    /// Only those that simulated worlds must catch.
    #[arg(long)]
    worlds: bool,
    /// Leaves out so many of the first ones, which an earlier run tried.
    #[arg(long, default_value_t = 0)]
    skip: usize,
    /// Only faults whose names contain this.
    name: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let wanted = args.name.join(" ");
    let mut faults = faults()?;
    faults.retain(|fault| {
        fault.name.contains(&wanted) && (!args.worlds || fault.catch().is_ok_and(|catch| catch.is_worlds()))
    });
    faults.drain(..args.skip.min(faults.len()));
    if args.list {
        return list(&faults);
    }
    let folder = match std::env::var_os("SEEDED_FAULTS_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::current_dir()?.join("target").join("seeded"),
    };
    let workshop = Workshop::open(&folder).await?;
    everything_holds_without(&workshop, &faults).await?;
    let mut tried = Vec::new();
    for fault in &faults {
        tried.push((fault, run_with(&workshop, fault).await?));
    }
    println!("\n| fault | caught by | in |\n|---|---|---|");
    for (fault, ran) in &tried {
        let by = if ran.held { "**missed**" } else { caught_by(ran) };
        println!("| {} | {by} | {:.1} s |", fault.name, ran.took.as_secs_f64());
    }
    let missed = tried.iter().filter(|(_, ran)| ran.held).count();
    println!("\n{} of {} faults were caught", tried.len() - missed, tried.len());
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The faults, where each is, and what must catch it.
fn list(faults: &[Fault]) -> Result<ExitCode> {
    println!("| fault | in | to be caught by |\n|---|---|---|");
    for fault in faults {
        let by = match fault.catch()? {
            Catch::Worlds(count) => format!("{count} simulated worlds"),
            Catch::Relays(count) => format!("{count} simulated worlds with several relays"),
            Catch::Test(arguments) => format!("`cargo test {}`", arguments.join(" ")),
        };
        println!("| {} | {} | {by} |", fault.name, fault.file);
    }
    println!("\n{} faults", faults.len());
    Ok(ExitCode::SUCCESS)
}

/// What a run that failed names: a world's check, after its seed, or a test.
fn caught_by(ran: &Ran) -> &str {
    let check = ran.said.strip_prefix("seed ").and_then(|said| said.split_once(": ")).map(|(_, said)| said);
    check.and_then(|said| said.split(": ").next()).unwrap_or(&ran.said)
}

/// What must fail with a fault must hold without one.
async fn everything_holds_without(workshop: &Workshop, faults: &[Fault]) -> Result<()> {
    let mut catches = faults.iter().map(Fault::catch).collect::<Result<BTreeSet<Catch>>>()?;
    // The most worlds of a kind contain the fewer.
    let most_of = |of: fn(&Catch) -> bool| catches.iter().filter(|catch| of(catch)).max().cloned();
    let most = [
        most_of(|catch| matches!(catch, Catch::Worlds(_))),
        most_of(|catch| matches!(catch, Catch::Relays(_))),
    ];
    catches.retain(|catch| !catch.is_worlds() || most.iter().flatten().any(|most| most == catch));
    for catch in catches {
        let ran = workshop.run(&catch).await?;
        ensure!(ran.held, "{catch:?} fails without any fault: {}", ran.said);
        println!("holds   | {:6.1} s | {catch:?}", ran.took.as_secs_f64());
    }
    Ok(())
}

async fn run_with(workshop: &Workshop, fault: &Fault) -> Result<Ran> {
    let catch = fault.catch()?;
    workshop.plant(fault)?;
    let ran = workshop.run(&catch).await;
    workshop.mend(fault)?;
    // One that does not build breaks nothing: the others are tried all the same.
    let ran = ran.unwrap_or_else(|error| Ran { held: true, took: Duration::ZERO, said: error.to_string() });
    let verdict = if ran.held { "MISSED " } else { "caught " };
    println!("{verdict} | {:6.1} s | {} | {}", ran.took.as_secs_f64(), fault.name, ran.said);
    Ok(ran)
}
