use std::fs;
use std::process::Command;

use anyhow::{Context, ensure};

use super::wait::until;

/// Stops a process where it is, and waits until none of its threads does anything more: one that is in a system
/// call ends it first. Linux only.
pub fn freeze(process: u32) -> anyhow::Result<()> {
    signal("-STOP", process)?;
    until(&format!("process {process} stands still"), || Ok(stands_still(process)?.then_some(())))
}

/// Lets it go on.
pub fn thaw(process: u32) -> anyhow::Result<()> {
    signal("-CONT", process)
}

fn signal(name: &str, process: u32) -> anyhow::Result<()> {
    let status = Command::new("kill").args([name, &process.to_string()]).status()?;
    ensure!(status.success(), "kill {name} {process}: {status}");
    Ok(())
}

fn stands_still(process: u32) -> anyhow::Result<bool> {
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let stat = fs::read_to_string(thread?.path().join("stat"))?;
        // The name before it, in parentheses, may contain anything.
        let (_, rest) = stat.rsplit_once(") ").context("an odd state of a thread")?;
        if !rest.starts_with('T') {
            return Ok(false);
        }
    }
    Ok(true)
}
