//! The command line of `undertone-power`: `write SUBJECT DIR` writes without end and prints what is acknowledged;
//! `check SUBJECT DIR [opened]` prints the last numbers of what is there, or fails.

use std::path::Path;

use anyhow::bail;

use super::Subject;
use super::record::{Said, say};

/// Runs the given arguments, the program's name left out.
pub fn run(args: &[String]) -> anyhow::Result<()> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match *args.as_slice() {
        ["write", subject, dir] => Subject::parse(subject)?.write(Path::new(dir)),
        ["check", subject, dir] => check(subject, dir, false),
        ["check", subject, dir, "opened"] => check(subject, dir, true),
        _ => bail!("usage: undertone-power write|check relay|new-relay|node DIR [opened]"),
    }
}

fn check(subject: &str, dir: &str, opened: bool) -> anyhow::Result<()> {
    let numbers = Subject::parse(subject)?.check(Path::new(dir), opened)?;
    Ok(say(&[Said::Opened(numbers)])?)
}
