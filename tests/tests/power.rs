//! Power cuts under the stores of relay and node: what was acknowledged is there, and nothing half-written
//! shows. `undertone_tests::power` says how, and what this does not show.
//!
//! Three cuts each; `UNDERTONE_POWER_CUTS=30` asks for more. Loop devices are for root: without them the tests say
//! so and pass.

use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use undertone_tests::power::{Cuts, Image, Report, Start, Subject};
use undertone_tests::processes::Program;
use undertone_tests::report;

const PROGRAM: &str = env!("CARGO_BIN_EXE_undertone-power");
const CUTS: usize = 3;
const CUTS_VARIABLE: &str = "UNDERTONE_POWER_CUTS";
/// Repeats the choices of a run that failed; the machine adds its own.
const SEED_VARIABLE: &str = "UNDERTONE_POWER_SEED";

fn number<T: std::str::FromStr>(variable: &str, otherwise: T) -> anyhow::Result<T> {
    match std::env::var(variable) {
        Ok(text) => text.parse().ok().with_context(|| format!("{variable}={text} is no number")),
        Err(_) => Ok(otherwise),
    }
}

/// Whether this user can mount an image here.
fn trial(dir: &Path) -> anyhow::Result<()> {
    Image::create(dir.join("trial"), 8)?.mount(dir.join("trial at"))?.end()
}

fn cut(subject: Subject, start: Start, disk_mib: u64) -> anyhow::Result<()> {
    let what = format!("power cuts, {}, {start:?}", subject.as_str());
    let dir = tempfile::Builder::new().prefix("undertone-power-").tempdir()?;
    if let Err(why) = trial(dir.path()) {
        report::line(format_args!("{what}: not tried, as no disk can be mounted here: {why:#}"))?;
        return Ok(());
    }
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos();
    let (seed, cuts) = (number(SEED_VARIABLE, u64::from(nanos))?, number(CUTS_VARIABLE, CUTS)?);
    println!("{SEED_VARIABLE}={seed}");
    let begin = Instant::now();
    let tried = Cuts::new(Program::new(PROGRAM), dir.path().to_owned(), subject, start, disk_mib);
    let Report { while_opening, acknowledged, more, .. } =
        tried.run(cuts, &mut ChaCha20Rng::seed_from_u64(seed))?;
    report::line(format_args!(
        "{what}: {cuts} cuts ({while_opening} before it was open); {acknowledged} records acknowledged, 0 lost, \
         {more} more found whole; {} s",
        begin.elapsed().as_secs()
    ))?;
    Ok(())
}

#[test]
fn a_fresh_relay_store_survives_a_power_cut() -> anyhow::Result<()> {
    cut(Subject::Relay, Start::Fresh, 128)
}

/// The disk has room for the two journals of 64 MiB that there are when one is full.
#[test]
fn an_existing_relay_store_survives_a_power_cut() -> anyhow::Result<()> {
    cut(Subject::Relay, Start::Existing, 256)
}

#[test]
fn a_new_relay_keeps_its_key_through_a_power_cut() -> anyhow::Result<()> {
    cut(Subject::NewRelay, Start::Fresh, 32)
}

#[test]
fn a_fresh_account_survives_a_power_cut() -> anyhow::Result<()> {
    cut(Subject::Node, Start::Fresh, 64)
}

#[test]
fn an_existing_account_survives_a_power_cut() -> anyhow::Result<()> {
    cut(Subject::Node, Start::Existing, 128)
}
