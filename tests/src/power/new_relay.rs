use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, ensure};
use undertone_relay::config;

use super::record::{Said, say};

/// Digits of a relay's key.
const KEY_DIGITS: usize = 64;

fn home(dir: &Path) -> PathBuf {
    dir.join("new/relay")
}

/// Makes a relay, and says so when its operator was told.
pub(super) fn write(dir: &Path) -> anyhow::Result<()> {
    let mut init = Command::new(std::env::current_exe()?);
    init.args(["relay", "init", "--dir"]).arg(home(dir)).stdout(Stdio::null());
    let ended = init.status()?;
    ensure!(ended.success(), "init: {ended}");
    say(&[Said::Opened(Vec::new())])?;
    loop {
        thread::park();
    }
}

/// Key and configuration are there, if the operator was told so.
pub(super) fn check(dir: &Path, opened: bool) -> anyhow::Result<Vec<u64>> {
    if opened {
        let config = config::load(&home(dir).join("relay.toml"))?;
        let path = config.data_dir.join("relay.key");
        let key = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        ensure!(key.trim().len() == KEY_DIGITS, "a key of {} digits", key.trim().len());
    }
    Ok(Vec::new())
}
