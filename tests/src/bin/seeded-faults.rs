//! Breaks the project on purpose, one fault of `tests/faults.toml` at a time, and checks that each is caught:
//! `cargo run -p undertone-tests --bin seeded-faults [-- WORDS OF A NAME]`. It copies and builds below
//! `$SEEDED_FAULTS_DIR`, or below `target/seeded`; never where the project itself is built, as cargo takes
//! two copies of a workspace for one.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use undertone_tests::seeded::{Catch, Fault, Workshop, faults};

/// Breaks the project on purpose, and checks that each fault is caught.
#[derive(Parser)]
struct Args {
    /// Only faults whose names contain this.
    name: Vec<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let wanted = Args::parse().name.join(" ");
    let mut faults = faults()?;
    faults.retain(|fault| fault.name.contains(&wanted));
    let folder = match std::env::var_os("SEEDED_FAULTS_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::current_dir()?.join("target").join("seeded"),
    };
    let workshop = Workshop::open(&folder).await?;
    everything_holds_without(&workshop, &faults).await?;
    let mut missed = 0;
    for fault in &faults {
        if !is_caught(&workshop, fault).await? {
            missed += 1;
        }
    }
    println!("{} of {} faults were caught", faults.len() - missed, faults.len());
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What must fail with a fault must hold without one.
async fn everything_holds_without(workshop: &Workshop, faults: &[Fault]) -> Result<()> {
    let mut catches = faults.iter().map(Fault::catch).collect::<Result<BTreeSet<Catch>>>()?;
    // The most worlds contain the fewer.
    let most = catches.iter().filter(|catch| matches!(catch, Catch::Worlds(_))).max().cloned();
    catches.retain(|catch| !matches!(catch, Catch::Worlds(_)) || Some(catch) == most.as_ref());
    for catch in catches {
        let ran = workshop.run(&catch).await?;
        ensure!(ran.held, "{catch:?} fails without any fault: {}", ran.said);
        println!("holds   | {:6.1} s | {catch:?}", ran.took.as_secs_f64());
    }
    Ok(())
}

async fn is_caught(workshop: &Workshop, fault: &Fault) -> Result<bool> {
    let catch = fault.catch()?;
    workshop.plant(fault)?;
    let ran = workshop.run(&catch).await;
    workshop.mend(fault)?;
    let ran = ran.with_context(|| fault.name.clone())?;
    let verdict = if ran.held { "MISSED " } else { "caught " };
    println!("{verdict} | {:6.1} s | {} | {}", ran.took.as_secs_f64(), fault.name, ran.said);
    Ok(!ran.held)
}
